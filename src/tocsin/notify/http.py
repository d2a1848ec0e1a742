"""Sends one request and says in plain words what came of it.

Bounded in everything a receiver controls: the time in all, the bytes read of its answer, and
where the request goes. A name is resolved once, its addresses are judged, and the connection
goes to the judged address, so that the name cannot mean something else a moment later.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from types import TracebackType
from typing import Self

import httpx2

from tocsin import __version__
from tocsin.model.errors import TocsinError
from tocsin.notify.base import ChannelSettings, HttpRequest, Outcome
from tocsin.notify.text import fit
from tocsin.notify.urls import is_refused

_EXCERPT_BYTES = 2048
_EXCERPT_CHARS = 200
_EXCERPT_SECONDS = 1.0
_RETRY_AFTER_MOST = 3600.0
_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": f"tocsin/{__version__}",
    "Accept-Encoding": "identity",
}

_WORDS: dict[type[BaseException], str] = {
    httpx2.ConnectTimeout: "the connection is not accepted",
    ConnectionRefusedError: "the connection was refused",
    ConnectionResetError: "the connection was cut",
}


class Poster:
    """Posts the requests of one channel, which shares nothing with other channels."""

    def __init__(self, name: str, settings: ChannelSettings) -> None:
        self._timeout = settings.timeout
        try:
            self._tls = ssl.create_default_context(cafile=settings.ca_file)
        except OSError as error:
            message = f"channel {name}: cannot use ca_file {settings.ca_file}: {error}"
            raise TocsinError(message) from error
        # A name server that does not answer holds a thread: this channel's own, nobody else's.
        self._resolver = ThreadPoolExecutor(1, thread_name_prefix=f"resolve-{name}")
        # httpx2 logs whole addresses, and those of Slack are secrets.
        logging.getLogger("httpx2").setLevel(logging.WARNING)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resolver.shutdown(wait=False, cancel_futures=True)

    async def post(self, request: HttpRequest, now: float) -> Outcome:
        """Send the request; whatever goes wrong is in the outcome."""
        url = httpx2.URL(request.url)
        host = url.netloc.decode("ascii")
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(url, request, now)
        except TimeoutError:
            return Outcome(ok=False, detail=f"no answer from {host} within {self._timeout:g} s")
        except (httpx2.HTTPError, OSError, UnicodeError) as error:
            return Outcome(ok=False, detail=f"{host}: {in_words(error)}")

    async def _post(self, url: httpx2.URL, request: HttpRequest, now: float) -> Outcome:
        *others, last = await self._resolve(url.raw_host.decode("ascii"))
        # `post` bounds the whole; an address that swallows packets must leave time for the next.
        limits = httpx2.Timeout(None, connect=self._timeout / (len(others) + 1))
        async with httpx2.AsyncClient(verify=self._tls, trust_env=False, timeout=limits) as client:
            for address in others:
                with contextlib.suppress(httpx2.ConnectError, httpx2.ConnectTimeout):
                    return await _send(client, url, address, request, now)
            return await _send(client, url, last, request, now)

    async def _resolve(self, name: str) -> list[str]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._resolver, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        )
        addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
        allowed = [address for address in addresses if not is_refused(ip_address(address))]
        if not allowed:
            message = f"{name} is a link-local or metadata address"
            raise PermissionError(message)
        return allowed


async def _send(
    client: httpx2.AsyncClient, url: httpx2.URL, address: str, request: HttpRequest, now: float
) -> Outcome:
    async with client.stream(
        "POST",
        url.copy_with(host=address),
        content=request.body,
        headers={**_HEADERS, **request.headers, "Host": url.netloc.decode("ascii")},
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
        follow_redirects=False,
    ) as response:
        return await _outcome(response, now)


async def _outcome(response: httpx2.Response, now: float) -> Outcome:
    """Judge by the status alone; the body only helps to explain a refusal."""
    if response.is_success:
        return Outcome(ok=True, detail=f"HTTP {response.status_code}")
    if response.is_redirect:
        detail = f"HTTP {response.status_code}: redirects are not followed, configure the target"
        return Outcome(ok=False, detail=detail)
    detail = f"HTTP {response.status_code}: {await _excerpt(response)}"
    return Outcome(ok=False, detail=detail, retry_after=_retry_after(response, now))


async def _excerpt(response: httpx2.Response) -> str:
    body = b""
    with contextlib.suppress(httpx2.HTTPError, TimeoutError):
        async with asyncio.timeout(_EXCERPT_SECONDS):
            async for chunk in response.aiter_raw():
                body += chunk[:_EXCERPT_BYTES]
                if len(body) >= _EXCERPT_BYTES:
                    break
    return fit(body.decode("utf-8", "replace"), _EXCERPT_CHARS) or "no explanation"


def _retry_after(response: httpx2.Response, now: float) -> float:
    """Return how many seconds the receiver asks to wait: a number or a date, within reason."""
    value = response.headers.get("Retry-After", "")
    try:
        seconds = (
            float(value) if value.isdigit() else parsedate_to_datetime(value).timestamp() - now
        )
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _RETRY_AFTER_MOST)


def in_words(error: BaseException) -> str:
    """Return why a request got no answer, as far as its causes tell."""
    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return f"the name does not resolve ({cause.strerror})"
            case ssl.SSLCertVerificationError():
                return f"TLS problem: {cause.verify_message}"
            case ssl.SSLError():
                return f"TLS problem: {cause.reason}"
            case _ if type(cause) in _WORDS:
                return _WORDS[type(cause)]
            case _:
                continue
    return str(error) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
