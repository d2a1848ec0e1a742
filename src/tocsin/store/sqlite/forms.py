"""Alerts in the form of another product, beside the alerts: what its log is written from."""

import sqlite3
from collections.abc import Iterable, Mapping

from tocsin.model.alert import Alert
from tocsin.store.sqlite.database import Database


def keep(
    connection: sqlite3.Connection,
    alerts: Iterable[Alert],
    forms: Mapping[str, bytes],
    *,
    replace: bool,
) -> None:
    """Store the forms of stored alerts, by alert id; `replace` puts them over present ones."""
    present = "UPDATE SET line = excluded.line" if replace else "NOTHING"
    connection.executemany(
        f"INSERT INTO form (alert_seq, line) SELECT seq, ? FROM alert WHERE id = ? "  # noqa: S608 - constant clauses, values are bound
        f"ON CONFLICT (alert_seq) DO {present}",
        [(forms[alert.id].decode(), alert.id) for alert in alerts if alert.id in forms],
    )


class SqliteForms:
    """The forms of a SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, seq: int) -> bytes | None:
        """Return the form of the alert with this row number, if one is kept."""
        with self._database.read() as connection:
            row = connection.execute("SELECT line FROM form WHERE alert_seq = ?", (seq,)).fetchone()
        return None if row is None else str(row[0]).encode()
