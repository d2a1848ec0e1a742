"""What waits in the outbox, by topic: incidents, rules, single alerts."""

import sqlite3

from tocsin.model.alert import SEVERITIES
from tocsin.model.outbox import NEWS, Follow, Told, Topic

# Grouping decides within a second or two. When it does not, people are told without it.
ALONE_AFTER_SECONDS = 30.0
_KEEP_TOLD_SECONDS = 90 * 86400.0

_SORT = """
    SELECT CASE
        WHEN EXISTS (SELECT 1 FROM incident_alert WHERE incident_alert.alert_seq = alert.seq)
        THEN 'incident ' || (
            SELECT min(incident) FROM incident_alert WHERE incident_alert.alert_seq = alert.seq)
        WHEN alert.seq <= (SELECT position FROM cursor WHERE reader = 'incidents')
        THEN 'rule ' || alert.cluster || ' ' || alert.rule_id
        WHEN outbox.created <= ? THEN 'alert ' || alert.id
    END AS found, outbox.id
    FROM outbox JOIN alert ON alert.seq = outbox.alert_seq
    WHERE channel = ? AND state = 'pending' AND topic IS NULL AND found IS NOT NULL
"""

_TOPICS = """
    WITH waiting AS (
        SELECT
            topic, group_concat(DISTINCT kind) AS kinds, sum(kind = 'alert') AS alerts,
            max(severity) AS severity, group_concat(DISTINCT techniques) AS techniques,
            min(created) AS oldest, max(next_try) AS next_try, max(attempts) AS attempts
        FROM outbox WHERE channel = :channel AND state = 'pending' AND topic IS NOT NULL
        GROUP BY topic)
    SELECT
        waiting.topic, kinds, waiting.alerts,
        max(waiting.severity, coalesce(incident.severity, 0)) AS worst,
        waiting.techniques, oldest, next_try, attempts,
        told.at, told.severity, told.techniques, told.closed
    FROM waiting
    LEFT JOIN told ON told.channel = :channel AND told.topic = waiting.topic
    LEFT JOIN incident
        ON incident.id = substr(waiting.topic, 10) AND waiting.topic LIKE 'incident %'
    ORDER BY worst DESC, oldest
"""

_QUEUE = """
    INSERT INTO outbox (channel, topic, kind, severity, created, next_try)
    SELECT told.channel, told.topic, :kind, max(incident.severity, told.severity), :now, :now
"""
_CHANGED = """
    FROM incident JOIN told ON told.channel = :channel AND told.topic = 'incident ' || incident.id
    WHERE incident.updated >= :since AND NOT told.closed
"""
_WORSE = f"{_CHANGED} AND incident.severity > told.severity AND incident.state <> 'closed'"
_CLOSED = f"{_CHANGED} AND incident.state = 'closed'"
_MERGED = """
    FROM incident
    JOIN incident_alias ON incident_alias.incident = incident.id
    JOIN told ON told.channel = :channel AND told.topic = 'incident ' || incident_alias.id
    WHERE incident.updated >= :since AND NOT told.closed
"""
_STILL_OPEN = """
    FROM told JOIN incident ON incident.id = substr(told.topic, 10)
    WHERE told.channel = :channel AND told.topic LIKE 'incident %' AND NOT told.closed
    AND incident.state = 'open' AND told.at > 0 AND told.at <= :now - :repeat
"""


def sort_in(connection: sqlite3.Connection, channel: str, now: float) -> list[tuple[str, int]]:
    """Return the topic of each row that has none yet and now can have one."""
    found = connection.execute(_SORT, (now - ALONE_AFTER_SECONDS, channel))
    return found.fetchall()


def waiting(connection: sqlite3.Connection, channel: str) -> list[Topic]:
    """Return the topics of what waits, the worst first, then what waits longest."""
    return [_topic(*row) for row in connection.execute(_TOPICS, {"channel": channel})]


def follow(connection: sqlite3.Connection, channel: str, follow: Follow, now: float) -> None:
    """Queue what became of incidents that the channel was told of, and forget old ones."""
    wanted = [("worse", _WORSE)]
    if follow.ends:
        wanted += [("closed", _CLOSED), ("closed", _MERGED)]
    if follow.repeat_seconds:
        wanted.append(("repeat", _STILL_OPEN))
    values = {
        "channel": channel,
        "now": now,
        "since": follow.since,
        "repeat": follow.repeat_seconds,
    }
    for kind, found in wanted:
        connection.execute(f"{_QUEUE} {found} ON CONFLICT DO NOTHING", {**values, "kind": kind})
    connection.execute(
        "DELETE FROM told WHERE channel = ? AND at > 0 AND at < ?",
        (channel, now - _KEEP_TOLD_SECONDS),
    )


def _topic(  # noqa: PLR0913, PLR0917 - a row
    key: str,
    kinds: str,
    alerts: int,
    severity: int,
    techniques: str,
    oldest: float,
    next_try: float,
    attempts: int,
    *told: object,
) -> Topic:
    return Topic(
        key=key,
        news=frozenset(kind for kind in NEWS if kind in kinds.split(",")),
        alerts=alerts,
        severity=SEVERITIES[severity],
        techniques=_words(techniques),
        oldest=oldest,
        next_try=next_try,
        attempts=attempts,
        told=_told(*told),
    )


def _told(at: object, severity: object, techniques: object, closed: object) -> Told | None:
    if at is None:
        return None
    return Told(
        float(str(at)), SEVERITIES[int(str(severity))], _words(str(techniques)), bool(closed)
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(text.replace(",", " ").split())
