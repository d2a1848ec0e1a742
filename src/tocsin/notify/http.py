"""Sends one request and says in plain words what came of it.

Bounded in everything a receiver controls: the time in all, the bytes read of its answer, and
where the request goes (`outlet`).
"""

import asyncio
import contextlib
import logging
from email.utils import parsedate_to_datetime

import httpx2

from tocsin import __version__
from tocsin.notify import outlet
from tocsin.notify.base import ChannelSettings, HttpRequest, Outcome
from tocsin.notify.outlet import Outlet
from tocsin.notify.text import fit

_EXCERPT_BYTES = 2048
_EXCERPT_CHARS = 200
_EXCERPT_SECONDS = 1.0
_RETRY_AFTER_MOST = 3600.0
_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": f"tocsin/{__version__}",
    "Accept-Encoding": "identity",
}


class Poster(Outlet):
    """Posts the requests of one channel."""

    def __init__(self, name: str, settings: ChannelSettings) -> None:
        super().__init__(name, settings)
        # httpx2 logs whole addresses, and those of Slack are secrets.
        logging.getLogger("httpx2").setLevel(logging.WARNING)

    async def post(self, request: HttpRequest, now: float) -> Outcome:
        """Send the request; whatever goes wrong is in the outcome."""
        url = httpx2.URL(request.url)
        host = url.netloc.decode("ascii")
        try:
            return await self.bounded(host, self._post(url, request, now))
        except httpx2.HTTPError as error:
            return Outcome(ok=False, detail=f"{host}: {in_words(error)}")

    async def _post(self, url: httpx2.URL, request: HttpRequest, now: float) -> Outcome:
        *others, last = await self.addresses(url.raw_host.decode("ascii"))
        # `post` bounds the whole; an address that swallows packets must leave time for the next.
        limits = httpx2.Timeout(None, connect=self.timeout / (len(others) + 1))
        async with httpx2.AsyncClient(verify=self.tls, trust_env=False, timeout=limits) as client:
            for address in others:
                with contextlib.suppress(httpx2.ConnectError, httpx2.ConnectTimeout):
                    return await _send(client, url, address, request, now)
            return await _send(client, url, last, request, now)


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
    if any(isinstance(cause, httpx2.ConnectTimeout) for cause in outlet.causes(error)):
        return "the connection is not accepted"
    return outlet.in_words(error)
