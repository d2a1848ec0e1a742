"""The notification queue in SQLite.

A row is made in the transaction that stores its alert, one for each channel whose minimum
severity the alert reaches; so "pending" always means "will be sent". An alert is not pruned
while a row of it is pending.
"""

import sqlite3
from collections.abc import Collection, Mapping

from tocsin.model.alert import SEVERITIES, Severity
from tocsin.model.ports import Backlog, Delivery
from tocsin.store.sqlite import health
from tocsin.store.sqlite.body import read_alert
from tocsin.store.sqlite.database import Database

_ERROR_CHARS = 500


def enqueue(
    connection: sqlite3.Connection,
    seq: int,
    severity: Severity,
    channels: Mapping[str, Severity],
    now: float,
) -> None:
    """Queue a new alert for the channels that want its severity."""
    rank = SEVERITIES.index(severity)
    connection.executemany(
        "INSERT INTO outbox (alert_seq, channel, created, next_try) VALUES (?, ?, ?, ?)",
        [
            (seq, name, now, now)
            for name, lowest in channels.items()
            if rank >= SEVERITIES.index(lowest)
        ],
    )


class SqliteOutbox:
    """The `Outbox` of a SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, channel: str, now: float, limit: int) -> list[Delivery]:
        """Return deliveries of the channel whose next try has come, longest waiting first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT outbox.id, body, attempts, created "
                "FROM outbox JOIN alert ON alert.seq = outbox.alert_seq "
                "WHERE state = 'pending' AND channel = ? AND next_try <= ? "
                "ORDER BY next_try LIMIT ?",
                (channel, now, limit),
            ).fetchall()
        deliveries = []
        for number, body, attempts, created in rows:
            alert = read_alert(body)
            if alert is None:
                self.dead(number, "the stored alert is damaged", now)
            else:
                deliveries.append(Delivery(number, channel, alert, attempts, created))
        return deliveries

    def sent(self, delivery_id: int) -> None:
        """Settle a delivery: the channel has it."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM outbox WHERE id = ?", (delivery_id,))

    def failed(self, delivery_id: int, error: str, retry_at: float) -> None:
        """Count a failed try and set the next one."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, error = ?, next_try = ? WHERE id = ?",
                (error[:_ERROR_CHARS], retry_at, delivery_id),
            )

    def dead(self, delivery_id: int, error: str, now: float) -> None:
        """Give a delivery up, and say so among the health findings."""
        with self._database.write() as connection:
            rows = connection.execute(
                "UPDATE outbox SET state = 'dead', attempts = attempts + 1, error = ? "
                "WHERE id = ? AND state = 'pending' RETURNING channel",
                (error[:_ERROR_CHARS], delivery_id),
            ).fetchall()
            for (channel,) in rows:
                message = f"a notification was given up: {error}"
                health.report(connection, "notify", channel, message, now)

    def abandon(self, channels: Collection[str], now: float) -> int:
        """Give up what waits for channels other than these; return how many deliveries."""
        with self._database.write() as connection:
            waiting = connection.execute(
                "SELECT channel, count(*) FROM outbox WHERE state = 'pending' GROUP BY channel"
            ).fetchall()
            gone = {channel: count for channel, count in waiting if channel not in channels}
            for channel, count in gone.items():
                connection.execute(
                    "UPDATE outbox SET state = 'dead', error = 'channel is not configured' "
                    "WHERE state = 'pending' AND channel = ?",
                    (channel,),
                )
                message = f"{count} notifications were given up: the channel is not configured"
                health.report(connection, "notify", channel, message, now)
        return sum(gone.values())

    def backlog(self) -> dict[str, Backlog]:
        """Return the state of every channel that has pending or dead deliveries.

        `error` is one of the errors that its deliveries met.
        """
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT channel, sum(state = 'pending'), sum(state = 'dead'), "
                "min(created) FILTER (WHERE state = 'pending'), max(error) "
                "FROM outbox GROUP BY channel"
            ).fetchall()
        return {channel: Backlog(*numbers) for channel, *numbers in rows}
