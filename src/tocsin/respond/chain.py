"""The lines of the journal: each carries a code, and what is wrong with them can be told.

Without the key nobody can write a line, change one, or put one in another place. Who has the
key, and the journal, and the store with the head, can.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec
from typing_extensions import override

from tocsin.model.response import Entry

FaultKind = Literal["edited", "removed", "reordered", "replaced", "truncated", "torn"]

MAX_FAULTS = 100
"""So many are told; a journal read with the wrong key has one per line."""

_CODE_BYTES = 16
_END = b'"}'
_CODE = slice(-len(_END) - 2 * _CODE_BYTES, -len(_END))

_decoder = msgspec.json.Decoder(Entry)


class Head(NamedTuple):
    """Number and code of the last line; 0 and nothing before the first."""

    seq: int = 0
    code: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line, counted from 1. One that is `torn` was never acted on."""

    kind: FaultKind
    line: int
    text: str

    @override
    def __str__(self) -> str:
        """Return the sentence that people read."""
        return f"line {self.line}: {self.text}"


class Line(NamedTuple):
    """A line without its end; `start` is where it stands in the file."""

    number: int
    start: int
    content: bytes
    torn: bool


def journal_key(spool_key: bytes) -> bytes:
    """Return the key of the journal, made from the key of the data folder."""
    return hashlib.blake2b(spool_key, digest_size=32, person=b"tocsin-journal").digest()


def seal(entry: Entry, key: bytes) -> tuple[Entry, bytes]:
    """Return the entry with its code, and its line."""
    body = msgspec.json.encode(msgspec.structs.replace(entry, code=""))
    code = _code(body, key)
    line = body.removesuffix(_END) + code.encode() + _END + b"\n"
    return msgspec.structs.replace(entry, code=code), line


def opened(content: bytes, key: bytes) -> Entry | None:
    """Return the entry of a line; None if it is not what was written."""
    body = content[: _CODE.start] + _END
    if not content.endswith(_END) or not hmac.compare_digest(
        content[_CODE], _code(body, key).encode()
    ):
        return None
    return _decoder.decode(content)


class Chain:
    """Takes the lines of a journal one by one, and notes what is wrong with them."""

    def __init__(self, key: bytes, known: Head | None = None) -> None:
        """Begin before the first line; `known` is a head that the journal once had."""
        self._key = key
        self._known = known or Head()
        self._faults: list[Fault] = []
        self._gaps: list[tuple[int, range]] = []
        self._late: set[int] = set()
        self._stand_ins: set[int] = set()
        self._next = 1
        # None after a line whose code is not known.
        self._last: str | None = ""
        self.torn: Line | None = None

    @property
    def head(self) -> Head:
        """Number and code of the last line so far."""
        return Head(self._next - 1, self._last or "")

    def take(self, line: Line) -> Entry | None:
        """Take the next line; return its entry unless it was changed."""
        if line.torn:
            self.torn = line
            return None
        entry = opened(line.content, self._key)
        if entry is None:
            self._note("edited", line.number, "it is not what was written here")
            self._stand_ins.add(self._next)
            self._next += 1
            self._last = None
            return None
        self._place(entry, line.number)
        if entry.seq == self._known.seq and entry.code != self._known.code:
            self._note("replaced", line.number, f"entry {entry.seq} is not the one known before")
        return entry

    def faults(self) -> list[Fault]:
        """Return what is wrong, once all lines were taken."""
        removed = [
            Fault("removed", line, f"{_entries(missing)} missing before it")
            for line, gap in self._gaps
            if (missing := [seq for seq in gap if seq not in self._late])
        ]
        faults = sorted([*self._faults, *removed], key=lambda fault: fault.line)
        last = self._next - 1
        if last < self._known.seq:
            cut = range(self._next, self._known.seq + 1)
            faults.append(Fault("truncated", last + 1, f"{_entries(cut)} missing at the end"))
        elif self.torn is not None:
            text = "a crash cut it short; what it announces was not done"
            faults.append(Fault("torn", self.torn.number, text))
        return faults[:MAX_FAULTS]

    def _place(self, entry: Entry, line: int) -> None:
        """Note where an entry stands that should stand elsewhere."""
        if entry.seq < self._next and entry.seq not in self._stand_ins:
            self._late.add(entry.seq)
            self._note("reordered", line, f"entry {entry.seq} does not belong here")
            return
        if entry.seq > self._next:
            self._gaps.append((line, range(self._next, entry.seq)))
        elif self._last not in (None, entry.previous):
            self._note("replaced", line, f"entry {entry.seq} does not follow the one before it")
        self._stand_ins.discard(entry.seq)
        self._next = entry.seq + 1
        self._last = entry.code

    def _note(self, kind: FaultKind, line: int, text: str) -> None:
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(Fault(kind, line, text))


def _entries(missing: Sequence[int]) -> str:
    if len(missing) == 1:
        return f"entry {missing[0]} is"
    return f"{len(missing)} entries ({missing[0]} to {missing[-1]}) are"


def _code(body: bytes, key: bytes) -> str:
    return hashlib.blake2b(body, key=key, digest_size=_CODE_BYTES).hexdigest()
