"""Alerts in SQLite: each stored once per id, with the reader's position in the same commit.

The position decides what is evaluated again after a crash. Because it is committed together
with the alerts found up to it, they cannot disagree: whatever a crash or a damaged WAL takes
away, it takes from both, and evaluating the events again puts it back.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tocsin.model.alert import SEVERITIES, Alert, Severity, merge
from tocsin.model.ports import NO_UPDATE, AlertFilter, LineUpdate, StoredAlert
from tocsin.store.sqlite import outbox, sources
from tocsin.store.sqlite.body import read_alert, write_alert
from tocsin.store.sqlite.database import Database
from tocsin.store.sqlite.filters import conditions
from tocsin.store.sqlite.health import SqliteHealth
from tocsin.store.sqlite.outbox import SqliteOutbox
from tocsin.store.sqlite.sources import SqliteSources

_ALL = AlertFilter()
_DAY_SECONDS = 86400
_PRUNE_STEP = 500
_PRUNE_PAUSE_SECONDS = 0.01

_DELETE_OLD = """
    DELETE FROM alert WHERE seq IN (
        SELECT seq FROM alert
        WHERE recorded < ? AND NOT EXISTS (
            SELECT 1 FROM outbox WHERE alert_seq = seq AND state = 'pending')
        ORDER BY recorded LIMIT ?)
"""
_DELETE_FIRST = """
    DELETE FROM alert WHERE seq IN (
        SELECT seq FROM alert
        WHERE NOT EXISTS (
            SELECT 1 FROM outbox WHERE alert_seq = seq AND state = 'pending')
        ORDER BY seq LIMIT ?)
"""


class SqliteStore:
    """The `AlertStore` in one SQLite file, with its outbox and health findings beside it.

    `channels` maps each notification channel to the lowest severity it wants. `set_aside` is
    where a damaged file was put when the store was opened: its alerts are to be evaluated again.
    """

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Severity] | None = None,
        set_aside: Path | None = None,
    ) -> None:
        self._database = database
        self._channels = channels or {}
        self.set_aside = set_aside
        self.outbox = SqliteOutbox(database)
        self.health = SqliteHealth(database)
        self.sources = SqliteSources(database)

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

    def record(
        self,
        alerts: Sequence[Alert],
        cursors: Mapping[str, int],
        now: float,
        unauthenticated: Sequence[Alert] = (),
        line: LineUpdate = NO_UPDATE,
    ) -> list[Alert]:
        """Store alerts and the positions they were found at, in one transaction.

        Known alerts take over new evidence and nothing else; only new ones are returned and
        queued for notification. What is known from `unauthenticated` alone is replaced by
        an alert of an authenticated sender, and adds nothing to one.
        """
        new = []
        trusted = [(alert, True) for alert in alerts]
        with self._database.write() as connection:
            for alert, authenticated in [*trusted, *((alert, False) for alert in unauthenticated)]:
                seq = _insert(connection, alert, now, authenticated=authenticated)
                if seq is None:
                    _take_over(connection, alert, authenticated=authenticated)
                    continue
                outbox.enqueue(connection, seq, alert.rule.severity, self._channels, now)
                new.append(alert)
            connection.executemany(
                "INSERT INTO cursor (reader, position) VALUES (?, ?) "
                "ON CONFLICT (reader) DO UPDATE SET position = excluded.position",
                cursors.items(),
            )
            sources.update(connection, line, now)
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
                "SELECT seq, body, authenticated FROM alert WHERE id = ?", (alert_id,)
            ).fetchall()
        return next(iter(_readable(rows)), None)

    def alerts(
        self, where: AlertFilter, limit: int, before: int | None = None
    ) -> list[StoredAlert]:
        """Return matching alerts, newest event first; `before` is the last page's last `seq`."""
        tests, values = conditions(where)
        if before is not None:
            page_end = "(time, seq) < (SELECT time, seq FROM alert WHERE seq = ?)"
            tests, values = f"{tests} AND {page_end}", [*values, before]
        return self._select(f"{tests} ORDER BY time DESC, seq DESC LIMIT ?", [*values, limit])

    def last_seq(self) -> int:
        """Return the row number of the alert that arrived last, 0 when there is none."""
        with self._database.read() as connection:
            (number,) = connection.execute("SELECT max(seq) FROM alert").fetchone()
        return number or 0

    def follow(self, after: int, limit: int, where: AlertFilter = _ALL) -> list[StoredAlert]:
        """Return matching alerts that arrived after row number `after`, oldest first."""
        tests, values = conditions(where)
        return self._select(f"{tests} AND seq > ? ORDER BY seq LIMIT ?", [*values, after, limit])

    def _select(self, clauses: str, values: Sequence[object]) -> list[StoredAlert]:
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT seq, body, authenticated FROM alert WHERE {clauses}",  # noqa: S608 - constant clauses, values are bound
                values,
            ).fetchall()
        return _readable(rows)

    def count(self, where: AlertFilter = _ALL) -> int:
        """Return how many alerts match."""
        tests, values = conditions(where)
        with self._database.read() as connection:
            (number,) = connection.execute(
                f"SELECT count(*) FROM alert WHERE {tests}",  # noqa: S608 - constant clauses, values are bound
                values,
            ).fetchone()
        return int(number)

    def prune(self, now: float, keep_days: float, max_rows: int) -> int:
        """Delete alerts that are too old or too many, and return how many went.

        Age counts from arrival, so events read in from old files are kept as long as others.
        An alert somebody still has to be told about stays.
        """
        removed = 0
        while step := self._delete(_DELETE_OLD, now - keep_days * _DAY_SECONDS, _PRUNE_STEP):
            removed += step
        excess = self.count() - max_rows
        while excess > 0 and (step := self._delete(_DELETE_FIRST, min(excess, _PRUNE_STEP))):
            removed += step
            excess -= step
        return removed

    def _delete(self, statement: str, *values: float) -> int:
        with self._database.write() as connection:
            count = connection.execute(statement, values).rowcount
        # Other writers wait for the lock meanwhile, and would be overtaken again and again.
        time.sleep(_PRUNE_PAUSE_SECONDS)
        return count


def _insert(
    connection: sqlite3.Connection, alert: Alert, now: float, *, authenticated: bool
) -> int | None:
    """Store a new alert and return its row number; a known one is left alone."""
    row = connection.execute(
        "INSERT INTO alert "
        "(id, time, severity, rule_id, cluster, user, namespace, recorded, body, authenticated) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING seq",
        (
            alert.id,
            alert.time,
            SEVERITIES.index(alert.rule.severity),
            alert.rule.id,
            alert.cluster,
            alert.actor.user,
            alert.target.namespace,
            now,
            write_alert(alert),
            authenticated,
        ),
    ).fetchone()
    return row[0] if row else None


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


def _readable(rows: list[tuple[int, str, int]]) -> list[StoredAlert]:
    found = ((seq, read_alert(body), authenticated) for seq, body, authenticated in rows)
    return [
        StoredAlert(seq, alert, bool(authenticated))
        for seq, alert, authenticated in found
        if alert is not None
    ]
