"""Incidents in SQLite: what people read of them, and what people change."""

import sqlite3
from collections.abc import Iterator

import msgspec

from tocsin.model.alert import SEVERITIES
from tocsin.model.errors import TocsinError
from tocsin.model.incident import Change, Incident, IncidentEntry, IncidentFilter
from tocsin.model.ports import StoredAlert
from tocsin.model.queries import QUERY_SECONDS
from tocsin.store.sqlite.body import STORED, stored_alerts
from tocsin.store.sqlite.database import Database
from tocsin.store.sqlite.filters import Conditions, as_stamp, as_unicode, within_json
from tocsin.store.sqlite.grouping import SqliteGrouping

_ROW = "body, state, verdict, owner, pinned, updated, unproven"
_decode = msgspec.json.Decoder(Incident).decode


class SqliteIncidents:
    """The `IncidentStore` of a SQLite store; `grouping` is for the process that makes them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.grouping = SqliteGrouping(database)

    def incident(self, incident_id: str) -> Incident | None:
        """Return the incident; an id that was merged into another finds that one."""
        with self._database.read() as connection:
            return _find(connection, incident_id)

    def matching(self, beginning: str, limit: int) -> list[str]:
        """Return incident ids that begin with a text, also former ones: people type ids."""
        pattern = as_unicode(beginning) or ""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id FROM (SELECT id FROM incident UNION SELECT id FROM incident_alias) "
                "WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT ?",
                (len(pattern), pattern, limit),
            ).fetchall()
        return [found for (found,) in rows]

    def incidents(
        self, where: IncidentFilter, limit: int, before: str | None = None
    ) -> list[Incident]:
        """Return matching incidents, newest activity first.

        `before` is the id of the last page's last one.

        Raises:
            QueryTooWide: it would take too long.
        """
        tests, values = _conditions(where)
        if before is not None:
            tests += " AND (last_seen, id) < (SELECT last_seen, id FROM incident WHERE id = ?)"
            values.append(before)
        return self._first(tests, values, "last_seen DESC, id DESC", limit)

    def worst(self, where: IncidentFilter, limit: int) -> list[Incident]:
        """Return the worst matching incidents, of equally bad ones the newest activity first.

        Raises:
            QueryTooWide: it would take too long.
        """
        return self._first(*_conditions(where), "severity DESC, last_seen DESC, id DESC", limit)

    def _first(self, tests: str, values: list[object], order: str, limit: int) -> list[Incident]:
        # Whole rows are read for those that are shown, not for all that are put in order.
        query = (
            f"SELECT {_ROW} FROM incident WHERE id IN (SELECT id FROM incident "  # noqa: S608 - constant clauses, values are bound
            f"WHERE {tests} ORDER BY {order} LIMIT ?) ORDER BY {order}"
        )
        with self._database.read(QUERY_SECONDS) as connection:
            rows = connection.execute(query, [*values, limit]).fetchall()
        return [_read(*row) for row in rows]

    def count(self, where: IncidentFilter) -> int:
        """Return how many incidents match.

        Raises:
            QueryTooWide: it would take too long.
        """
        tests, values = _conditions(where)
        with self._database.read(QUERY_SECONDS) as connection:
            (number,) = connection.execute(
                f"SELECT count(*) FROM incident WHERE {tests}",  # noqa: S608 - constant clauses, values are bound
                values,
            ).fetchone()
        return int(number)

    def alerts_of(self, incident_id: str, limit: int, after: int = 0) -> list[StoredAlert]:
        """Return the incident's alerts that arrived after row number `after`, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {STORED} "  # noqa: S608 - constant columns
                "FROM incident_alert JOIN alert ON seq = alert_seq "
                "WHERE incident = ? AND alert_seq > ? ORDER BY alert_seq LIMIT ?",
                (_current_id(connection, incident_id), after, limit),
            ).fetchall()
        return stored_alerts(rows)

    def incident_of(self, alert_id: str) -> str | None:
        """Return the id of the incident the alert belongs to, or None.

        A fact may be context of several; this is the one that was opened first.
        """
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT incident FROM alert JOIN incident_alert ON alert_seq = seq "
                "JOIN incident ON incident.id = incident "
                "WHERE alert.id = ? ORDER BY opened, incident LIMIT 1",
                (as_unicode(alert_id),),
            ).fetchone()
        return row[0] if row else None

    def log_of(self, incident_id: str) -> list[IncidentEntry]:
        """Return the incident's log, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT time, who, what, text FROM incident_log WHERE incident = ? "
                "ORDER BY time, id",
                (_current_id(connection, incident_id),),
            ).fetchall()
        return [IncidentEntry(*row) for row in rows]

    def change(self, incident_id: str, change: Change, who: str, now: float) -> Incident:
        """Apply what a person changed, log it, and return the incident as it is now.

        Raises:
            TocsinError: there is no such incident.
        """
        with self._database.write() as connection:
            known = _find(connection, incident_id)
            if known is None:
                message = f"there is no incident {incident_id!r}: `tocsin incidents` lists them"
                raise TocsinError(message)
            entries = list(_entries(known, change))
            if not entries:
                return known
            incident = _changed(known, change, now)
            connection.execute(
                "UPDATE incident SET state = ?, verdict = ?, owner = ?, pinned = ?, updated = ?, "
                "body = ? WHERE id = ?",
                (
                    incident.state,
                    incident.verdict,
                    incident.owner,
                    incident.pinned,
                    incident.updated,
                    msgspec.json.encode(incident).decode(),
                    incident.id,
                ),
            )
            connection.executemany(
                "INSERT INTO incident_log (incident, time, who, what, text) VALUES (?, ?, ?, ?, ?)",
                [(incident.id, now, as_unicode(who), *entry) for entry in entries],
            )
        return incident

    def open_by_severity(self) -> dict[str, int]:
        """Return how many incidents are not closed, by severity; all severities are there."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT severity, count(*) FROM incident "
                "WHERE state IN ('open', 'acknowledged', 'contained') GROUP BY severity"
            ).fetchall()
        found = dict(rows)
        return {severity: found.get(rank, 0) for rank, severity in enumerate(SEVERITIES)}


