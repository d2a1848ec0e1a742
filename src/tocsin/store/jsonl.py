"""`alerts.jsonl`: the stored alerts as ASCII JSON lines, for tools that read files.

Alerts that suppression or a silence hides are not among them.

Other logs of the same kind differ in how a line is written, and in its alert's id.

The log is a view of the store and needs no bookkeeping of its own: its last complete line
tells how far it got, so a kill at any moment neither loses nor repeats a line. It is not
synced to disk, because what a power loss takes from it is written again from the store.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tocsin.model.alert import to_json_line
from tocsin.model.ports import AlertFilter, AlertSource, StoredAlert

_BATCH = 500
# Hidden alerts are read too, and left out of the log: else each look would pass over them anew.
_EVERY_ROW = AlertFilter(hidden="with")


class _Line(msgspec.Struct):
    """What the log reads back of a line."""

    id: str


_decode_line = msgspec.json.Decoder(_Line).decode


@dataclass(frozen=True, slots=True)
class LineForm:
    """How a log writes an alert, and which alert an `id` in it is."""

    line: Callable[[StoredAlert], bytes]
    alert_id: Callable[[str], str]


OWN_FORM = LineForm(lambda stored: to_json_line(stored.alert), lambda found: found)


class AlertLog:
    """Appends stored alerts to a file and rotates it: `alerts.jsonl`, `alerts.jsonl.1`, ...

    `keep` counts the rotated files. One process writes. A log that somebody removed is written
    again from the store.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int, form: LineForm = OWN_FORM) -> None:
        self._path = path
        self._form = form
        self._max_bytes = max_bytes
        self._keep = keep
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file, self._size = _open_for_append(path)
        self._position: int | None = None
        self._written: frozenset[str] = frozenset()
        self._drop_torn_end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def catch_up(self, source: AlertSource) -> int:
        """Append what the store has and the log has not, and return the number of lines.

        Call it at the start and after each recording; after an error, the next call goes on
        where this one stopped.

        Raises:
            OSError: the log cannot be written; no partial line is left in it.
            StoreUnavailable: the store cannot be read now.
        """
        if self._position is None:
            self._position = self._find_position(source)
        lines = 0
        while rows := source.follow(self._position, _BATCH, _EVERY_ROW):
            for row in rows:
                if row.hidden_by is None and row.alert.id not in self._written:
                    self._append(self._form.line(row))
                    lines += 1
                self._position = row.seq
        return lines

    def _find_position(self, source: AlertSource) -> int:
        last = _last_line(self._path)[0] or _last_line(self._rotated(1))[0]
        if last is None:
            return 0
        stored = source.alert(self._form.alert_id(last))
        if stored is not None:
            return stored.seq
        # The store is younger than the log: a damaged one was replaced, or the alert pruned.
        files = [self._path, *(self._rotated(number) for number in range(1, self._keep + 1))]
        self._written = frozenset(
            self._form.alert_id(found) for path in files for found, _ in _lines(path)
        )
        return 0

    def _append(self, line: bytes) -> None:
        if self._size and self._size + len(line) > self._max_bytes:
            self._rotate()
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    def _rotated(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _rotate(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            if self._rotated(number).exists():
                self._rotated(number).replace(self._rotated(number + 1))
        if self._keep:
            self._path.replace(self._rotated(1))
        else:
            self._path.unlink()
        old = self._file
        self._file, self._size = _open_for_append(self._path)
        os.close(old)

    def _drop_torn_end(self) -> None:
        """Cut off what a kill in the middle of a write, or a power loss, left at the end."""
        _, self._size = _last_line(self._path)
        os.ftruncate(self._file, self._size)


def _open_for_append(path: Path) -> tuple[int, int]:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    return descriptor, os.fstat(descriptor).st_size


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the alert id and the end offset of every complete, readable line."""
    if not path.exists():
        return
    end = 0
    with path.open("rb") as file:
        for line in file:
            end += len(line)
            if not line.endswith(b"\n"):
                return
            try:
                found = _decode_line(line)
            except (msgspec.MsgspecError, UnicodeError):
                continue
            yield found.id, end


def _last_line(path: Path) -> tuple[str | None, int]:
    ends = deque(_lines(path), maxlen=1)
    return ends[0] if ends else (None, 0)
