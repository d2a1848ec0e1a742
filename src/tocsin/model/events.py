"""Events as a person looks them up: what to look for, what was found, how far the search is.

The log of events is what the spool still holds: everything that arrived, also what no rule
matched. It is searched, not indexed, so a search tells how far back it has looked.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from tocsin.model.event import AuditEvent


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events to show; what is None does not restrict.

    Attributes:
        since: inclusive, the time the event was received: not the time it says itself, which is
            another one in a recording, after an outage, and on a node whose clock is wrong.
        until: exclusive, likewise.
        cluster: the cluster it came from.
        verb: exactly, in lower case as API servers write it.
        resource: `pods` with all of its subresources, `pods/exec` for one of them.
        namespace: of the object.
        name: of the object.
        user: who asked, or as whom (impersonation).
        code: the HTTP status of the answer.
        audit_id: the request's Audit-ID.
        text: a plain substring of the event's JSON as it is shown, with secrets taken out, in any
            case of ASCII letters.
    """

    since: datetime | None = None
    until: datetime | None = None
    cluster: str | None = None
    verb: str | None = None
    resource: str | None = None
    namespace: str | None = None
    name: str | None = None
    user: str | None = None
    code: int | None = None
    audit_id: str | None = None
    text: str | None = None


class EventKey(NamedTuple):
    """Where an event stands: the number of its post, and its place in it. Newer ones are larger."""

    post: int
    place: int


NEWEST = EventKey(1 << 62, 0)


class FoundEvent(msgspec.Struct, frozen=True):
    """One event of the log.

    Attributes:
        key: where it stands.
        cluster: the cluster it came from.
        node: the API server's node, None where the sender names none.
        source: by which way it came; `unauthenticated`: its sender proved nothing.
        received: when it came, in seconds since the epoch.
        digest: what alerts call it in their evidence.
        event: the event.
        raw: its exact bytes. They may hold secrets: for evaluation, not to be shown.
        shown: its JSON with secrets taken out: what people may see.
    """

    key: EventKey
    cluster: str
    node: str | None
    source: str
    received: float
    digest: str
    event: AuditEvent
    raw: bytes
    shown: dict[str, object]


class Progress(msgspec.Struct, frozen=True):
    """How far a search has come.

    Attributes:
        at: everything above this key has been looked at.
        looked_back_to: when the post looked at last was received, in seconds since the
            epoch; None before the first.
        posts: posts looked at so far.
        unreadable: posts so far that cannot be read (damaged, or sealed with another key).
        skipped: posts so far that are too large to be searched while somebody waits.
        files_left: files of the spool that are still to be looked at.
        finished: nothing is left to look at.
    """

    at: EventKey
    looked_back_to: float | None
    posts: int
    unreadable: int
    files_left: int
    skipped: int = 0
    finished: bool = False


class EventPage(msgspec.Struct, frozen=True):
    """Some found events, newest first, and where to go on; `next` is None at the very end."""

    events: tuple[FoundEvent, ...]
    progress: Progress
    next: EventKey | None


class EventLog(Protocol):
    """The events that are still kept, newest first. No method changes anything."""

    def search(
        self, where: EventFilter, before: EventKey | None = None, after: int = 0
    ) -> Iterator[FoundEvent | Progress]:
        """Yield matching events as they are found, with the progress after each step.

        A step takes some milliseconds as a rule; the caller stops when it has enough.

        Args:
            where: what to look for.
            before: only events below this key, to go on where a search stopped.
            after: only events of posts above this number.
        """
        ...

    def page(self, where: EventFilter, limit: int, before: EventKey | None = None) -> EventPage:
        """Return up to `limit` events, fewer when that takes longer than a person waits."""
        ...

    def event(self, key: EventKey) -> FoundEvent | None:
        """Return the event at a key, None when it is not kept any more."""
        ...

    def find(
        self, cluster: str, digest: str, around: datetime, audit_id: str | None = None
    ) -> FoundEvent | None:
        """Return the event with this digest, None when it is not found in reasonable time.

        Args:
            cluster: where it came from.
            digest: as alerts have it among their evidence.
            around: about when it was received; looked at first.
            audit_id: its Audit-ID, which makes it faster to find.
        """
        ...
