"""The way out of one channel: where the configuration says, and nowhere else.

A name is resolved once, its addresses are judged, and the connection goes to a judged address,
so that the name cannot mean something else a moment later. A channel shares nothing with others.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from tocsin.model.errors import TocsinError
from tocsin.notify.base import ChannelSettings, Outcome
from tocsin.notify.urls import is_refused

_WORDS: dict[type[BaseException], str] = {
    ConnectionRefusedError: "the connection was refused",
    ConnectionResetError: "the connection was cut",
}


class Outlet:
    """What the transports of all channels have in common; a context manager.

    Raises:
        TocsinError: the file of authorities cannot be used.
    """

    def __init__(self, name: str, settings: ChannelSettings) -> None:
        self.timeout = settings.timeout
        try:
            self.tls = ssl.create_default_context(cafile=settings.ca_file)
        except OSError as error:
            message = f"channel {name}: cannot use ca_file {settings.ca_file}: {error}"
            raise TocsinError(message) from error
        # A name server that does not answer holds a thread: this channel's own, nobody else's.
        self._resolver = ThreadPoolExecutor(1, thread_name_prefix=f"resolve-{name}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resolver.shutdown(wait=False, cancel_futures=True)

    async def addresses(self, name: str) -> list[str]:
        """Return the addresses of the name that notifications may go to; at least one.

        Raises:
            OSError: the name has no address, or none that is allowed.
        """
        found = await asyncio.get_running_loop().run_in_executor(
            self._resolver, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        )
        addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
        allowed = [address for address in addresses if not is_refused(ip_address(address))]
        if not allowed:
            message = f"{name} is a link-local or metadata address"
            raise PermissionError(message)
        return allowed

    async def bounded(self, host: str, work: Awaitable[Outcome]) -> Outcome:
        """Return what comes of the work within the channel's time; what goes wrong, in words."""
        try:
            async with asyncio.timeout(self.timeout):
                return await work
        except TimeoutError:
            return Outcome(ok=False, detail=f"no answer from {host} within {self.timeout:g} s")
        except (OSError, EOFError, UnicodeError) as error:
            return Outcome(ok=False, detail=f"{host}: {in_words(error)}")


def in_words(error: BaseException) -> str:
    """Return why there was no answer, as far as the error's causes tell."""
    for cause in causes(error):
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


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
