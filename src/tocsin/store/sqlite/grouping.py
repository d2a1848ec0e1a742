"""What grouping reads and writes in SQLite: one transaction for a batch of alerts.

The reader's position is committed with the incidents that came of the alerts up to it, so a
crash anywhere repeats the batch or nothing.
"""

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager

import msgspec

from tocsin.model.alert import SEVERITIES
from tocsin.model.incident import Incident, IncidentEntry
from tocsin.model.ports import StoredAlert
from tocsin.store.sqlite.body import STORED, stored_alerts
from tocsin.store.sqlite.database import Database

READER = "incidents"
_FACT_STEP = 1000
# Of one link, taken as context at once.
MOST_FACTS = 2000


class SqliteGrouping:
    """The alerts that wait to be grouped, and the transaction to group them in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self) -> int:
        """Return how many row numbers lie behind the reader's position, about the alerts."""
        with self._database.read() as connection:
            (last,) = connection.execute("SELECT ifnull(max(seq), 0) FROM alert").fetchone()
            return max(0, int(last) - _position(connection))

    @contextmanager
    def batch(self, limit: int) -> Generator["GroupingBatch"]:
        """Lend the next alerts to be grouped; the position moves behind them on return.

        Hidden alerts open and join no incident: they are passed over.

        Raises:
            StoreUnavailable: nothing was changed.
        """
        with self._database.write() as connection:
            # Rows refer to incidents that are written when all is known of them.
            connection.execute("PRAGMA defer_foreign_keys = ON")
            position = _position(connection)
            rows = connection.execute(
                f"SELECT {STORED} FROM alert WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608 - constant columns
                (position, limit),
            ).fetchall()
            shown = [stored for stored in stored_alerts(rows) if stored.hidden_by is None]
            yield GroupingBatch(connection, shown)
            if rows:
                connection.execute(
                    "INSERT INTO cursor (reader, position) VALUES (?, ?) "
                    "ON CONFLICT (reader) DO UPDATE SET position = excluded.position",
                    (READER, rows[-1][0]),
                )

    def forget_facts(self, recorded_before: float) -> None:
        """Forget the links of facts that are old: what is late by days finds them no more."""
        with self._database.read() as connection:
            (last,) = connection.execute(
                "SELECT max(seq) FROM alert WHERE recorded < ?", (recorded_before,)
            ).fetchone()
            old = _old_facts(connection, last)
        while old:
            with self._database.write() as connection:
                connection.executemany("DELETE FROM incident_fact WHERE alert_seq = ?", old)
                old = _old_facts(connection, last)


