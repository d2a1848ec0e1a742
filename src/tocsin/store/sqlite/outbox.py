"""The notification queue in SQLite.

A row is made in the transaction that stores its alert, one for each channel that is told about
it; so "pending" always means "will be sent". An alert is not pruned while a row of it is pending.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence

from tocsin.model.alert import SEVERITIES, Alert, Severity
from tocsin.model.outbox import Follow, Risen, Taken, Told, Topic, Waiting, alert_key, incident_key
from tocsin.model.ports import Backlog
from tocsin.store.sqlite import health, topics
from tocsin.store.sqlite.body import read_alert
from tocsin.store.sqlite.database import Database

_ERROR_CHARS = 500

_WAITING = """
    FROM outbox LEFT JOIN alert ON alert.seq = outbox.alert_seq
    WHERE channel = ? AND state = 'pending' AND topic IN (SELECT value FROM json_each(?))
"""
# News that no alert brings come first, so that they are never left for the next message.
_ROWS = "SELECT outbox.id, topic, alert_seq IS NOT NULL, created, attempts"
_OLDEST = "ORDER BY alert_seq IS NOT NULL, outbox.id LIMIT ?"
_WORST = "AND alert_seq IS NOT NULL ORDER BY alert.severity DESC, outbox.id LIMIT ?"

_RISEN = """
    SELECT incident.id, incident.severity, alert.body, max(alert.severity) AS worst
    FROM incident
    JOIN incident_alert ON incident_alert.incident = incident.id
    JOIN alert ON alert.seq = incident_alert.alert_seq
    WHERE updated >= :since AND state <> 'closed'
    GROUP BY incident.id
    HAVING incident.severity > worst AND max(alert.recorded) >= :since
