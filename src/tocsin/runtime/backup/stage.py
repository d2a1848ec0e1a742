"""Gathers what goes into a backup, while Tocsin runs or not, so that the parts fit together.

The order matters. What the store's position stands on is never newer than the store: the
positions in followed logs and the alert log are taken before it. Events it has not evaluated
yet are never older: the spool is taken after it, except that its finished files are held
(as hard links) from the start, because retention may delete them meanwhile. The journal of
responses is taken after it, too: a journal shorter than the store knows counts as cut off.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tocsin.ingest.spool.layout import (
    committed_path,
    cursor_path,
    deleted_path,
    is_sealed,
    read_number,
    spool_files,
    write_number,
)
from tocsin.ingest.spool.retention import free_bytes
from tocsin.model.errors import TocsinError
from tocsin.runtime.backup.manifest import CONFIG, DATA
from tocsin.runtime.config import Config
from tocsin.runtime.doctor.disk import in_units
from tocsin.runtime.responding import journal_path

READER = "detector"
WORK = ".backup"
# What a restore put aside.
REPLACED = "replaced-"

_SKIPPED = ("-wal", "-shm", ".lock", ".new", ".tar.zst")
# Logins that count must not come back to life, nor stand in a file that is kept for years.
_PRUNE_COPY = ("DELETE FROM session", "DELETE FROM login", "DELETE FROM setup")


class Staged(NamedTuple):
    """The folder with the files, and what the store in it says of itself."""

    folder: Path
    schema: int
    position: int
    behind: int


def stage(config: Config, config_file: Path | None, work: Path, *, events: bool) -> Staged:
    """Put copies of all that is to be saved into the folder `work`.

    Raises:
        TocsinError: there is no store, it is damaged, or the disk has no room for a copy.
    """
    if not config.store_path.exists():
        message = f"there is no store at {config.store_path}: nothing to back up"
        raise TocsinError(message)
    _need_room(config.store_path)
    data = work / DATA
    data.mkdir(mode=0o700, parents=True)
    if config_file is not None:
        shutil.copyfile(config_file, work / CONFIG)
    for path in _ordinary_files(config, events=events):
        _copy(path, data / path.relative_to(config.folder))
    if events:
        _hold_finished(config.spool_folder, data / "spool")
    store = data / config.store_path.name
    schema, position = _copy_store(config.store_path, store)
    _copy(journal_path(config), data / journal_path(config).relative_to(config.folder))
    if events:
        _copy_spool(config.spool_folder, data / "spool")
    _write_numbers(data / "spool", position)
    acknowledged = read_number(committed_path(config.spool_folder)) or position
    return Staged(work, schema, position, max(0, acknowledged - position))


def _need_room(store: Path) -> None:
    needed = sum(
        path.stat().st_size for path in store.parent.glob(f"{store.name}*") if path.is_file()
    )
    free = free_bytes(store.parent)
    if free < needed:
        message = (
            f"a copy of the store needs {in_units(needed)} on the disk of {store.parent}, which "
            f"has {in_units(free)} free: make room first"
        )
        raise TocsinError(message)


def _ordinary_files(config: Config, *, events: bool) -> Iterator[Path]:
    """Yield what is copied as it is: keys, credentials, the alert log, and what else there is."""
    left_out = {config.spool_folder, *(() if events else (config.quarantine_folder,))}
    for folder, names, files in os.walk(config.folder):
        here = Path(folder)
        names[:] = sorted(
            name
            for name in names
            if here / name not in left_out and not name.startswith((".", REPLACED))
        )
        for name in sorted(files):
            if here != config.folder or _is_ordinary(name, config.store_path.name):
                yield here / name


def _is_ordinary(name: str, store: str) -> bool:
    """Return whether a file beside the store is copied: not the store itself, nor what is old."""
    if name == "lock" or name.startswith((store, ".")) or name.endswith(_SKIPPED):
        return False
    return not name.rpartition(".")[2].isdecimal()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        # It was there for a moment only, or was just replaced by what is copied later.
        return


def _copy_store(source: Path, target: Path) -> tuple[int, int]:
    """Copy the store as it is at one moment; return its schema and the detector's position."""
    _copy_database(source, target)
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        for statement in _PRUNE_COPY:
            copy.execute(statement)
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            message = f"the store {source} is damaged ({verdict}): restart Tocsin to replace it"
            raise TocsinError(message)
        (schema,) = copy.execute("PRAGMA user_version").fetchone()
        row = copy.execute("SELECT position FROM cursor WHERE reader = ?", (READER,)).fetchone()
    return schema, row[0] if row else 0


def _copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite file that others may be writing to, in one piece and without its WAL."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        message = f"{source} cannot be copied: {error}"
        raise TocsinError(message) from error


def _hold_finished(spool: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    for file in spool_files(spool):
        if is_sealed(file.path):
            os.link(file.path, target / file.path.name)


def _copy_spool(spool: Path, target: Path) -> None:
    """Take the files that came since, and the one that is being written."""
    for name in (committed_path(spool), deleted_path(spool)):
        if name.exists():
            _copy(name, target / name.name)
    for file in spool_files(spool):
        held = target / file.path.name
        if not held.exists():
            _copy_database(file.path, held)


def _write_numbers(target: Path, position: int) -> None:
    """Say how far the store is, so that new posts get numbers above that and none is skipped."""
    cursor_path(target, READER).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_number(cursor_path(target, READER), position)
    if not committed_path(target).exists():
        write_number(committed_path(target), position)
