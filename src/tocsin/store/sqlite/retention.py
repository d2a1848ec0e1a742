"""Forgetting: by age, by number and by size, a little at a time.

Other writers wait while something is deleted, so each step is small. Space that is freed is
given back to the disk in small steps too, once there is much of it; until then, and in files
of versions before that, new data fills it first.
"""

import sqlite3

from tocsin.model.ports import Retention
from tocsin.store.sqlite import responses, rollup, search
from tocsin.store.sqlite.database import Database

_DAY_SECONDS = 86400
_MINUTE = 60
_STEP = 200
_SHRINK_PAGES = 500
_SPARE_PAGES = 2500

_MAY_GO = """
    NOT EXISTS (SELECT 1 FROM outbox WHERE alert_seq = seq AND state = 'pending')
    AND NOT EXISTS (
        SELECT 1 FROM incident_alert JOIN incident ON incident.id = incident_alert.incident
        WHERE incident_alert.alert_seq = seq AND incident.pinned)
"""
_DELETE_OLD = f"""
    DELETE FROM alert WHERE seq IN (
        SELECT seq FROM alert WHERE recorded < ? AND {_MAY_GO} ORDER BY recorded LIMIT ?)
"""  # noqa: S608 - constant clauses
_DELETE_FIRST = f"""
    DELETE FROM alert WHERE seq IN (SELECT seq FROM alert WHERE {_MAY_GO} ORDER BY seq LIMIT ?)
"""  # noqa: S608 - constant clauses


def prune(database: Database, now: float, keep: Retention) -> bool:
    """Delete a step of what is too old or too much; return whether there may be more."""
    oldest = now - keep.keep_days * _DAY_SECONDS
    with database.write() as connection:
        removed = connection.execute(_DELETE_OLD, (oldest, _STEP)).rowcount
        surplus, waiting = _surplus(connection, keep)
        if surplus > 0 and not removed:
            removed = connection.execute(_DELETE_FIRST, (min(surplus, _STEP),)).rowcount
        if not removed:
            _forget_incidents(connection, oldest)
            responses.forget(connection, oldest, _STEP)
            connection.execute("DELETE FROM event_minute WHERE minute < ?", (oldest // _MINUTE,))
    return removed > 0 or waiting or _shrink(database)


def _surplus(connection: sqlite3.Connection, keep: Retention) -> tuple[int, bool]:
    """Return how many alerts are too many by number and size, and whether size is yet to judge.

    What is to leave the full-text index still takes its room; so as not to delete twice for it,
    size is judged when it is gone.
    """
    alerts = rollup.total(connection)
    surplus = alerts - keep.max_alerts
    used = used_bytes(connection)
    if used <= keep.max_bytes or not alerts:
        return surplus, False
    if not search.is_tidy(connection):
        return surplus, True
    return max(surplus, -int(-(used - keep.max_bytes) * alerts // used)), False


def _forget_incidents(connection: sqlite3.Connection, oldest: float) -> None:
    """Delete incidents that nobody pinned once they are old and their alerts are gone."""
    connection.execute(
        "DELETE FROM incident WHERE id IN (SELECT id FROM incident WHERE updated < ? "
        "AND NOT pinned AND NOT EXISTS (SELECT 1 FROM incident_alert WHERE incident = id) "
        "LIMIT ?)",
        (oldest, _STEP),
    )


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes in use in the file, without those that new data will fill first."""
    pages, unused, size = _pages(connection)
    return (pages - unused) * size


def unused_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of the file that new data will fill first."""
    _, unused, size = _pages(connection)
    return unused * size


def _pages(connection: sqlite3.Connection) -> tuple[int, int, int]:
    pages, unused, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return pages, unused, size


def _shrink(database: Database) -> bool:
    """Give unused space back to the disk if there is much of it; return if there may be more."""
    with database.read() as connection:
        pages, unused, _ = _pages(connection)
        (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if not mode or unused < max(_SPARE_PAGES, pages // 10):
        return False
    with database.write() as connection:
        connection.execute(f"PRAGMA incremental_vacuum({_SHRINK_PAGES})").fetchall()
    return True
