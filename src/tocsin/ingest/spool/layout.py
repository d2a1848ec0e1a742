"""The spool's folder: what its files are called, and the small numbers kept beside them.

    <first>-<previous>.spool   an SQLite file whose posts start at number `first`;
                               `previous` is the highest number acknowledged before it
    committed                  the highest number acknowledged so far
    deleted                    the highest number that retention deleted
    cursors/<reader>           how far that reader has durably read
    lock                       held by the one writer

Numbers between `previous` and `first` were never acknowledged. As both stand in the name, the
folder alone tells which numbers a damaged or missing file held.
"""

import errno
import os
import zlib
from pathlib import Path
from typing import NamedTuple

from tocsin.disk import sync_folder

SUFFIX = ".spool"
FILE_NUMBERS = 1 << 20
"""A file never gives more numbers than this, so its name bounds them even when it is lost."""

_SIDE_FILES = ("-wal", "-shm", "-journal")
_WRITE_VERSION_OFFSET = 18
_ROLLBACK_JOURNAL = b"\x01\x01"


class SpoolFile(NamedTuple):
    """One file of the spool; sorts by number."""

    first: int
    previous: int
    path: Path


def file_path(directory: Path, first: int, previous: int) -> Path:
    """Return the path of the file that starts at `first`."""
    return directory / f"{first:019d}-{previous:019d}{SUFFIX}"


def spool_files(directory: Path) -> list[SpoolFile]:
    """Return the files of the spool in the order of their numbers."""
    found = []
    for path in directory.glob(f"*{SUFFIX}"):
        first, _, previous = path.stem.partition("-")
        if first.isdecimal() and previous.isdecimal():
            found.append(SpoolFile(int(first), int(previous), path))
    return sorted(found)


def has_side_files(path: Path) -> bool:
    """Tell whether content of the SQLite file may still stand in a -wal or -journal."""
    return any(side_file(path, suffix).exists() for suffix in ("-wal", "-journal"))


def is_sealed(path: Path) -> bool:
    """Tell whether the file is complete in itself and was closed in good order."""
    with path.open("rb") as file:
        file.seek(_WRITE_VERSION_OFFSET)
        return file.read(2) == _ROLLBACK_JOURNAL and not has_side_files(path)


def side_file(path: Path, suffix: str) -> Path:
    """Return the path of a file that SQLite keeps beside `path`."""
    return path.with_name(path.name + suffix)


def remove_file(path: Path) -> None:
    """Delete a spool file with all that SQLite keeps beside it."""
    path.unlink(missing_ok=True)
    for suffix in _SIDE_FILES:
        side_file(path, suffix).unlink(missing_ok=True)


def committed_path(directory: Path) -> Path:
    """Return the path of the number that `HighWater` keeps."""
    return directory / "committed"


def deleted_path(directory: Path) -> Path:
    """Return the path of the highest number that retention deleted."""
    return directory / "deleted"


def cursor_path(directory: Path, reader: str) -> Path:
    """Return the path of a reader's cursor; the name becomes a file name."""
    if not reader.replace("-", "").replace("_", "").isalnum():
        message = f"reader name {reader!r}: letters, digits, - and _ only"
        raise ValueError(message)
    return directory / "cursors" / reader


def cursors(directory: Path) -> list[int]:
    """Return every reader's cursor; one that cannot be read counts as 0."""
    folder = directory / "cursors"
    paths = [path for path in folder.glob("*") if not path.name.startswith(".")]
    return [read_number(path) or 0 for path in paths]


def read_number(path: Path) -> int | None:
    """Return the number in a small file, None when there is none or it is damaged."""
    try:
        data = path.read_bytes()
        number = int(data[:19])
    except (OSError, ValueError):
        return None
    return number if data == _encode(number) else None


def write_number(path: Path, number: int) -> None:
    """Replace the number in a small file so that a crash leaves the old or the new one."""
    aside = path.with_name(f".{path.name}.new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_encode(number))
        file.flush()
        os.fsync(descriptor)
    aside.replace(path)
    sync_folder(path.parent)


class HighWater:
    """The highest acknowledged number, written in place after each commit.

    SQLite drops commits silently when its write-ahead log is damaged; this number, outside the
    log, is what shows it. It is not fsynced each time, which survives a killed process; after
    a power loss it may be old, and the posts found are then the better witness.
    """

    def __init__(self, directory: Path, number: int) -> None:
        path = committed_path(directory)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self.set(number)
        except OSError:
            self.close()
            raise

    def set(self, number: int) -> None:
        """Write `number`; readers in other processes see it at once."""
        data = _encode(number)
        if os.pwrite(self._descriptor, data, 0) != len(data):
            raise OSError(errno.EIO, "short write of the committed number")

    def sync(self) -> None:
        """Make the number survive a power loss."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)


def _encode(number: int) -> bytes:
    digits = b"%019d" % number
    return b"%s %08x\n" % (digits, zlib.crc32(digits))
