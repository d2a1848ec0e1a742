"""Restores a backup into a data folder that nothing runs on.

Everything is read and checked before anything is touched. What was in the folder is moved
aside, never deleted. The store is put in place last: without it, a restore that was killed is
seen to be incomplete, and can be made again.
"""

import io
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

import zstandard
from typing_extensions import override

from tocsin.disk import sync_folder
from tocsin.model.errors import TocsinError
from tocsin.runtime.backup.manifest import (
    CONFIG,
    DATA,
    MAX_BYTES,
    NAME,
    STORE,
    Entry,
    Manifest,
    copy,
    read_manifest,
)
from tocsin.runtime.backup.stage import REPLACED
from tocsin.runtime.processlock import start_alone
from tocsin.store.sqlite import schema

_NEW = ".restore"
# What damage makes of reading: compressed, it can be anything.
_UNREADABLE = (tarfile.TarError, zstandard.ZstdError, ValueError, EOFError, OverflowError)
_UNTOUCHED = frozenset({"lock"})
# Unpacked, it may be a thousand times as large.
_PIECE = 16 * 1024


class Restored(NamedTuple):
    """What was restored, where the configuration is, and where former content was moved to."""

    manifest: Manifest
    config: Path | None
    aside: Path | None


def restore(
    source: Path,
    folder: Path,
    *,
    force: bool,
    started: Callable[[int], None],
    advance: Callable[[int], None],
) -> Restored:
    """Put the content of a backup into a data folder.

    `started` is told how many bytes are read in all, `advance` how many were read since.

    Raises:
        TocsinError: the backup is damaged or newer, the folder is in use, or holds data and
            `force` was not given.
    """
    try:
        manifest = _check(source, started, advance)
        lock = start_alone(folder, wait=0)
        try:
            aside = _aside(folder, force=force)
            return _unpack(source, manifest, folder, aside, advance)
        finally:
            lock.close()
    except (*_UNREADABLE, OSError) as error:
        message = f"{source} cannot be restored to {folder}: {error}"
        raise TocsinError(message) from error


def _check(
    source: Path, started: Callable[[int], None], advance: Callable[[int], None]
) -> Manifest:
    """Read all of the backup and compare it with its manifest."""
    with _opened(source) as entries:
        manifest = _first(entries, source)
        started(2 * manifest.total)
        _each(entries, manifest, source, lambda _: None, advance)
    return manifest


def _unpack(
    source: Path,
    manifest: Manifest,
    folder: Path,
    aside: Path | None,
    advance: Callable[[int], None],
) -> Restored:
    new = folder / _NEW
    shutil.rmtree(new, ignore_errors=True)
    with _opened(source) as entries:
        _first(entries, source)
        _each(entries, manifest, source, lambda entry: _target(new, entry), advance)
    # Moved now and not before: until here the folder was as it had been.
    if aside is not None:
        _move(_content(folder), aside)
    store = new / STORE
    _move([path for path in (new / DATA).iterdir() if path != store], folder)
    if (new / CONFIG).exists():
        (new / CONFIG).rename(folder / CONFIG)
    _move([store], folder)
    shutil.rmtree(new)
    config = folder / CONFIG
    return Restored(manifest, config if config.exists() else None, aside)


@contextmanager
def _opened(source: Path) -> Iterator["_Entries"]:
    with (
        source.open("rb") as raw,
        _Plain(raw) as plain,
        tarfile.open(fileobj=plain, mode="r|") as archive,
    ):
        yield ((info, archive.extractfile(info)) for info in archive)
        # The checksum stands at the very end.
        while plain.read(_PIECE):
            continue


class _Plain(io.RawIOBase):
    """What a compressed file says; one that is cut short or damaged raises ZstdError."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._ready = b""

    @override
    def readable(self) -> bool:
        return True

    @override
    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most `size`; nothing at the end."""
        while not self._ready and not self._frame.eof:
            piece = self._packed.read(_PIECE)
            if not piece:
                message = "the file is cut short"
                raise zstandard.ZstdError(message)
            self._ready = self._frame.decompress(piece)
        end = len(self._ready) if size < 0 else size
        found, self._ready = self._ready[:end], self._ready[end:]
        return found


_Entries = Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]


def _first(entries: _Entries, source: Path) -> Manifest:
    info, content = next(entries, (None, None))
    if info is None or content is None or info.name != NAME or info.size > MAX_BYTES:
        message = f"{source} is no backup of Tocsin"
        raise TocsinError(message)
    return read_manifest(content.read(), str(source), len(schema.migrations()))


def _each(
    entries: _Entries,
    manifest: Manifest,
    source: Path,
    target: Callable[[Entry], IO[bytes] | None],
    advance: Callable[[int], None],
) -> None:
    """Read the files that the manifest names, in its order, into their targets if they have one."""
    for entry in manifest.files:
        info, content = next(entries, (None, None))
        if info is None or content is None or (info.name, info.size) != (entry.path, entry.size):
            _refuse(source, entry)
        into = target(entry)
        try:
            digest = copy(content, into, advance)
            if into is not None:
                into.flush()
                os.fsync(into.fileno())
        finally:
            if into is not None:
                into.close()
        if digest != entry.sha256:
            _refuse(source, entry)


def _refuse(source: Path, entry: Entry) -> NoReturn:
    message = f"{source} is damaged at {entry.path}: use another backup; nothing was restored"
    raise TocsinError(message)


def _target(new: Path, entry: Entry) -> IO[bytes]:
    path = new / entry.path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _aside(folder: Path, *, force: bool) -> Path | None:
    """Return where what is in the folder is to go, None if there is nothing.

    Raises:
        TocsinError: there is something, and `force` was not given.
    """
    found = _content(folder)
    if not found:
        return None
    if not force:
        names = ", ".join(sorted(path.name for path in found)[:3])
        message = (
            f"{folder} holds data already ({names}, ...): restore to another --data, or with "
            "--force, which moves it aside"
        )
        raise TocsinError(message)
    stamp = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return folder / f"{REPLACED}{stamp}"


def _content(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.iterdir()
        if path.name not in _UNTOUCHED and not path.name.startswith((REPLACED, "."))
    ]


def _move(paths: list[Path], target: Path) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    for path in paths:
        path.rename(target / path.name)
    sync_folder(target)
