"""The first entry of a backup: what it holds, with a digest of each file."""

import hashlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO

import msgspec

from tocsin.model.errors import TocsinError

NAME = "manifest.json"
CONFIG = "tocsin.yaml"
DATA = "data"
STORE = f"{DATA}/tocsin.db"
FORMAT = 1
MAX_BYTES = 16 << 20
BLOCK = 1 << 20


class Entry(msgspec.Struct, frozen=True):
    """A file: its path in the backup, its size in bytes, its SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds.

    Attributes:
        format: the form of the backup; this version writes and reads `FORMAT`.
        tocsin: the version that made it.
        created: when, in seconds since the epoch.
        schema: migrations the store has seen.
        position: the number of the last post that the store has evaluated.
        events: whether the stored events are in it.
        files: all files, in their order.
    """

    format: int
    tocsin: str
    created: float
    schema: int
    position: int
    events: bool
    files: tuple[Entry, ...]

    @property
    def total(self) -> int:
        """The bytes of all files."""
        return sum(entry.size for entry in self.files)


def read_manifest(data: bytes, source: str, newest_schema: int) -> Manifest:
    """Return a manifest whose backup this version can restore.

    Raises:
        TocsinError: it is damaged, from a newer version, or names a place outside the folder.
    """
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        message = f"{source} is no backup of Tocsin, or damaged: {error}"
        raise TocsinError(message) from error
    if found.format > FORMAT or found.schema > newest_schema:
        message = (
            f"{source} was made by a newer Tocsin ({found.tocsin}): restore it with that version"
        )
        raise TocsinError(message)
    paths = [entry.path for entry in found.files]
    bad = [path for path in paths if not _is_inside(path)]
    if bad or len(set(paths)) != len(paths) or STORE not in paths:
        message = f"{source} is no proper backup: {bad[0] if bad else 'its list of files'!r}"
        raise TocsinError(message)
    return found


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    if path == CONFIG:
        return True
    return len(parts) > 1 and parts[0] == DATA and ".." not in parts and "/".join(parts) == path


def copy(source: IO[bytes], target: IO[bytes] | None, advance: Callable[[int], None]) -> str:
    """Copy a file, or only read it, and return its SHA-256; tell how far it got in bytes."""
    digest = hashlib.sha256()
    while block := source.read(BLOCK):
        digest.update(block)
        if target is not None:
            target.write(block)
        advance(len(block))
    return digest.hexdigest()
