"""Read a request body piece by piece, within limits, expanded if it is gzip."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator

from starlette.types import Receive

from tocsin.ingest import refusals
from tocsin.ingest.refusals import RefusedError

MIB = 1024 * 1024

# JSON of audit events compresses 10:1 to 30:1; a bomb needs 1,000:1.
_MAX_RATIO = 100
_GZIP_WBITS = 31


class Body:
    """The body of one request."""

    def __init__(self, receive: Receive, limit: int) -> None:
        """Read from the ASGI channel `receive`, `limit` bytes at most."""
        self._receive = receive
        self._limit = limit
        self._complete = False

    async def pieces(self, *, gzip: bool) -> AsyncIterator[bytes]:
        """Yield the body, expanded if `gzip`; RefusedError if it breaks a limit or breaks off."""
        raw = self._raw()
        size = 0
        async for piece in _gunzip(raw) if gzip else raw:
            size += len(piece)
            if size > self._limit:
                raise RefusedError(refusals.TOO_LARGE)
            yield piece

    async def drain(self) -> None:
        """Drop what is left."""
        async for _ in self._raw():
            pass

    async def _raw(self) -> AsyncIterator[bytes]:
        while not self._complete:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise RefusedError(refusals.GONE)
            self._complete = not message["more_body"]
            if message["body"]:
                yield message["body"]


async def _gunzip(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the expanded bytes of a gzip stream, at most 1 MiB at a time."""
    expander = _Expander()
    taken = given = 0
    async for piece in pieces:
        taken += len(piece)
        for expanded in expander.feed(piece):
            given += len(expanded)
            if given > max(MIB, _MAX_RATIO * taken):
                raise RefusedError(refusals.TOO_LARGE)
            yield expanded
            # A small piece may expand to much: other requests get their turn.
            await asyncio.sleep(0)
    if not expander.complete:
        raise RefusedError(refusals.DAMAGED)


class _Expander:
    """Expand gzip members that follow each other, without ever holding more than 1 MiB."""

    def __init__(self) -> None:
        self._member: zlib._Decompress | None = None

    @property
    def complete(self) -> bool:
        """Whether the input so far ends where a member ends."""
        return self._member is None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` adds."""
        while data or self._member is not None:
            member = self._member = self._member or zlib.decompressobj(wbits=_GZIP_WBITS)
            try:
                expanded = member.decompress(data, MIB)
            except zlib.error as error:
                raise RefusedError(refusals.DAMAGED) from error
            yield expanded
            if member.eof:
                self._member, data = None, member.unused_data
            elif len(expanded) < MIB:
                return
            else:
                data = member.unconsumed_tail
