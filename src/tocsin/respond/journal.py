"""The journal: what becomes of every response, written before it is acted on.

One line of JSON per entry, appended and forced to the disk before `append` returns. Each line
ends with a code made of all before it, of the line before and of a key, so that no line can
be changed, taken out or moved without being noticed. The store keeps the last line's number and
code (the head), so that it shows, too, when lines are missing at the end.

A line that a crash cut short was never acted on: it is put aside. Whatever else is wrong, the
journal is not written any more, and so nothing is done, until a person has looked at it.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tocsin.disk import replace_file, sync_folder
from tocsin.failpoint import Failpoint
from tocsin.model.errors import TocsinError
from tocsin.model.response import Entry, State
from tocsin.respond.chain import Chain, Fault, Head, Line, journal_key, opened, seal

__all__ = ["Fault", "Head", "Journal", "JournalError", "journal_key", "read", "verify"]

_after_write = Failpoint("journal.after_write")
_after_sync = Failpoint("journal.after_sync")
_after_aside = Failpoint("journal.after_aside")


class JournalError(TocsinError):
    """The journal cannot be trusted or written, so nothing may be done."""


class Journal:
    """The one writer of a journal; a second one is refused."""

    def __init__(self, path: Path, key: bytes, head: Head | None = None) -> None:
        """Open the journal, creating it, and check all of it.

        Args:
            path: the file.
            key: made by `journal_key`.
            head: number and code of the last line that is known from elsewhere, if any.

        Raises:
            JournalError: it was changed, or is in use, or cannot be read or written.
        """
        self._path = path
        self._key = key
        self._torn: str | None = None
        self._failed = False
        try:
            self._descriptor = _open(path)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            self._head = self._checked(head)
            self._length = os.fstat(self._descriptor).st_size
        except OSError as error:
            os.close(self._descriptor)
            raise _unusable(path, error) from error
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def head(self) -> Head:
        """Number and code of the last line; 0 and nothing in an empty journal."""
        return self._head

    def append(
        self,
        response: str,
        state: State | None,
        text: str,
        *,
        now: float,
        who: str = "tocsin",
        data: Mapping[str, object] | None = None,
    ) -> Entry:
        """Write an entry; when this returns, it is on the disk.

        Raises:
            JournalError: it is not, and what it announces must not be done.
        """
        data = dict(data or {})
        if self._torn is not None:
            data["torn"] = self._torn
        entry, line = seal(
            Entry(
                seq=self._head.seq + 1,
                time=now,
                response=response,
                state=state,
                text=text,
                who=who,
                data=data,
                previous=self._head.code,
            ),
            self._key,
        )
        try:
            self._write(line)
        except OSError as error:
            self._failed = True
            raise _unusable(self._path, error) from error
        self._head = Head(entry.seq, entry.code)
        self._torn = None
        return entry

    def entries(self) -> Iterator[Entry]:
        """Return the entries, the first one first."""
        return read(self._path, self._key)

    def close(self) -> None:
        """Let another one write."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        if self._failed:
            # What a failed write left there was never acted on.
            os.ftruncate(self._descriptor, self._length)
        self._refuse_strangers()
        left = line
        while left:
            left = left[os.write(self._descriptor, left) :]
        _after_write()
        os.fsync(self._descriptor)
        _after_sync()
        self._failed = False
        self._length += len(line)

    def _refuse_strangers(self) -> None:
        """Make sure that the file is the one that was checked, and as long as we left it."""
        ours, named = os.fstat(self._descriptor), self._path.stat()
        if (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino):
            message = f"{self._path}: the journal was replaced by another file"
            raise JournalError(message)
        if ours.st_size != self._length:
            message = f"{self._path}: another program has written to the journal"
            raise JournalError(message)

    def _checked(self, known: Head | None) -> Head:
        """Return the head after a check of all lines, and put a torn one aside."""
        chain = Chain(self._key, known)
        for line in _lines(self._path):
            chain.take(line)
        if wrong := [fault for fault in chain.faults() if fault.kind != "torn"]:
            message = (
                f"{self._path}: {wrong[0]}; nothing is done until a person has settled this:"
                " tocsin respond verify"
            )
            raise JournalError(message)
        if chain.torn is not None:
            self._put_aside(chain.torn)
        return chain.head

    def _put_aside(self, line: Line) -> None:
        aside = self._path.with_name(f"{self._path.name}.torn-{line.number}")
        replace_file(aside, line.content)
        _after_aside()
        os.ftruncate(self._descriptor, line.start)
        os.fsync(self._descriptor)
        self._torn = aside.name


def verify(path: Path, key: bytes, head: tuple[int, str] | None = None) -> list[Fault]:
    """Return what is wrong with a journal; nothing, or only a torn line, is as it should be.

    Args:
        path: the journal; one that does not exist is empty.
        key: made by `journal_key`.
        head: number and code of the last line that the store knows, if any.

    Raises:
        OSError: it cannot be read.
    """
    chain = Chain(key, Head(*head) if head else None)
    if path.exists():
        for line in _lines(path):
            chain.take(line)
    return chain.faults()


def read(path: Path, key: bytes) -> Iterator[Entry]:
    """Yield the entries of a journal, the first one first; a torn line is left out.

    Raises:
        JournalError: a line is not what was written, or it cannot be read.
    """
    try:
        for line in _lines(path):
            entry = None if line.torn else opened(line.content, key)
            if entry is not None:
                yield entry
            elif not line.torn:
                message = f"{path}: line {line.number} is not what was written"
                raise JournalError(message)
    except OSError as error:
        raise _unusable(path, error) from error


def _lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a journal; a crash may have torn the last one.

    Raises:
        OSError: it cannot be read.
    """
    start = 0
    with path.open("rb") as file:
        following = file.readline()
        number = 0
        while content := following:
            following = file.readline()
            number += 1
            # After a power cut parts of what was not forced to the disk may read as zeros.
            torn = not following and (not content.endswith(b"\n") or b"\0" in content)
            yield Line(number, start, content.removesuffix(b"\n"), torn)
            start += len(content)


def _open(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sync_folder(path.parent)
    except BlockingIOError as error:
        os.close(descriptor)
        message = f"{path}: another responder is writing this journal"
        raise JournalError(message) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _unusable(path: Path, error: OSError) -> JournalError:
    return JournalError(f"{path}: the journal cannot be used: {error.strerror}")
