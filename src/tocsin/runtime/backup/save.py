"""Writes a backup: a tar file, compressed by zstd, that only its owner may read."""

import hashlib
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple

import msgspec
import zstandard

from tocsin import __version__
from tocsin.model.errors import TocsinError
from tocsin.runtime.backup.manifest import FORMAT, NAME, Entry, Manifest
from tocsin.runtime.backup.stage import WORK, Staged, stage
from tocsin.runtime.config import Config

_LEVEL = 3


class Saved(NamedTuple):
    """What was saved, in how many bytes, and how many posts had not been evaluated yet."""

    manifest: Manifest
    size: int
    behind: int


def save(
    config: Config,
    config_file: Path | None,
    target: Path,
    *,
    events: bool,
    started: Callable[[int], None],
    advance: Callable[[int], None],
) -> Saved:
    """Write a backup of a data folder, whether Tocsin runs on it or not.

    `started` is told how many bytes there are, `advance` how many were written since.

    Raises:
        TocsinError: the target exists, or something cannot be read or written.
    """
    if target.exists():
        message = f"{target} exists already: name another file, or remove it"
        raise TocsinError(message)
    try:
        with _work_folder(config.folder) as work:
            staged = stage(config, config_file, work, events=events)
            manifest = _manifest(staged, events=events)
            started(manifest.total)
            size = _write(staged.folder, manifest, target, advance)
            return Saved(manifest, size, staged.behind)
    except OSError as error:
        message = f"the backup {target} cannot be made: {error}"
        raise TocsinError(message) from error


@contextmanager
def _work_folder(data: Path) -> Iterator[Path]:
    """Make a folder on the disk of the data, and remove it, with what a killed backup left."""
    if not data.is_dir():
        message = f"there is no data folder {data}: name it with --data"
        raise TocsinError(message)
    for left in data.glob(f"{WORK}-*"):
        if not _is_alive(left.name.rpartition("-")[2]):
            shutil.rmtree(left)
    work = data / f"{WORK}-{os.getpid()}"
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _is_alive(pid: str) -> bool:
    return pid.isdecimal() and Path("/proc", pid).exists()


def _manifest(staged: Staged, *, events: bool) -> Manifest:
    files = sorted(path for path in staged.folder.rglob("*") if path.is_file())
    return Manifest(
        format=FORMAT,
        tocsin=__version__,
        created=time.time(),
        schema=staged.schema,
        position=staged.position,
        events=events,
        files=tuple(_entry(path, staged.folder) for path in files),
    )


def _entry(path: Path, folder: Path) -> Entry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Entry(path.relative_to(folder).as_posix(), path.stat().st_size, digest)


def _write(folder: Path, manifest: Manifest, target: Path, advance: Callable[[int], None]) -> int:
    """Write the archive under another name first, so that what has the name is whole."""
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            # The checksum covers what no digest does: the names and the room between files.
            compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
            with (
                compressor.stream_writer(raw, closefd=False) as packed,
                tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
            ):
                text = msgspec.json.format(msgspec.json.encode(manifest))
                _add(archive, NAME, len(text), BytesIO(text))
                for entry in manifest.files:
                    with (folder / entry.path).open("rb") as file:
                        _add(archive, entry.path, entry.size, _Told(file, advance))
            raw.flush()
            os.fsync(raw.fileno())
            size = raw.tell()
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return size


def _add(archive: tarfile.TarFile, name: str, size: int, content: "_Told | BytesIO") -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o600
    archive.addfile(info, content)


class _Told:
    """A file that tells how much was read of it."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None]) -> None:
        self._file = file
        self._advance = advance

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._advance(len(data))
        return data