class GroupingBatch:
    """The open transaction, with the alerts to be grouped in it."""

    def __init__(self, connection: sqlite3.Connection, alerts: list[StoredAlert]) -> None:
        self._connection = connection
        self._unproven: dict[str, int] = {}
        self.alerts = alerts

    def load(self, incident_id: str) -> tuple[Incident, bytes] | None:
        """Return an incident with its summary, or None."""
        row = self._connection.execute(
            "SELECT body, summary, unproven FROM incident WHERE id = ?", (incident_id,)
        ).fetchone()
        if row is None:
            return None
        body, summary, self._unproven[incident_id] = row
        return msgspec.json.decode(body, type=Incident), summary.encode()

    def save(self, incident: Incident, summary: bytes, entries: Iterable[IncidentEntry]) -> None:
        """Write an incident, new or known, with what is new in its log."""
        unproven = self._unproven.get(incident.id, 0)
        incident = msgspec.structs.replace(incident, authenticated=not unproven)
        self._connection.execute(
            "INSERT INTO incident (id, cluster, severity, state, verdict, owner, pinned, "
            "first_seen, last_seen, opened, updated, alerts, unproven, summary, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, "
            "state = excluded.state, verdict = excluded.verdict, owner = excluded.owner, "
            "pinned = excluded.pinned, first_seen = excluded.first_seen, "
            "last_seen = excluded.last_seen, opened = excluded.opened, "
            "updated = excluded.updated, alerts = excluded.alerts, "
            "unproven = excluded.unproven, summary = excluded.summary, body = excluded.body",
            (
                incident.id,
                incident.cluster,
                SEVERITIES.index(incident.severity),
                incident.state,
                incident.verdict,
                incident.owner,
                incident.pinned,
                incident.first_seen,
                incident.last_seen,
                incident.opened,
                incident.updated,
                incident.alerts,
                unproven,
                summary.decode(),
                msgspec.json.encode(incident).decode(),
            ),
        )
        self._connection.executemany(
            "INSERT INTO incident_log (incident, time, who, what, text) VALUES (?, ?, ?, ?, ?)",
            [(incident.id, entry.time, entry.who, entry.what, entry.text) for entry in entries],
        )

    def join(self, incident_id: str, stored: StoredAlert) -> bool:
        """Put an alert into an incident; return False if it was there."""
        joined = self._connection.execute(
            "INSERT INTO incident_alert (incident, alert_seq) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (incident_id, stored.seq),
        ).rowcount
        if joined and not stored.authenticated:
            self._unproven[incident_id] = self._unproven.get(incident_id, 0) + 1
        return bool(joined)

    def move(self, source: str, target: str) -> int:
        """Move everything of one incident to another, and return how many alerts both had."""
        execute = self._connection.execute
        moved = execute(
            "INSERT INTO incident_alert (incident, alert_seq) "
            "SELECT ?, alert_seq FROM incident_alert WHERE incident = ? ON CONFLICT DO NOTHING",
            (target, source),
        ).rowcount
        all_of_it = execute("DELETE FROM incident_alert WHERE incident = ?", (source,)).rowcount
        for table in ("incident_span", "incident_log", "incident_alias"):
            execute(f"UPDATE {table} SET incident = ? WHERE incident = ?", (target, source))  # noqa: S608 - constant names
        execute("DELETE FROM incident WHERE id = ?", (source,))
        execute("INSERT INTO incident_alias (id, incident) VALUES (?, ?)", (source, target))
        (self._unproven[target],) = execute(
            "SELECT count(*) FROM incident_alert JOIN alert ON seq = alert_seq "
            "WHERE incident = ? AND NOT authenticated",
            (target,),
        ).fetchone()
        return all_of_it - moved

    def spans(self, link: bytes, first: float, last: float) -> list[tuple[int, str, float, float]]:
        """Return the spans of a link that touch a time: row, incident, first and last."""
        return self._connection.execute(
            "SELECT id, incident, first, last FROM incident_span "
            "WHERE link = ? AND last >= ? AND first <= ?",
            (link, first, last),
        ).fetchall()

    def replace_spans(
        self, rows: Sequence[int], link: bytes, incident_id: str, first: float, last: float
    ) -> None:
        """Put one span in the place of others."""
        self._connection.executemany(
            "DELETE FROM incident_span WHERE id = ?", [(row,) for row in rows]
        )
        self._connection.execute(
            "INSERT INTO incident_span (link, incident, first, last) VALUES (?, ?, ?, ?)",
            (link, incident_id, first, last),
        )

    def facts(self, link: bytes, first: float, last: float) -> list[StoredAlert]:
        """Return the facts that have a link, of a time that includes its borders.

        Of very many the first: a loop that makes pods must not hold the store up.
        """
        rows = self._connection.execute(
            f"SELECT {STORED} FROM incident_fact JOIN alert ON seq = alert_seq "  # noqa: S608 - constant columns
            "WHERE link = ? AND incident_fact.time BETWEEN ? AND ? "
            "ORDER BY incident_fact.time, seq LIMIT ?",
            (link, first, last, MOST_FACTS),
        ).fetchall()
        return stored_alerts(rows)

    def remember(self, links: Sequence[bytes], time: float, stored: StoredAlert) -> None:
        """Keep the links of a fact."""
        self._connection.executemany(
            "INSERT INTO incident_fact (link, time, alert_seq) VALUES (?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            [(link, time, stored.seq) for link in links],
        )


def _old_facts(connection: sqlite3.Connection, last: int | None) -> list[tuple[int]]:
    """Return some of the facts up to a row number whose links are still known."""
    return connection.execute(
        "SELECT DISTINCT alert_seq FROM incident_fact WHERE alert_seq <= ? LIMIT ?",
        (last, _FACT_STEP),
    ).fetchall()


def _position(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT position FROM cursor WHERE reader = ?", (READER,)).fetchone()
    return int(row[0]) if row else 0
