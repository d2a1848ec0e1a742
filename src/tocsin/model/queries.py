"""What pages and exports ask of the store beyond lists: counts over time and by value.

Each question is bounded: it is answered within a good second or refused with `QueryTooWide`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, get_args

import msgspec

from tocsin.model.alert import Severity
from tocsin.model.errors import TocsinError
from tocsin.model.ports import AlertFilter, StoredAlert

FacetName = Literal["rule", "user", "namespace", "cluster", "severity", "technique"]

FACETS: tuple[FacetName, ...] = get_args(FacetName)

QUERY_SECONDS = 1.2
"""A little less than what a page waits for."""


class QueryTooWide(TocsinError):  # noqa: N818 - a limit that was met, not a mistake
    """The question would take too long; the message says in plain words how to narrow it."""


class Bucket(msgspec.Struct, frozen=True):
    """Alerts by severity from `start` until the next bucket starts; absent ones are none."""

    start: datetime
    counts: Mapping[Severity, int]


class EventBucket(msgspec.Struct, frozen=True):
    """Events received from `start` until the next bucket starts."""

    start: datetime
    count: int


class Facet(msgspec.Struct, frozen=True):
    """A value and how many alerts have it; None is that of alerts without any."""

    value: str | None
    count: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What the store holds.

    Attributes:
        used_bytes: bytes in use in the store's file.
        free_bytes: bytes of the file that new data will fill first.
        alerts: how many alerts there are.
        oldest: when the oldest alert was recorded, in seconds since the epoch; None without one.
        recent: how many were recorded in the last day.
        unindexed: how many the full-text index does not know yet; searches read these in turn.
    """

    used_bytes: int
    free_bytes: int
    alerts: int
    oldest: float | None
    recent: int
    unindexed: int


class AlertQueries(Protocol):
    """Questions about stored alerts. Every method may raise `QueryTooWide`.

    `seconds` is how long the answer may take, where the default is too long.
    """

    def alerts(
        self, where: AlertFilter, limit: int, before: int | None = None
    ) -> list[StoredAlert]:
        """Return matching alerts, newest event first; `before` is the last page's last `seq`."""
        ...

    def count(self, where: AlertFilter, seconds: float = QUERY_SECONDS) -> int:
        """Return how many alerts match."""
        ...

    def timeline(
        self,
        where: AlertFilter,
        start: datetime,
        end: datetime,
        buckets: int,
        seconds: float = QUERY_SECONDS,
    ) -> Sequence[Bucket]:
        """Return matching alerts by their events' time, in buckets of equal length.

        The buckets cover `start` to `end`, and there may be fewer of them: they begin and end
        with a minute, those of an hour or more with an hour. Each ends where the next begins.
        Times within the filter that are other than `start` and `end` restrict to the second.
        """
        ...

    def facets(
        self, where: AlertFilter, by: FacetName, limit: int, seconds: float = QUERY_SECONDS
    ) -> Sequence[Facet]:
        """Return the most frequent values among matching alerts, the most frequent first."""
        ...

    def event_timeline(
        self, cluster: str | None, start: datetime, end: datetime, buckets: int
    ) -> Sequence[EventBucket]:
        """Return the events received from a cluster, or from all, in buckets of equal length.

        Buckets are as those of `timeline`.
        """
        ...

    def version(self) -> str:
        """Return an opaque text that changes whenever anything in the store changes."""
        ...

    def usage(self, now: float) -> Usage:
        """Return how much the store holds."""
        ...