def _find(connection: sqlite3.Connection, incident_id: str) -> Incident | None:
    row = connection.execute(
        f"SELECT {_ROW} FROM incident WHERE id = ?",  # noqa: S608 - a constant
        (_current_id(connection, incident_id),),
    ).fetchone()
    return _read(*row) if row else None


def _current_id(connection: sqlite3.Connection, incident_id: str) -> str:
    """Return the id of the incident that an id stands for now."""
    wanted = as_unicode(incident_id) or ""
    row = connection.execute(
        "SELECT incident FROM incident_alias WHERE id = ?", (wanted,)
    ).fetchone()
    return row[0] if row else wanted


def _read(body: str, *columns: object) -> Incident:
    """Return a row as an incident: the columns that others change count, not the text."""
    state, verdict, owner, pinned, updated, unproven = columns
    return msgspec.structs.replace(
        _decode(body),
        state=state,
        verdict=verdict,
        owner=owner,
        pinned=bool(pinned),
        updated=updated,
        authenticated=not unproven,
    )


def _conditions(where: IncidentFilter) -> Conditions:
    tests: list[str] = ["true"]
    values: list[object] = []
    candidates: tuple[tuple[str, object | None], ...] = (
        ("last_seen >= ?", where.since and as_stamp(where.since)),
        ("first_seen < ?", where.until and as_stamp(where.until)),
        ("severity >= ?", SEVERITIES.index(where.min_severity) or None),
        ("cluster = ?", as_unicode(where.cluster)),
        # The first one is cheap, and enough for nearly all that do not match.
        ("instr(body, ?) > 0", _as_element(where.actor)),
        ("instr(json_extract(body, '$.actors'), ?) > 0", _as_element(where.actor)),
        ("instr(lower(body), lower(?)) > 0", within_json(where.text)),
    )
    for test, bound in candidates:
        if bound is not None:
            tests.append(test)
            values.append(bound)
    if where.states:
        tests.append(f"state IN ({', '.join('?' * len(where.states))})")
        values += where.states
    return " AND ".join(tests), values


def _as_element(text: str | None) -> str | None:
    """Return the text as it stands in a JSON array; SQLite cuts what it decodes at a NUL."""
    found = within_json(text)
    return None if found is None else f'"{found}"'


def _changed(known: Incident, change: Change, now: float) -> Incident:
    state = known.state if change.state is None else change.state
    # A verdict is on what was known when the incident was closed.
    verdict = None if known.state == "closed" != state else known.verdict
    return msgspec.structs.replace(
        known,
        state=state,
        verdict=change.verdict or verdict,
        owner=known.owner if change.owner is None else (as_unicode(change.owner) or None),
        pinned=known.pinned if change.pinned is None else change.pinned,
        updated=now,
    )


def _entries(known: Incident, change: Change) -> Iterator[tuple[str, str]]:
    """Yield what the log says of a change: what kind, and the text."""
    if change.state is not None and change.state != known.state:
        yield ("reopened", "") if known.state == "closed" else ("state", change.state)
    if change.verdict is not None and change.verdict != known.verdict:
        yield "verdict", change.verdict
    if change.owner is not None and (change.owner or None) != known.owner:
        yield "owner", as_unicode(change.owner) or "nobody"
    if change.pinned is not None and change.pinned != known.pinned:
        yield "pinned", "yes" if change.pinned else "no"
    if change.note:
        yield "note", as_unicode(change.note) or ""
