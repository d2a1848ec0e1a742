"""Counts of alerts by minute, hour, cluster, severity and whether hidden: what charts show.

Whole hours are read as hours and the ends of a range as minutes, so a chart over a year reads
as little as one over a day.
"""

import sqlite3
from datetime import UTC, datetime

from tocsin.model.alert import SEVERITIES
from tocsin.model.errors import TocsinError
from tocsin.model.ports import AlertFilter
from tocsin.store.sqlite.filters import Conditions, as_unicode

MAX_BUCKETS = 2000

_MINUTE_SECONDS = 60
_HOUR = 60
# Later than any alert, and earlier.
_FOREVER = 1 << 40

_COUNTS = """
    (SELECT minute, cluster, severity, hidden, count FROM alert_count
        WHERE span = 60 AND minute >= ? AND minute < ?
    UNION ALL SELECT minute, cluster, severity, hidden, count FROM alert_count
        WHERE span = 1 AND minute >= ? AND minute < ?
    UNION ALL SELECT minute, cluster, severity, hidden, count FROM alert_count
        WHERE span = 1 AND minute >= ? AND minute < ?)
"""


class Grid:
    """Buckets of equal length over a range of minutes since the epoch.

    A bucket of an hour or more begins with an hour and has whole hours, so the first and the last
    one may reach beyond the range.
    """

    def __init__(self, begin: int, end: int, buckets: int) -> None:
        step = -(-(end - begin) // buckets)
        first = begin
        if step >= _HOUR:
            first -= first % _HOUR
            step = -(-(end - first) // buckets)
            step += -step % _HOUR
        self.begin = _moment(begin)
        self.end = _moment(end)
        self.first = first
        self.step = step
        self.length = -(-(end - first) // step)
        self.last = first + step * self.length

    @classmethod
    def of(cls, start: datetime, end: datetime, buckets: int) -> "Grid":
        """Return at most `buckets` buckets that cover the range.

        Raises:
            TocsinError: the range ends before it starts, or there are too many buckets.
        """
        if not start < end or not 0 < buckets <= MAX_BUCKETS:
            message = (
                f"a timeline needs a start before its end, and 1 to {MAX_BUCKETS} buckets; asked "
                f"for were {buckets} from {start.isoformat()} to {end.isoformat()}"
            )
            raise TocsinError(message)
        first = int(start.timestamp() // _MINUTE_SECONDS)
        last = -int(-end.timestamp() // _MINUTE_SECONDS)
        return cls(first, last, buckets)

    def start(self, number: int) -> datetime:
        """Return when a bucket starts."""
        return _moment(self.first + number * self.step)


def _moment(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * _MINUTE_SECONDS, UTC)


def answers(where: AlertFilter) -> bool:
    """Return whether the counts answer the filter."""
    others = (where.rule_id, where.user, where.namespace, where.technique, where.incident)
    bounds = (where.since, where.until)
    return (
        all(value is None for value in others)
        and not where.text
        and all(bound is None or bound.second + bound.microsecond == 0 for bound in bounds)
    )


def counts(where: AlertFilter, grid: Grid | None = None) -> Conditions:
    """Return FROM and WHERE of the counts that match, within a grid if one is given.

    Counts of an hour have the hour's first minute.
    """
    first, last = (grid.first, grid.last) if grid else (-_FOREVER, _FOREVER)
    if where.since:
        first = max(first, int(where.since.timestamp()) // _MINUTE_SECONDS)
    if where.until:
        last = min(last, int(where.until.timestamp()) // _MINUTE_SECONDS)
    first_hour = first + -first % _HOUR
    last_hour = max(first_hour, last - last % _HOUR)
    if first_hour > last or (grid and grid.step % _HOUR):
        first_hour = last_hour = last
    values: list[object] = [first_hour, last_hour, first, first_hour, last_hour, last]
    query = f"FROM {_COUNTS} WHERE severity >= ?"
    values.append(SEVERITIES.index(where.min_severity))
    if where.hidden != "with":
        query += " AND hidden" if where.hidden == "only" else " AND NOT hidden"
    if where.cluster is not None:
        query += " AND cluster = ?"
        values.append(as_unicode(where.cluster))
    return query, values


def is_narrow(connection: sqlite3.Connection, where: AlertFilter) -> bool:
    """Return whether the filter's range of time holds so little that it is best read alone."""
    if where.since is None and where.until is None:
        return False
    within = AlertFilter(
        since=where.since and where.since.replace(second=0, microsecond=0),
        until=where.until and where.until.replace(second=0, microsecond=0),
        hidden="with",
    )
    query, values = counts(within)
    inside = connection.execute(f"SELECT ifnull(sum(count), 0) {query}", values).fetchone()[0]
    return bool(inside * 4 < total(connection))


def total(connection: sqlite3.Connection) -> int:
    """Return how many alerts there are."""
    row = connection.execute(
        "SELECT ifnull(sum(count), 0) FROM alert_count WHERE span = 60"
    ).fetchone()
    return int(row[0])
