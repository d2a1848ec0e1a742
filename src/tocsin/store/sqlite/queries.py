"""Lists, counts over time and counts by value, each within a good second or refused.

What the indexes do not answer in time is interrupted (`QueryTooWide`): no question keeps a page
waiting, or one of the few connections for reading busy.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from tocsin.model.alert import SEVERITIES, Severity
from tocsin.model.ports import AlertFilter, StoredAlert
from tocsin.model.queries import (
    QUERY_SECONDS,
    Bucket,
    EventBucket,
    Facet,
    FacetName,
    Usage,
)
from tocsin.store.sqlite import rollup, search
from tocsin.store.sqlite.body import STORED, stored_alerts
from tocsin.store.sqlite.database import Database
from tocsin.store.sqlite.filters import as_stamp, conditions, within_json
from tocsin.store.sqlite.retention import unused_bytes, used_bytes
from tocsin.store.sqlite.rollup import Grid
from tocsin.store.sqlite.search import Candidates

_DAY_SECONDS = 86400

_ColumnName = Literal["rule", "user", "namespace", "cluster", "severity"]
_COLUMNS: dict[_ColumnName, str] = {
    "rule": "rule_id",
    "user": "user",
    "namespace": "namespace",
    "cluster": "cluster",
    "severity": "severity",
}
_ALL = AlertFilter()


class SqliteQueries:
    """The `AlertQueries` of a SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._candidates = Candidates()

    def alerts(
        self, where: AlertFilter, limit: int, before: int | None = None
    ) -> list[StoredAlert]:
        """Return matching alerts, newest event first; `before` is the last page's last `seq`."""
        with self._database.read(QUERY_SECONDS) as connection:
            tests, values, few = self._narrowed(connection, where)
            if before is not None:
                page_end = "(time, seq) < (SELECT time, seq FROM alert WHERE seq = ?)"
                tests, values = f"{tests} AND {page_end}", [*values, before]
            # Few candidates are sorted; else an index gives the order, and the rest is skipped.
            order = "+time DESC, +seq DESC" if few else "time DESC, seq DESC"
            rows = connection.execute(
                f"SELECT {STORED} FROM alert "  # noqa: S608 - constant clauses, values are bound
                f"WHERE {tests} ORDER BY {order} LIMIT ?",
                [*values, limit],
            ).fetchall()
        return stored_alerts(rows)

    def count(self, where: AlertFilter = _ALL, seconds: float = QUERY_SECONDS) -> int:
        """Return how many alerts match."""
        with self._database.read(seconds) as connection:
            if rollup.answers(where):
                query, values = rollup.counts(where)
                return _number(connection, f"SELECT ifnull(sum(count), 0) {query}", values)
            tests, values, _ = self._narrowed(connection, where)
            return _number(connection, f"SELECT count(*) FROM alert WHERE {tests}", values)  # noqa: S608 - constant clauses, values are bound

    def timeline(
        self,
        where: AlertFilter,
        start: datetime,
        end: datetime,
        buckets: int,
        seconds: float = QUERY_SECONDS,
    ) -> list[Bucket]:
        """Return matching alerts by their events' time, in buckets of equal length."""
        grid = Grid.of(start, end, buckets)
        # Bounds of the filter that are those of the timeline are taken to the minute with it,
        # but not to the hour, as its buckets are: other alerts than those asked for lie there.
        where = msgspec.structs.replace(
            where,
            since=grid.begin if where.since == start else where.since,
            until=grid.end if where.until == end else where.until,
        )
        with self._database.read(seconds) as connection:
            if rollup.answers(where):
                query, values = rollup.counts(where, grid)
                amount = "sum(count)"
            else:
                tests, values, _ = self._narrowed(connection, where)
                query, amount = f"FROM alert WHERE {tests} AND time >= ? AND time < ?", "count(*)"
                values += [as_stamp(grid.start(0)), as_stamp(grid.start(grid.length))]
            rows = connection.execute(
                f"SELECT (minute - ?) / ? AS bucket, severity, {amount} {query} "
                "GROUP BY bucket, severity",
                [grid.first, grid.step, *values],
            ).fetchall()
        counts: list[dict[Severity, int]] = [{} for _ in range(grid.length)]
        for bucket, severity, count in rows:
            counts[bucket][SEVERITIES[severity]] = count
        return [Bucket(grid.start(number), found) for number, found in enumerate(counts)]

    def facets(
        self, where: AlertFilter, by: FacetName, limit: int, seconds: float = QUERY_SECONDS
    ) -> list[Facet]:
        """Return the most frequent values among matching alerts, the most frequent first."""
        with self._database.read(seconds) as connection:
            if by == "technique":
                found = self._technique_facets(connection, where)
            else:
                found = self._column_facets(connection, where, by)
        found.sort(key=lambda facet: (-facet.count, facet.value or ""))
        return found[:limit]

    def event_timeline(
        self, cluster: str | None, start: datetime, end: datetime, buckets: int
    ) -> list[EventBucket]:
        """Return the events received from a cluster, or from all, in buckets of equal length."""
        grid = Grid.of(start, end, buckets)
        with self._database.read(QUERY_SECONDS) as connection:
            rows = connection.execute(
                "SELECT (minute - ?) / ? AS bucket, sum(count) FROM event_minute "
                "WHERE minute >= ? AND minute < ? AND (? IS NULL OR cluster = ?) GROUP BY bucket",
                (grid.first, grid.step, grid.first, grid.last, cluster, cluster),
            ).fetchall()
        counts = dict(rows)
        return [
            EventBucket(grid.start(number), counts.get(number, 0)) for number in range(grid.length)
        ]

    def version(self) -> str:
        """Return an opaque text that changes whenever anything in the store changes."""
        return self._database.version()

    def usage(self, now: float) -> Usage:
        """Return how much the store holds."""
        with self._database.read() as connection:
            oldest = connection.execute("SELECT min(recorded) FROM alert").fetchone()[0]
            # Rows have the order of arrival: the distance is told without counting them.
            recent = (
                "SELECT ifnull((SELECT max(seq) FROM alert) + 1 - "
                "(SELECT seq FROM alert WHERE recorded >= ? ORDER BY recorded LIMIT 1), 0)"
            )
            unindexed = "SELECT count(*) FROM alert WHERE seq > ?"
            return Usage(
                used_bytes=used_bytes(connection),
                free_bytes=unused_bytes(connection),
                alerts=rollup.total(connection),
                oldest=oldest,
                recent=_number(connection, recent, [now - _DAY_SECONDS]),
                unindexed=_number(connection, unindexed, [search.position(connection)]),
            )

    def _narrowed(
        self, connection: sqlite3.Connection, where: AlertFilter
    ) -> tuple[str, list[object], bool]:
        """Return the conditions, and whether few alerts are candidates at all."""
        tests, values = conditions(where)
        needle = within_json(where.text)
        if needle is not None and (found := self._candidates.of(connection, needle)):
            return f"{found[0]} AND {tests}", [*found[1], *values], True
        return tests, values, where.incident is not None

    def _column_facets(
        self, connection: sqlite3.Connection, where: AlertFilter, by: _ColumnName
    ) -> list[Facet]:
        column = _COLUMNS[by]
        if by in ("cluster", "severity") and rollup.answers(where):
            query, values = rollup.counts(where)
            amount = "sum(count)"
        else:
            tests, values, _ = self._narrowed(connection, where)
            query, amount = f"FROM alert WHERE {tests}", "count(*)"
            # The plus keeps the column's own index out of it: all of that would be read.
            column = f"+{column}" if rollup.is_narrow(connection, where) else column
        rows = connection.execute(
            f"SELECT {column} AS value, {amount} {query} GROUP BY value",
            values,
        )
        return [
            Facet(SEVERITIES[value] if by == "severity" else value, number)
            for value, number in rows
        ]

    def _technique_facets(self, connection: sqlite3.Connection, where: AlertFilter) -> list[Facet]:
        """Count by technique: alerts of a rule have the same, so combinations are few."""
        tests, values, _ = self._narrowed(connection, where)
        counts: Counter[str | None] = Counter()
        for techniques, number in connection.execute(
            f"SELECT techniques, count(*) FROM alert WHERE {tests} GROUP BY techniques",  # noqa: S608 - constant clauses, values are bound
            values,
        ):
            for technique in set(techniques.split()) or {None}:
                counts[technique] += number
        return [Facet(value, number) for value, number in counts.items()]


def _number(connection: sqlite3.Connection, query: str, values: Sequence[object] = ()) -> int:
    return int(connection.execute(query, values).fetchone()[0])
