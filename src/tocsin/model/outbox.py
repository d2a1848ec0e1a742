"""What people have to be told: the queue of each channel, in topics.

A topic is what one message tells: an incident, or the alerts of one rule that belong to no
incident, or one alert. Methods that need the time get it as `now`, in seconds since the epoch.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol, get_args

import msgspec

from tocsin.model.alert import Alert, Severity
from tocsin.model.ports import Backlog

# What waits to be told: new alerts, or news of an incident that no alert brings.
News = Literal["alert", "worse", "closed", "repeat"]

NEWS: tuple[News, ...] = get_args(News)

_INCIDENT = "incident "


class Told(msgspec.Struct, frozen=True):
    """What a channel was last told of a topic.

    `techniques` are the ids of all it was ever told; `closed` is whether it knows the end.
    """

    at: float
    severity: Severity
    techniques: frozenset[str] = frozenset()
    closed: bool = False


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """What waits to be told of one topic.

    Attributes:
        key: names the topic, the same for all news of it.
        news: the kinds of what waits.
        alerts: how many alerts wait.
        severity: the worst of what waits.
        techniques: ids of the waiting alerts' techniques.
        oldest: since when the oldest waits.
        next_try: not before this moment.
        attempts: failed tries so far.
        told: what the channel was told before, None when nothing.
    """

    key: str
    news: frozenset[News]
    alerts: int
    severity: Severity
    techniques: frozenset[str]
    oldest: float
    next_try: float
    attempts: int = 0
    told: Told | None = None

    @property
    def incident(self) -> str | None:
        """The incident's id, None for a topic of another kind."""
        return incident_of_key(self.key)


class Waiting(msgspec.Struct, frozen=True):
    """How much waits: rows in all, rows without a topic yet, and the latest row's number."""

    rows: int
    unsorted: int
    latest: int


class Taken(msgspec.Struct, frozen=True):
    """What one message tells: rows of the queue, and alerts of them in full.

    `keys` are the alerts' topics, in the same order. `counts` has each topic, with how many
    alerts the rows stand for. `oldest` is since when the oldest row waits, `attempts` how often
    any of them failed.
    """

    rows: tuple[int, ...]
    alerts: tuple[Alert, ...]
    keys: tuple[str, ...]
    counts: Mapping[str, int]
    oldest: float
    attempts: int


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """Which news of incidents a channel is told besides alerts.

    Attributes:
        since: only what became of incidents since then, in seconds since the epoch.
        ends: whether it is told that an incident was closed.
        repeat_seconds: after how long it is told again of an open incident; 0 is never.
    """

    since: float = 0.0
    ends: bool = False
    repeat_seconds: float = 0.0


class Risen(msgspec.Struct, frozen=True):
    """An incident that is worse than each of its alerts, with the worst of those."""

    incident: str
    severity: Severity
    alert: Alert


def incident_key(incident_id: str) -> str:
    """Return the key of an incident's topic."""
    return f"{_INCIDENT}{incident_id}"


def incident_of_key(key: str) -> str | None:
    """Return the id of the incident whose topic this is, or None."""
    return key.removeprefix(_INCIDENT) if key.startswith(_INCIDENT) else None


def alert_key(alert_id: str) -> str:
    """Return the key of an alert that is told alone."""
    return f"alert {alert_id}"


def is_alone(key: str) -> bool:
    """Return whether the topic is one alert, told alone."""
    return key.startswith("alert ")


class Outbox(Protocol):
    """Notifications that wait to be sent; a row leaves the queue only when settled here."""

    def waiting(self, channel: str) -> Waiting:
        """Return how much waits for the channel: cheap, to be asked again and again."""
        ...

    def topics(self, channel: str, now: float) -> list[Topic]:
        """Return what waits for the channel, the worst first, then what waits longest.

        What came in since is sorted into topics first. An alert that nobody has looked at to
        find its incident is a topic of its own after half a minute, and not told before.
        """
        ...

    def take(
        self, channel: str, keys: Sequence[str], limit: int, now: float, *, whole: bool
    ) -> Taken:
        """Return what waits of these topics, with at most `limit` alerts in full.

        With `whole`, only rows whose alert is among them, oldest first; else all rows, with the
        worst alerts, and of those the oldest.
        """
        ...

    def sent(self, channel: str, rows: Sequence[int], told: Mapping[str, Told]) -> None:
        """Settle rows: the channel has them, and knows this much of each topic now."""
        ...

    def failed(self, rows: Sequence[int], error: str, retry_at: float) -> None:
        """Count a failed try and set the next one."""
        ...

    def dead(self, channel: str, rows: Sequence[int], error: str, now: float) -> None:
        """Give rows up, and say so among the health findings."""
        ...

    def rename(self, channel: str, key: str, to: str) -> None:
        """Move what waits to another topic, into which its incident was merged."""
        ...

    def follow(self, channel: str, follow: Follow, now: float) -> None:
        """Queue what became of incidents that the channel was told of."""
        ...

    def risen(self, since: float) -> list[Risen]:
        """Return incidents that got alerts since then and are worse than each of their alerts."""
        ...

    def queue_incident(
        self, channels: Collection[str], incident_id: str, severity: Severity, now: float
    ) -> None:
        """Queue an incident that has become worse for channels that do not know of it."""
        ...

    def abandon(self, channels: Collection[str], now: float) -> int:
        """Give up what waits for channels other than these; return how many rows."""
        ...

    def backlog(self) -> dict[str, Backlog]:
        """Return the state of every channel that has pending or dead rows."""
        ...
