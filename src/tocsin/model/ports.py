"""What stages need of each other, stated as protocols so that none imports another.

`runtime` creates the objects and passes them in. SQLite stands behind the store today;
PostgreSQL can stand behind the same protocols later. Every method that needs the time gets
it as `now`, in seconds since the epoch.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from tocsin.model.alert import Alert, Severity
from tocsin.model.response import Proof


class StoreUnavailable(Exception):  # noqa: N818 - a state that passes, not a fault of the caller
    """The store cannot be read or written at this moment: locked, full, or failing. Try again."""


Hidden = Literal["without", "with", "only"]
"""Whether to show alerts that suppression or a silence hid: not, too, or these alone."""


class AlertFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts to show; what is None does not restrict.

    `since` is inclusive, `until` exclusive, both against the event's time. `text` is a plain
    substring of anything the alert carries, in any case of ASCII letters. `technique` is an
    ATT&CK id and includes its sub-techniques. `incident` is an incident's id. `hidden` says
    whether alerts are among them that suppression or a silence hid.
    """

    since: datetime | None = None
    until: datetime | None = None
    min_severity: Severity = "info"
    cluster: str | None = None
    rule_id: str | None = None
    user: str | None = None
    namespace: str | None = None
    text: str | None = None
    technique: str | None = None
    incident: str | None = None
    hidden: Hidden = "without"


class StoredAlert(msgspec.Struct, frozen=True):
    """An alert with its row number; numbers grow in the order of arrival.

    `authenticated` is False while nobody vouched for its events: the sender was let in
    without a credential, so they may be forged. `hidden_by` is `suppress` or `silence:` and its
    number for an alert that nobody is told of, see `tocsin.model.silence`.
    """

    seq: int
    alert: Alert
    authenticated: bool = True
    hidden_by: str | None = None


class Retention(msgspec.Struct, frozen=True):
    """How long alerts are kept: whichever limit is met first.

    Attributes:
        keep_days: days since an alert was recorded.
        max_alerts: how many are kept.
        max_bytes: bytes in use in the store, all that it holds counted.
    """

    keep_days: float
    max_alerts: int
    max_bytes: int


class Backlog(msgspec.Struct, frozen=True):
    """What a channel has not been told, and why not."""

    pending: int = 0
    dead: int = 0
    oldest: float | None = None
    error: str | None = None


class HealthFinding(msgspec.Struct, frozen=True):
    """Something wrong with Tocsin itself, counted since it was first seen."""

    kind: str
    key: str
    message: str
    since: float
    last: float
    count: int


class Observation(msgspec.Struct, frozen=True):
    """How often requests of one kind were recorded at one audit level.

    None is what the events left out: a core-group object has no `api_group`, a non-resource
    URL no `resource`.
    """

    verb: str
    api_group: str | None
    resource: str | None
    subresource: str | None
    level: str | None
    count: int


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    """What was last heard of one API server over one way; times in seconds since the epoch.

    Attributes:
        cluster: the cluster.
        node: the API server's node, None where the sender names none.
        source: the way, such as `webhook` or `file`.
        first_received: when the first post came.
        last_received: when the latest post came.
        last_event: the newest event's time, by the node's clock; 0 without any.
        skew: the smallest difference between the time a post came and its newest event's
            time, over the last five minutes of posts; negative when the node's clock is ahead.
        events: events so far.
        posts: posts so far.
        longest: the longest pause between two posts in the last hours, in seconds.
        usual: the second longest: what is not out of the ordinary.
        stale: posts so far whose newest event was older than an hour.
        stale_since: when the present run of such posts began; 0 without one.
        stale_last: when the latest such post came; 0 without one.
    """

    cluster: str
    node: str | None
    source: str
    first_received: float
    last_received: float
    last_event: float = 0.0
    skew: float = 0.0
    events: int = 0
    posts: int = 0
    longest: float = 0.0
    usual: float = 0.0
    stale: int = 0
    stale_since: float = 0.0
    stale_last: float = 0.0


