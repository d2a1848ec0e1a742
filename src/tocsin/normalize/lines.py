"""Cut a body of JSON lines into its lines without decoding it, and tell such bodies from others.

For bodies too large to hold at once. It holds one line, up to the limit of an item.
"""

from collections.abc import Iterable, Iterator

from tocsin.normalize import split
from tocsin.normalize.split import Oversized

_LOG_LINE = b'{"kind":"Event"'
_NEAR = 64


class Opening:
    """The first line break of a body that comes in pieces, with a little text around it."""

    def __init__(self) -> None:
        self._before = self._after = b""
        self._broken = False

    def add(self, piece: bytes) -> None:
        """Look at the next piece."""
        if not self._broken:
            end = piece.find(b"\n")
            self._broken = end >= 0
            self._before = (self._before + piece[: end if self._broken else None][-_NEAR:])[-_NEAR:]
            piece = piece[end + 1 :] if self._broken else b""
        if len(self._after) < _NEAR:
            self._after += piece.lstrip(b"\r\n")[:_NEAR]

    @property
    def is_of_lines(self) -> bool:
        """Whether the body is lines of documents, not one document laid out in lines.

        A first line that was cut off does not hide the lines after it, if those are a log's.
        """
        first = self._before.rstrip()
        if self._after.startswith(_LOG_LINE):
            return not first.endswith((b"[", b","))
        return first.endswith((b"}", b"]")) and self._after.startswith((b"{", b"["))


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes | Oversized]:
    """Yield the lines of a body in pieces, blank ones left out."""
    line = _Line()
    for piece in pieces:
        begin = 0
        while (end := piece.find(b"\n", begin)) >= 0:
            line.add(piece[begin:end])
            yield from line.take()
            begin = end + 1
        line.add(piece[begin:])
    yield from line.take()


class _Line:
    """One line that grows; past the limit only its length is kept."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def add(self, part: bytes) -> None:
        self._length += len(part)
        if self._length > split.MAX_ITEM_BYTES:
            self._parts.clear()
        else:
            self._parts.append(part)

    def take(self) -> Iterator[bytes | Oversized]:
        """Yield the line, unless it is blank, and begin the next."""
        line, length = b"".join(self._parts), self._length
        self._parts.clear()
        self._length = 0
        if length > split.MAX_ITEM_BYTES:
            yield Oversized(length)
        elif line.strip():
            yield line
