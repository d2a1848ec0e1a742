"""Cut an EventList or a JSON array into its items without decoding it.

Used where the decoder refuses a batch, to set aside the bad item only, and for bodies too
large to decode at once. It keeps no tree and does not recurse, so no nesting, size or
number of items can exhaust memory: it holds one item, up to a limit.
"""

from collections.abc import Iterator
from dataclasses import dataclass

# An API server's largest event: two bodies of 3 MiB, escaped, and its own limit of 8 MiB.
MAX_ITEM_BYTES = 32 * 1024 * 1024

_QUOTE, _COMMA = b'"', 0x2C
_OPEN, _CLOSE = frozenset(b"[{"), frozenset(b"]}")
_OPEN_ARRAY, _BLANK = 0x5B, frozenset(b" \t\r\n")
# How much of a key is kept to recognise it.
_HEAD = 8


@dataclass(frozen=True, slots=True)
class Oversized:
    """Stands for an item larger than MAX_ITEM_BYTES, whose bytes were not kept."""

    length: int


class ItemSplitter:
    """Feed it pieces of a body, get back the bytes of each complete item.

    Items are the elements of the top-level array, or of the array under the top-level key
    `items`. Anything else of the document is skipped.
    """

    def __init__(self) -> None:
        self._piece = b""
        self._position = 0
        self._depth = 0
        self._in_string = False
        self._escaped = 0
        self._head = b""
        self._items_depth: int | None = None
        self._found_items = False
        self._item_start: int | None = None
        # What earlier pieces held of the item that is open, and its length.
        self._begun: list[bytes] = []
        self._begun_length = 0

    def feed(self, piece: bytes) -> Iterator[bytes | Oversized]:
        """Yield the items that are complete with this piece."""
        self._piece, self._position = piece, 0
        while self._position < len(piece):
            if self._in_string:
                self._skip_string()
            else:
                yield from self._scan_gap()
        self._keep_begun()

    def rest(self) -> bytes:
        """Return what is left of an item that the document ended in the middle of."""
        return b"".join(self._begun)

    @property
    def found_items(self) -> bool:
        """Whether the document has an array of items at all."""
        return self._found_items

    @property
    def complete(self) -> bool:
        """Whether everything that was opened is closed."""
        return self._depth == 0 and not self._in_string

    def _skip_string(self) -> None:
        end = self._piece.find(_QUOTE, self._position)
        part = self._piece[self._position : end if end >= 0 else None]
        backslashes = len(part) - len(part.rstrip(b"\\"))
        if backslashes == len(part):
            backslashes += self._escaped
        if self._depth == 1:
            self._head = (self._head + part[:_HEAD])[:_HEAD]
        self._escaped = backslashes % 2 if end < 0 else 0
        self._position = end + 1 if end >= 0 else len(self._piece)
        self._in_string = end < 0 or backslashes % 2 == 1

    def _scan_gap(self) -> Iterator[bytes | Oversized]:
        """Walk over the structure up to the next string."""
        quote = self._piece.find(_QUOTE, self._position)
        end = len(self._piece) if quote < 0 else quote
        for index in range(self._position, end):
            byte = self._piece[index]
            if byte not in _BLANK:
                item = self._structure(byte, index)
                if item is not None:
                    yield item
        if quote >= 0:
            self._begin_item(quote)
            self._in_string = True
            if self._depth == 1:
                self._head = b""
            end = quote + 1
        self._position = end

    def _structure(self, byte: int, index: int) -> bytes | Oversized | None:
        inside = self._depth == self._items_depth
        if inside and (byte == _COMMA or byte in _CLOSE):
            item = self._end_item(index)
            if byte in _CLOSE:
                self._depth -= 1
                self._items_depth = None
            return item
        self._begin_item(index)
        if byte in _OPEN:
            self._depth += 1
            is_list = byte == _OPEN_ARRAY
            if self._items_depth is None and is_list and self._is_items():
                self._items_depth = self._depth
                self._found_items = True
        elif byte in _CLOSE:
            self._depth -= 1
        return None

    def _is_items(self) -> bool:
        return self._depth == 1 or (self._depth == 2 and self._head == b"items")  # noqa: PLR2004

    def _begin_item(self, index: int) -> None:
        if self._depth == self._items_depth and self._item_start is None:
            self._item_start = index

    def _end_item(self, index: int) -> bytes | Oversized | None:
        start, self._item_start = self._item_start, None
        if start is None:
            return None
        last = self._piece[start:index]
        begun, self._begun = self._begun, []
        length, self._begun_length = self._begun_length + len(last), 0
        if length > MAX_ITEM_BYTES:
            return Oversized(length)
        return b"".join([*begun, last]).rstrip()

    def _keep_begun(self) -> None:
        """Keep what this piece has of an item that goes on, unless that is too large."""
        if self._item_start is None:
            return
        part = self._piece[self._item_start :]
        self._item_start = 0
        self._begun_length += len(part)
        if self._begun_length > MAX_ITEM_BYTES:
            self._begun.clear()
        else:
            self._begun.append(part)
