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
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
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


class Poster:
    """Posts the requests of one channel, which shares nothing with other channels."""

    def __init__(self, settings: ChannelSettings) -> None:
        self._timeout = settings.timeout
        try:
            self._tls = ssl.create_default_context(cafile=settings.ca_file)
        except OSError as error:
            message = f"channel {settings.name}: cannot use ca_file {settings.ca_file}: {error}"
            raise TocsinError(message) from error
        # A name server that does not answer holds a thread: this channel's own, nobody else's.
        self._resolver = ThreadPoolExecutor(1, thread_name_prefix=f"resolve-{settings.name}")
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
            return Outcome(ok=False, detail=f"{host}: {_in_words(error)}")

    async def _post(self, url: httpx2.URL, request: HttpRequest, now: float) -> Outcome:
        name = url.raw_host.decode("ascii")
        headers = {**_HEADERS, **request.headers, "Host": url.netloc.decode("ascii")}
        failure: httpx2.TransportError | None = None
        for address in await self._resolve(name):
            client = httpx2.AsyncClient(verify=self._tls, trust_env=False, timeout=None)
            try:
                async with (
                    client,
                    client.stream(
                        "POST",
                        url.copy_with(host=address),
                        content=request.body,
                        headers=headers,
                        extensions={"sni_hostname": name},
                    ) as response,
                ):
                    return await _outcome(response, now)
            except httpx2.ConnectError as error:
                failure = error
        return Outcome(ok=False, detail=f"{name}: {_in_words(failure)}")

    async def _resolve(self, name: str) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._resolver, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        )
