"""What a reader gets: posts with their bodies, and losses with their numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec
import zstandard

from tocsin.ingest.spool.settings import MIB

PIECE_BYTES = 8 * MIB
"""Raw bytes per stored blob; a larger body is stored in pieces of this size."""

LossReason = Literal["damaged", "missing", "expired", "key"]

Source = Literal["webhook", "file", "backfill", "unauthenticated"]
"""By which way a body came; `unauthenticated`: posted by somebody who proved nothing."""


class PostMeta(msgspec.Struct, frozen=True):
    """Where a body came from and when (microseconds since 1970)."""

    cluster: str
    node: str | None
    peer: str | None
    source: Source
    received: int


@dataclass(frozen=True, slots=True)
class Post:
    """One stored body; `load` yields its compressed pieces, already authenticated."""

    seq: int
    meta: PostMeta
    length: int
    parts: int
    load: Callable[[], Iterator[bytes]]

    def pieces(self) -> Iterator[bytes]:
        """Yield the raw body in pieces of at most 8 MiB, holding one at a time.

        Pieces of a large body are read from the file here: FileBusyError asks to try later,
        SealError tells that the disk lost one since the post was returned.
        """
        return (decompress(piece) for piece in self.load())

    def body(self) -> bytes:
        """Return the whole raw body; for `parts` above 1, `pieces()` needs less memory."""
        return b"".join(self.pieces())


class Lost(msgspec.Struct, frozen=True):
    """Posts `first` to `last` cannot be read any more.

    `damaged`: found, but not as it was written. `missing`: not found. `expired`: deleted by
    retention before this reader came. `key`: sealed with a key that is not at hand.
    `received` is the receive time of the last good post before them, where known.
    """

    first: int
    last: int
    reason: LossReason
    file: str | None = None
    received: int | None = None


def compress(body: bytes | bytearray | memoryview) -> bytes:
    """Return `body` as one zstd frame, at the level that costs least time."""
    return zstandard.ZstdCompressor(level=1).compress(body)


def decompress(piece: bytes) -> bytes:
    """Return what `compress` was given."""
    return zstandard.ZstdDecompressor().decompress(piece, max_output_size=PIECE_BYTES)
