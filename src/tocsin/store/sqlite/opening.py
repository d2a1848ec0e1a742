"""Opens the store, in one of three ways: as its owner, as another writer, or to read.

The owner is the process that records alerts. There is one, and only it may replace or migrate
the file: a second one could not know that its position in the event stream is void.
"""

import logging
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from tocsin.model.alert import Severity
from tocsin.model.errors import TocsinError
from tocsin.model.routes import Route
from tocsin.store.sqlite import damage, health, schema
from tocsin.store.sqlite.database import Database, connect, file_lock
from tocsin.store.sqlite.store import SqliteStore

_LARGE_BYTES = 256_000_000
# As measured with 200,000 alerts on a busy machine.
_BYTES_PER_SECOND = 30_000_000

_log = logging.getLogger(__name__)


def own_store(
    path: Path, channels: Mapping[str, Severity], now: float, routes: Sequence[Route] = ()
) -> SqliteStore:
    """Open the store as its owner: made if absent, replaced if damaged, migrated if old.

    A damaged file is renamed, never deleted, and the health findings say so. The new store's
    cursors are 0, so that the caller evaluates again what the spool still holds.

    Raises:
        TocsinError: the file is from a newer version, or the system refuses access to it.
        StoreUnavailable: another process holds the write lock.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(path):
            reason = damage.find_damage(path)
            aside = damage.set_aside(path, now) if reason else None
            note = f"{path} was damaged ({reason}) and is now {aside}" if reason else None
            _prepare(path, note, now)
        return SqliteStore(Database(path), channels, aside, routes)
    except (sqlite3.Error, OSError) as error:
        message = f"cannot open the store {path}: {error}"
        raise TocsinError(message) from error


def join_store(
    path: Path,
    channels: Mapping[str, Severity] | None = None,
    routes: Sequence[Route] = (),
) -> SqliteStore:
    """Open the store of a running Tocsin for another process that writes to it.

    `channels` and `routes` are for a process that records alerts of its own.

    Raises:
        TocsinError: there is no store, or it is not of this version.
        StoreUnavailable: it cannot be read at this moment.
    """
    return SqliteStore(_open_as_found(path, read_only=False), channels, routes=routes)


def read_store(path: Path) -> SqliteStore:
    """Open the store for reading only.

    Raises:
        TocsinError: there is no store, or it is not of this version.
        StoreUnavailable: it cannot be read at this moment.
    """
    return SqliteStore(_open_as_found(path, read_only=True))


def _prepare(path: Path, note: str | None, now: float) -> None:
    if not path.exists():
        _create(path)
    path.chmod(0o600)
    connection = connect(path)
    try:
        _migrate(connection, path)
        if note:
            health.report(connection, "store", "damaged", note, now)
    finally:
        connection.close()


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an older file up to date, and say so where it takes a while."""
    if not schema.is_old(connection):
        return
    size = path.stat().st_size
    _log.log(
        logging.WARNING if size > _LARGE_BYTES else logging.INFO,
        "%s is from an older Tocsin and is brought up to date (%d MB, about %.0f s); events are "
        "taken meanwhile and evaluated afterwards",
        path,
        size // 1_000_000,
        size / _BYTES_PER_SECOND,
    )
    schema.migrate(connection)
    (shrinks,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if not shrinks and size <= _LARGE_BYTES:
        # Makes the whole file anew; a large one is left as it is, and freed space is used again.
        _let_shrink(connection)
    _log.info("%s is up to date", path)


def _create(path: Path) -> None:
    """Make the file under another name, so that a kill never leaves it empty: that is damage."""
    draft = path.with_name(path.name + ".new")
    for suffix in ("", "-wal", "-shm"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = connect(draft)
    try:
        _let_shrink(connection)
        schema.migrate(connection)
    finally:
        connection.close()
    draft.rename(path)


def _let_shrink(connection: sqlite3.Connection) -> None:
    """Have the file keep what it takes to give freed pages back in small steps."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("VACUUM")


def _open_as_found(path: Path, *, read_only: bool) -> Database:
    if not path.exists():
        message = f"there is no store at {path}: start `tocsin serve`, or name its data folder"
        raise TocsinError(message)
    try:
        database = Database(path, read_only=read_only)
    except (sqlite3.Error, OSError) as error:
        message = f"cannot open the store {path}: {error}"
        raise TocsinError(message) from error
    try:
        with database.read() as connection:
            schema.refuse_other(connection, path)
    except BaseException:
        database.close()
        raise
    return database
