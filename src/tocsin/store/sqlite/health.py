"""Health findings in SQLite: small, counted, readable by every process."""

import sqlite3

from tocsin.model.ports import HealthFinding
from tocsin.store.sqlite.database import Database

_MESSAGE_CHARS = 2000


def report(connection: sqlite3.Connection, kind: str, key: str, message: str, now: float) -> None:
    """Record a finding within the caller's transaction."""
    connection.execute(
        "INSERT INTO health (kind, key, message, since, last) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (kind, key) DO UPDATE SET "
        "message = excluded.message, last = excluded.last, count = count + 1",
        (kind, key, message[:_MESSAGE_CHARS], now, now),
    )


class SqliteHealth:
    """The `HealthLog` of a SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def report(self, kind: str, key: str, message: str, now: float) -> None:
        """Record a finding; the same kind and key again is counted, with the newer message."""
        with self._database.write() as connection:
            report(connection, kind, key, message, now)

    def clear(self, kind: str, key: str) -> None:
        """Remove a finding that no longer holds."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM health WHERE kind = ? AND key = ?", (kind, key))

    def findings(self) -> list[HealthFinding]:
        """Return all findings, the latest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT kind, key, message, since, last, count FROM health ORDER BY last DESC"
            ).fetchall()
        return [HealthFinding(*row) for row in rows]
