"""A log file and its rotated predecessors: which file is which, and reading one to its end.

Names and inodes change when a log is rotated, compressed or copied, so a file is known by its
first line: an audit event with its id and time.
"""

import contextlib
import glob
import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

_HEAD_BYTES = 4096
_READ_BYTES = 1024 * 1024
_BATCH_LINES = 500
# What is longer is cut: better an event in quarantine than no memory left.
_MAX_LINE_BYTES = 64 * 1024 * 1024

_GZIP = ".gz"
_LUMBERJACK_TIME = re.compile(r"-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})")
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)


class Identity(NamedTuple):
    """What tells files apart; `head` digests the first line, empty while that is incomplete."""

    inode: int
    head: str


class LogFile:
    """One open log file, read from an offset, by complete lines."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        """Open `path`; raises OSError if that cannot be done."""
        self.path = path.resolve()
        self.offset = offset
        self.ended = False
        self.damaged = False
        self._file = _open(path)
        self._head = ""
        self._lines = b""
        self._partial = b""
        try:
            self._head = _digest(self._file.read(_HEAD_BYTES))
            self._file.seek(offset)
        except _DAMAGED:
            self.damaged = True

    @property
    def identity(self) -> Identity:
        """How to find this file again under another name."""
        return Identity(self._stat().st_ino, self._head)

    def is_at(self, path: Path) -> bool:
        """Whether `path` names this file now."""
        return os.path.samestat(path.stat(), self._stat())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def batch(self) -> bytes:
        """Return the next lines without going past them; b"" if no line is complete.

        Once the file has `ended`, a last line without its line end counts as complete.
        """
        if not self._lines:
            self._fill()
        return self._lines[: _end_of(self._lines, _BATCH_LINES)]

    def advance(self, size: int) -> None:
        """Go past `size` bytes of the batch."""
        self.offset += size
        self._lines = self._lines[size:]

    def was_cut(self) -> bool:
        """Whether the file was truncated, and perhaps written anew, since it was opened.

        Asked after reading: what was read before a cut is still in the copy that was made.
        """
        if isinstance(self._file, gzip.GzipFile):
            return False
        if self._stat().st_size < self.offset + len(self.unsent()):
            return True
        return self._head not in ("", self._read_head())

    def unsent(self) -> bytes:
        """Return what was read from the file after `offset`."""
        return self._lines + self._partial

    def _fill(self) -> None:
        """Read until a line is complete, the file is at its end, or the line is too long."""
        pieces = [self._partial]
        size = len(self._partial)
        while size < _MAX_LINE_BYTES and (data := self._read()):
            end = data.rfind(b"\n") + 1
            if end:
                self._lines = b"".join([*pieces, data[:end]])
                self._partial = data[end:]
                return
            pieces.append(data)
            size += len(data)
        self._partial = b"".join(pieces)
        if self.ended or size >= _MAX_LINE_BYTES:
            self._lines, self._partial = self._partial, b""

    def _read(self) -> bytes:
        try:
            data: bytes = self._file.read(_READ_BYTES)
        except _DAMAGED:
            self.damaged = True
            return b""
        if not self._head:
            self._head = self._read_head()
        return data

    def _read_head(self) -> str:
        return _digest(os.pread(self._file.fileno(), _HEAD_BYTES, 0))

    def _stat(self) -> os.stat_result:
        return os.fstat(self._file.fileno())


def rotated_files(path: Path) -> list[Path]:
    """Return the rotated files of the log at `path`, oldest first.

    Known are lumberjack's names (audit-<time>.log), as of API servers, and logrotate's
    (audit.log.1, audit.log-20260101), each with or without .gz.
    """
    stem, suffix, name = (glob.escape(part) for part in (path.stem, path.suffix, path.name))
    patterns = (f"{stem}-[0-9]*{suffix}", f"{stem}-[0-9]*{suffix}{_GZIP}", f"{name}[.-][0-9]*")
    found = {file for pattern in patterns for file in path.parent.glob(pattern)}
    # A file that is just being compressed exists twice; the whole one counts.
    whole = [f for f in found if not (f.suffix == _GZIP and f.with_suffix("") in found)]
    ages = []
    for file in whole:
        with contextlib.suppress(OSError):
            ages.append((_rotated_at(file), file))
    return [file for _, file in sorted(ages)]


def locate(wanted: Identity, paths: Sequence[Path]) -> int | None:
    """Return the index of the path where the file is now, or its copy, or None."""
    identities = [_identify(path) for path in paths]
    if wanted in identities:
        return identities.index(wanted)
    heads = [identity.head for identity in identities]
    return heads.index(wanted.head) if wanted.head and wanted.head in heads else None


def _identify(path: Path) -> Identity:
    try:
        with contextlib.closing(LogFile(path)) as file:
            return file.identity
    except OSError:
        return Identity(0, "")


def _open(path: Path) -> gzip.GzipFile | io.FileIO:
    return gzip.open(path) if path.suffix == _GZIP else path.open("rb", buffering=0)


def _digest(start: bytes) -> str:
    end = start.find(b"\n") + 1 or _HEAD_BYTES
    return hashlib.sha256(start[:end]).hexdigest() if len(start) >= end else ""


def _rotated_at(path: Path) -> float:
    """Return when the file was rotated: as its name says, else when it was written last."""
    match = _LUMBERJACK_TIME.search(path.name)
    if match is not None:
        with contextlib.suppress(ValueError):
            return datetime.strptime(f"{match[1]}Z", "%Y-%m-%dT%H-%M-%S.%f%z").timestamp()
    return path.stat().st_mtime


def _end_of(lines: bytes, count: int) -> int:
    """Return where the first `count` lines end."""
    if lines.count(b"\n") <= count:
        return len(lines)
    end = 0
    for _ in range(count):
        end = lines.index(b"\n", end) + 1
    return end
