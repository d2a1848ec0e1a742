"""Alerts in SQLite: each stored once per id, with the reader's position in the same commit.

The position decides what is evaluated again after a crash. Because it is committed together
with the alerts found up to it, they cannot disagree: whatever a crash or a damaged WAL takes
away, it takes from both, and evaluating the events again puts it back.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tocsin.model.alert import SEVERITIES, Alert, Severity, merge
from tocsin.model.ports import NO_UPDATE, AlertFilter, LineUpdate, Retention, StoredAlert
from tocsin.model.routes import Route, route
from tocsin.store.sqlite import forms as kept_forms
from tocsin.store.sqlite import outbox, responses, retention, sources
from tocsin.store.sqlite.body import STORED, read_alert, stored_alerts, write_alert
from tocsin.store.sqlite.checkpoints import SqliteCheckpoints
from tocsin.store.sqlite.database import Database
from tocsin.store.sqlite.filters import conditions
from tocsin.store.sqlite.forms import SqliteForms
from tocsin.store.sqlite.health import SqliteHealth
from tocsin.store.sqlite.incidents import SqliteIncidents
from tocsin.store.sqlite.outbox import SqliteOutbox
from tocsin.store.sqlite.people import SqlitePeople
from tocsin.store.sqlite.queries import SqliteQueries
from tocsin.store.sqlite.responses import SqliteResponses
from tocsin.store.sqlite.search import TextIndex
from tocsin.store.sqlite.silences import SqliteSilences, count_hidden
from tocsin.store.sqlite.sources import SqliteSources

_ALL = AlertFilter()
_NO_FORMS: Mapping[str, bytes] = {}
_NOTHING_HIDDEN: Mapping[str, str] = {}


class SqliteStore(SqliteQueries):
    """The `AlertStore` in one SQLite file, with its outbox and health findings beside it.

    `channels` maps each notification channel to the lowest severity it wants; `routes` say who
    is told what. `set_aside` is
    where a damaged file was put when the store was opened: its alerts are to be evaluated again.
    """

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Severity] | None = None,
        set_aside: Path | None = None,
        routes: Sequence[Route] = (),
    ) -> None:
        super().__init__(database)
        self._channels = channels or {}
        self._routes = routes
        self.set_aside = set_aside
        self.outbox = SqliteOutbox(database)
        self.health = SqliteHealth(database)
        self.sources = SqliteSources(database)
        self.incidents = SqliteIncidents(database)
        self.people = SqlitePeople(database)
        self.responses = SqliteResponses(database)
        self.text = TextIndex(database)
        self.forms = SqliteForms(database)
        self.silences = SqliteSilences(database)
        self.checkpoints = SqliteCheckpoints(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def record(  # noqa: PLR0913 - all that one transaction holds
        self,
        alerts: Sequence[Alert],
        cursors: Mapping[str, int],
        now: float,
        unauthenticated: Sequence[Alert] = (),
        line: LineUpdate = NO_UPDATE,
        forms: Mapping[str, bytes] = _NO_FORMS,
        *,
        hidden: Mapping[str, str] = _NOTHING_HIDDEN,
    ) -> list[Alert]:
        """Store alerts and the positions they were found at, in one transaction.

        Known alerts take over new evidence and nothing else; only new ones are returned and
        queued for notification. What is known from `unauthenticated` alone is replaced by
        an alert of an authenticated sender, and adds nothing to one. `forms` are lines of
        another product's log, by alert id, kept with the alerts. `hidden` says by alert id
        what hides a new alert: it is stored and counted, and nobody is told.
        """
        new = []
        trusted = [(alert, True) for alert in alerts]
        with self._database.write() as connection:
            for alert, authenticated in [*trusted, *((alert, False) for alert in unauthenticated)]:
                hidden_by = hidden.get(alert.id)
                seq = _insert(connection, alert, now, hidden_by, authenticated=authenticated)
                if seq is None and authenticated and _dropped(connection, alert.id):
                    seq = _insert(connection, alert, now, hidden_by, authenticated=True)
                if seq is None:
                    _take_over(connection, alert, authenticated=authenticated)
                    continue
                new.append(alert)
                if hidden_by is not None:
                    count_hidden(connection, hidden_by, alert.rule.id, now)
                    continue
                told = route(alert, self._channels, self._routes).channels
                outbox.enqueue(connection, seq, alert, told, now)
            kept_forms.keep(connection, unauthenticated, forms, replace=False)
            kept_forms.keep(connection, alerts, forms, replace=True)
            connection.executemany(
                "INSERT INTO cursor (reader, position) VALUES (?, ?) "
                "ON CONFLICT (reader) DO UPDATE SET position = excluded.position",
                cursors.items(),
            )
            sources.update(connection, line, now)
            responses.add_proofs(connection, line.proofs, now)
        return new

    def cursor(self, reader: str) -> int:
        """Return the reader's stored position, 0 when it has none."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT position FROM cursor WHERE reader = ?", (reader,)
            ).fetchone()
        return row[0] if row else 0

    def alert(self, alert_id: str) -> StoredAlert | None:
        """Return the alert with this id, or None."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {STORED} FROM alert WHERE id = ?",  # noqa: S608 - constant columns
                (alert_id,),
            ).fetchall()
        return next(iter(stored_alerts(rows)), None)

    def last_seq(self) -> int:
        """Return the row number of the alert that arrived last, 0 when there is none."""
        with self._database.read() as connection:
            (number,) = connection.execute("SELECT max(seq) FROM alert").fetchone()
        return number or 0

    def follow(self, after: int, limit: int, where: AlertFilter = _ALL) -> list[StoredAlert]:
        """Return matching alerts that arrived after row number `after`, oldest first."""
        tests, values = conditions(where)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {STORED} FROM alert "  # noqa: S608 - constant clauses, values are bound
                f"WHERE {tests} AND seq > ? ORDER BY seq LIMIT ?",
                [*values, after, limit],
            ).fetchall()
        return stored_alerts(rows)

    def prune(self, now: float, keep: Retention) -> bool:
        """Delete some of the alerts that are too old or too many; return if there may be more.

        Age counts from arrival, so events read in from old files are kept as long as others.
        An alert somebody still has to be told about stays, and so does one of a pinned incident.
        """
        return retention.prune(self._database, now, keep)


def _insert(
    connection: sqlite3.Connection,
    alert: Alert,
    now: float,
    hidden_by: str | None,
    *,
    authenticated: bool,
) -> int | None:
    """Store a new alert and return its row number; a known one is left alone."""
    row = connection.execute(
        "INSERT INTO alert (id, time, severity, rule_id, cluster, user, namespace, techniques, "
        "recorded, body, authenticated, hidden_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO NOTHING RETURNING seq",
        (
            alert.id,
            alert.time,
            SEVERITIES.index(alert.rule.severity),
            alert.rule.id,
            alert.cluster,
            alert.actor.user,
            alert.target.namespace,
            _techniques(alert),
            now,
            write_alert(alert),
            authenticated,
            hidden_by,
        ),
    ).fetchone()
    return row[0] if row else None


def _dropped(connection: sqlite3.Connection, alert_id: str) -> bool:
    """Forget an alert that is hidden and may be forged; return whether it was one.

    It must not keep the real one from being told.
    """
    found = connection.execute(
        "DELETE FROM alert WHERE id = ? AND NOT authenticated AND hidden_by IS NOT NULL",
        (alert_id,),
    )
    return found.rowcount > 0


def _techniques(alert: Alert) -> str:
    """Return the ids with a blank before and after each: what filters look for."""
    ids = [technique.technique for technique in alert.rule.attack]
    return f" {' '.join(ids)} " if ids else ""


def _take_over(connection: sqlite3.Connection, later: Alert, *, authenticated: bool) -> None:
    """Merge another stage of a known alert into it.

    An alert that can no longer be read is written anew. So is one that may be forged, when
    its like comes from an authenticated sender: nothing of the former is kept.
    """
    seq, body, trusted = connection.execute(
        "SELECT seq, body, authenticated FROM alert WHERE id = ?", (later.id,)
    ).fetchone()
    known = read_alert(body)
    if known is None or authenticated > trusted:
        _rewrite(connection, seq, later, authenticated=authenticated)
        return
    merged = merge(known, later) if authenticated == trusted else known
    if merged != known:
        connection.execute("UPDATE alert SET body = ? WHERE seq = ?", (write_alert(merged), seq))


def _rewrite(
    connection: sqlite3.Connection, seq: int, alert: Alert, *, authenticated: bool
) -> None:
    connection.execute(
        "UPDATE alert SET time = ?, user = ?, namespace = ?, body = ?, authenticated = ? "
        "WHERE seq = ?",
        (
            alert.time,
            alert.actor.user,
            alert.target.namespace,
            write_alert(alert),
            authenticated,
            seq,
        ),
    )