class CanaryState(msgspec.Struct, frozen=True):
    """The last canary of a cluster that came back; times in seconds since the epoch.

    `sent` is when it was sent, `heard` when its event was evaluated, `node` whose event it was.
    """

    cluster: str
    node: str | None
    sent: float
    heard: float


# Verb, API group, resource, subresource and audit level.
Kind = tuple[str, str | None, str | None, str | None, str | None]


class LineUpdate(msgspec.Struct, frozen=True):
    """What became known of the line with the events that are recorded.

    `nodes` is what the lifeline remembers of each (cluster, node), in its own form.
    `observations` are further requests of each kind, by cluster. `received` are further events
    by cluster and minute, counted since the epoch. `proofs` are audit events of the responder's
    own requests.
    """

    sources: Sequence[SourceState] = ()
    nodes: Mapping[tuple[str, str | None], bytes] = {}
    canaries: Sequence[CanaryState] = ()
    observations: Mapping[str, Mapping[Kind, int]] = {}
    received: Mapping[tuple[str, int], int] = {}
    proofs: Sequence[Proof] = ()


NO_UPDATE = LineUpdate()


class SourceLog(Protocol):
    """What was heard of each API server, and which kinds of requests at which audit level."""

    def sources(self) -> list[SourceState]:
        """Return the state of every source."""
        ...

    def nodes(self) -> dict[tuple[str, str | None], bytes]:
        """Return what the lifeline remembers of each (cluster, node)."""
        ...

    def canaries(self) -> list[CanaryState]:
        """Return the last canary of each cluster that came back."""
        ...

    def observations(self, cluster: str) -> list[Observation]:
        """Return what a cluster was seen to record, the most frequent first."""
        ...


class AlertSource(Protocol):
    """Stored alerts, oldest first: what a follower such as the alert log reads."""

    def alert(self, alert_id: str) -> StoredAlert | None:
        """Return the alert with this id, or None."""
        ...

    def follow(self, after: int, limit: int, where: AlertFilter = ...) -> list[StoredAlert]:
        """Return matching alerts that arrived after row number `after`, oldest first."""
        ...


class AlertStore(AlertSource, Protocol):
    """Keeps alerts exactly once per id, together with the readers' positions."""

    def record(  # noqa: PLR0913 - all that one transaction holds
        self,
        alerts: Sequence[Alert],
        cursors: Mapping[str, int],
        now: float,
        unauthenticated: Sequence[Alert] = (),
        line: LineUpdate = NO_UPDATE,
        forms: Mapping[str, bytes] = ...,
        *,
        hidden: Mapping[str, str] = ...,
    ) -> list[Alert]:
        """Store alerts and the positions they were found at, in one transaction.

        Known alerts take over new evidence and nothing else; only new ones are returned and
        queued for notification. What is known from `unauthenticated` alone is replaced by
        an alert of an authenticated sender, and adds nothing to one. `forms` are lines of
        another product's log, by alert id, kept with the alerts. `hidden` says by alert id
        what hides a new alert: it is stored and counted, and nobody is told.
        """
        ...

    def cursor(self, reader: str) -> int:
        """Return the reader's stored position, 0 when it has none."""
        ...

    def alerts(
        self, where: AlertFilter, limit: int, before: int | None = None
    ) -> list[StoredAlert]:
        """Return matching alerts, newest event first; `before` is the last page's last `seq`."""
        ...

    def count(self, where: AlertFilter, seconds: float = ...) -> int:
        """Return how many alerts match, within so many seconds.

        Raises:
            QueryTooWide: they are over.
        """
        ...

    def prune(self, now: float, keep: Retention) -> bool:
        """Delete some of the alerts that are too old or too many; return if there may be more.

        A call takes a fraction of a second, so that recording is not kept waiting.
        """
        ...


class HealthLog(Protocol):
    """Findings about Tocsin itself, kept where every process can show them."""

    def report(self, kind: str, key: str, message: str, now: float) -> None:
        """Record a finding; the same kind and key again is counted, with the newer message."""
        ...

    def clear(self, kind: str, key: str) -> None:
        """Remove a finding that no longer holds."""
        ...

    def findings(self) -> list[HealthFinding]:
        """Return all findings, the latest first."""
        ...