"""


def enqueue(
    connection: sqlite3.Connection, seq: int, alert: Alert, channels: Collection[str], now: float
) -> None:
    """Queue a new alert for these channels."""
    severity = SEVERITIES.index(alert.rule.severity)
    techniques = " ".join(attack.technique for attack in alert.rule.attack)
    # Nobody waits for an incident to be told that the alarm itself is in trouble.
    topic = alert_key(alert.id) if alert.source in {"health", "tocsin"} else None
    connection.executemany(
        "INSERT INTO outbox (alert_seq, channel, topic, severity, techniques, created, next_try) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(seq, name, topic, severity, techniques, now, now) for name in channels],
    )


class SqliteOutbox:
    """The `Outbox` of a SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, channel: str) -> Waiting:
        """Return how much waits for the channel: cheap, to be asked again and again."""
        with self._database.read() as connection:
            rows, unsorted, latest = connection.execute(
                "SELECT count(*), count(*) - count(topic), coalesce(max(id), 0) "
                "FROM outbox WHERE channel = ? AND state = 'pending'",
                (channel,),
            ).fetchone()
        return Waiting(rows, unsorted, latest)

    def topics(self, channel: str, now: float) -> list[Topic]:
        """Return what waits for the channel, the worst first, then what waits longest.

        What came in since is sorted into topics first. An alert that nobody has looked at to
        find its incident is a topic of its own after half a minute, and not told before.
        """
        with self._database.read() as connection:
            found = topics.sort_in(connection, channel, now)
        if found:
            with self._database.write() as connection:
                connection.executemany("UPDATE outbox SET topic = ? WHERE id = ?", found)
        with self._database.read() as connection:
            return topics.waiting(connection, channel)

    def take(
        self, channel: str, keys: Sequence[str], limit: int, now: float, *, whole: bool
    ) -> Taken:
        """Return what waits of these topics, with at most `limit` alerts in full.

        With `whole`, only rows whose alert is among them, oldest first; else all rows, with the
        worst alerts, and of those the oldest.
        """
        wanted = (channel, json.dumps(list(keys)), limit if whole else -1)
        choice = _OLDEST if whole else _WORST
        with self._database.read() as connection:
            rows = connection.execute(f"{_ROWS} {_WAITING} {_OLDEST}", wanted).fetchall()
            bodies = connection.execute(
                f"SELECT outbox.id, topic, body {_WAITING} {choice}", (*wanted[:2], limit)
            ).fetchall()
        read = [(row, key, read_alert(body)) for row, key, body in bodies if body is not None]
        damaged = {row for row, _, alert in read if alert is None}
        if damaged:
            self.dead(channel, sorted(damaged), "the stored alert is damaged", now)
        kept = [row for row in rows if row[0] not in damaged]
        return Taken(
            rows=tuple(number for number, *_ in kept),
            alerts=tuple(alert for _, _, alert in read if alert is not None),
            keys=tuple(key for _, key, alert in read if alert is not None),
            counts=_counts(kept),
            oldest=min((created for *_, created, _ in kept), default=now),
            attempts=max((attempts for *_, attempts in kept), default=0),
        )

    def sent(self, channel: str, rows: Sequence[int], told: Mapping[str, Told]) -> None:
        """Settle rows: the channel has them, and knows this much of each topic now."""
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(rows)),),
            )
            connection.executemany(
                "INSERT INTO told (channel, topic, at, severity, techniques, closed) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (channel, topic) DO UPDATE SET "
                "at = excluded.at, severity = excluded.severity, "
                "techniques = excluded.techniques, closed = excluded.closed",
                [_told_row(channel, key, one) for key, one in told.items()],
            )

    def failed(self, rows: Sequence[int], error: str, retry_at: float) -> None:
        """Count a failed try and set the next one."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, error = ?, next_try = ? "
                "WHERE id IN (SELECT value FROM json_each(?))",
                (error[:_ERROR_CHARS], retry_at, json.dumps(list(rows))),
            )

    def dead(self, channel: str, rows: Sequence[int], error: str, now: float) -> None:
        """Give rows up, and say so among the health findings."""
        with self._database.write() as connection:
            count = connection.execute(
                "UPDATE outbox SET state = 'dead', attempts = attempts + 1, error = ? "
                "WHERE state = 'pending' AND id IN (SELECT value FROM json_each(?))",
                (error[:_ERROR_CHARS], json.dumps(list(rows))),
            ).rowcount
            if count:
                message = f"{_notifications(count)} given up: {error}"
                health.report(connection, "notify", channel, message, now)

    def rename(self, channel: str, key: str, to: str) -> None:
        """Move what waits to another topic, into which its incident was merged."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE outbox SET topic = ? "
                "WHERE channel = ? AND topic = ? AND state = 'pending' AND kind = 'alert'",
                (to, channel, key),
            )

    def follow(self, channel: str, follow: Follow, now: float) -> None:
        """Queue what became of incidents that the channel was told of."""
        with self._database.write() as connection:
            topics.follow(connection, channel, follow, now)

    def risen(self, since: float) -> list[Risen]:
        """Return incidents that got alerts since then and are worse than each of their alerts."""
        with self._database.read() as connection:
            rows = connection.execute(_RISEN, {"since": since}).fetchall()
        found = ((incident, severity, read_alert(body)) for incident, severity, body, _ in rows)
        return [
            Risen(incident, SEVERITIES[severity], alert)
            for incident, severity, alert in found
            if alert is not None
        ]

    def queue_incident(
        self, channels: Collection[str], incident_id: str, severity: Severity, now: float
    ) -> None:
        """Queue an incident that has become worse for channels that do not know of it."""
        key, rank = incident_key(incident_id), SEVERITIES.index(severity)
        with self._database.write() as connection:
            connection.executemany(
                "INSERT INTO outbox (channel, topic, kind, severity, created, next_try) "
                "SELECT :channel, :topic, 'worse', :severity, :now, :now "
                "WHERE NOT EXISTS (SELECT 1 FROM told "
                "  WHERE channel = :channel AND topic = :topic) "
                "AND NOT EXISTS (SELECT 1 FROM outbox "
                "  WHERE channel = :channel AND topic = :topic AND state = 'pending')",
                [
                    {"channel": name, "topic": key, "severity": rank, "now": now}
                    for name in channels
                ],
            )

    def abandon(self, channels: Collection[str], now: float) -> int:
        """Give up what waits for channels other than these; return how many rows."""
        with self._database.read() as connection:
            waiting = connection.execute(
                "SELECT DISTINCT channel FROM outbox WHERE state = 'pending'"
            ).fetchall()
        gone = [name for (name,) in waiting if name not in channels]
        return sum(self._abandon(name, now) for name in gone)

    def _abandon(self, channel: str, now: float) -> int:
        with self._database.write() as connection:
            count = connection.execute(
                "UPDATE outbox SET state = 'dead', error = 'channel is not configured' "
                "WHERE state = 'pending' AND channel = ?",
                (channel,),
            ).rowcount
            message = f"{_notifications(count)} given up: the channel is not configured"
            health.report(connection, "notify", channel, message, now)
        return count

    def backlog(self) -> dict[str, Backlog]:
        """Return the state of every channel that has pending or dead rows.

        `error` is one of the errors that they met.
        """
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT channel, sum(state = 'pending'), sum(state = 'dead'), "
                "min(created) FILTER (WHERE state = 'pending'), max(error) "
                "FROM outbox GROUP BY channel"
            ).fetchall()
        return {channel: Backlog(*numbers) for channel, *numbers in rows}


def _told_row(channel: str, key: str, told: Told) -> tuple[object, ...]:
    techniques = " ".join(sorted(told.techniques))
    return (channel, key, told.at, SEVERITIES.index(told.severity), techniques, told.closed)


def _counts(rows: Sequence[tuple[int, str, int, float, int]]) -> dict[str, int]:
    """Return how many alerts of each topic the rows stand for; 0 for news alone."""
    counts = {topic: 0 for _, topic, *_ in rows}
    for _, topic, is_alert, *_ in rows:
        counts[topic] += is_alert
    return counts


def _notifications(count: int) -> str:
    return "1 notification was" if count == 1 else f"{count} notifications were"
