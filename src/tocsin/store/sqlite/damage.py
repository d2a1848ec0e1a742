"""Finds damage in a database file and sets the file aside, so that the store always opens.

Nothing is repaired: alerts are evaluated again from the spool, and the damaged file is kept
for whoever wants to look at it.
"""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from tocsin.store.sqlite import schema
from tocsin.store.sqlite.database import connect

_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE = 0xFF


def find_damage(path: Path) -> str | None:
    """Return what is wrong with the file, or None; no file at all is no damage.

    Raises:
        TocsinError: the file is from a newer version, which is not damage.
        sqlite3.Error: the file could not be examined, for instance because it is locked.
    """
    if not path.exists():
        # SQLite would play such a WAL into whatever file takes the place.
        return "only its WAL is left" if path.with_name(path.name + "-wal").exists() else None
    if path.stat().st_size == 0:
        return "the file is empty"
    try:
        connection = connect(path)
    except sqlite3.Error as error:
        return _damage_or_raise(error)
    try:
        schema.refuse_newer(connection, path)
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return _damage_or_raise(error)
    finally:
        connection.close()
    return None if verdict == "ok" else str(verdict)


def _damage_or_raise(error: sqlite3.Error) -> str:
    if error.sqlite_errorcode & _PRIMARY_CODE in _DAMAGE:
        return str(error)
    raise error


def set_aside(path: Path, now: float) -> Path:
    """Rename the file and its companions to `<name>.damaged-<utc>`, and return the new path."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    # The database itself goes last: a crash in between leaves a damaged file to be found again.
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
