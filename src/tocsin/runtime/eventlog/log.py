"""The log of events over the spool: searched newest first, without an index.

Each post is opened, looked at as bytes, and decoded only if something in it may match. That is
work of milliseconds per post; the log does not decide how much of it a caller may ask for,
except in `page` and `find`, which a person waits for.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from tocsin.detect.identity import event_digest
from tocsin.ingest.seal import SealError
from tocsin.ingest.spool import FileBusyError, Head, Look, Post, SpoolHistory
from tocsin.model.event import AuditEvent
from tocsin.model.events import NEWEST, EventFilter, EventKey, EventPage, FoundEvent, Progress
from tocsin.normalize.decode import decode
from tocsin.normalize.redact import MARK
from tocsin.normalize.shown import shown_event
from tocsin.runtime.eventlog.match import holds_text, matcher
from tocsin.runtime.eventlog.posts import Hurry, TooLongError, backwards, forwards
from tocsin.runtime.eventlog.prefilter import Prefilter, prefilter

# How long `page` looks for more when it has found nothing, and when it has found something.
PAGE_SECONDS = 1.0
SOME_SECONDS = 0.5
FIND_SECONDS = 1.2

_MICROSECONDS = 1_000_000
# Posts are numbered as they were stored, which may be this much later than they were received.
_DISORDER_SECONDS = 300
# Where the post of an event is looked for first, around the time the event was received.
_EARLIER_SECONDS, _LATER_SECONDS = 60, 600


class SpoolEventLog:
    """Searches what the spool still holds; see the protocol `EventLog`.

    Safe to be shared between threads: every call has its own state.
    """

    def __init__(self, history: SpoolHistory, clock: Callable[[], float] = time.monotonic) -> None:
        self._history = history
        self._clock = clock

    def search(
        self, where: EventFilter, before: EventKey | None = None, after: int = 0
    ) -> Iterator[FoundEvent | Progress]:
        """Yield matching events as they are found, newest first, with the progress between."""
        return self._search(where, before or NEWEST, after, lambda: False)

    def _search(
        self, where: EventFilter, start: EventKey, after: int, time_is_up: Hurry
    ) -> Iterator[FoundEvent | Progress]:
        scan = _Scan(where, time_is_up)
        progress = Progress(start, None, 0, 0, 0)
        # The post of the key itself may hold more, below the key.
        for look in self._history.backwards(scan.wanted, start.post + bool(start.place), after):
            if scan.is_past(look):
                break
            unreadable, skipped = look.trouble is not None, False
            if look.post is not None:
                try:
                    yield from scan.events_in(look.post, _below(start, look.seq))
                except (SealError, FileBusyError):
                    unreadable = True
                except TooLongError:
                    skipped = True
            progress = _after(progress, look, unreadable=unreadable, skipped=skipped)
            yield progress
        yield msgspec.structs.replace(progress, files_left=0, finished=True)

    def page(self, where: EventFilter, limit: int, before: EventKey | None = None) -> EventPage:
        """Return up to `limit` events, fewer when that takes longer than a person waits."""
        began = self._clock()
        found: list[FoundEvent] = []
        progress = Progress(before or NEWEST, None, 0, 0, 0)
        deadline = began + PAGE_SECONDS
        for item in self._search(where, before or NEWEST, 0, lambda: self._clock() > deadline):
            if isinstance(item, FoundEvent):
                found.append(item)
                if len(found) >= limit:
                    return EventPage(tuple(found), progress, item.key)
                continue
            progress = item
            waited = self._clock() - began
            if not progress.finished and waited > (SOME_SECONDS if found else PAGE_SECONDS):
                return EventPage(tuple(found), progress, progress.at)
        return EventPage(tuple(found), progress, None)

    def event(self, key: EventKey) -> FoundEvent | None:
        """Return the event at a key, None when it is not kept any more."""
        post = self._history.post(key.post)
        if post is None:
            return None
        for index, event, raw in forwards(post):
            if index == key.place:
                return _found(post, index, event, raw())
        return None

    def find(
        self, cluster: str, digest: str, around: datetime, audit_id: str | None = None
    ) -> FoundEvent | None:
        """Return the event with this digest, None when it is not found in reasonable time."""
        deadline = self._clock() + FIND_SECONDS
        # An alert quotes an Audit-ID without the secrets in it: such a one stands in no event.
        known = audit_id if audit_id and MARK not in audit_id else None
        may_match = prefilter(EventFilter(audit_id=known))
        middle = around.timestamp()
        low, high = (
            int((middle + seconds) * _MICROSECONDS)
            for seconds in (-_EARLIER_SECONDS, _LATER_SECONDS)
        )

        def near(head: Head) -> bool:
            return _is_of(head, cluster) and (head.received is None or low <= head.received < high)

        def elsewhere(head: Head) -> bool:
            return _is_of(head, cluster) and not near(head)

        for wanted in (near, elsewhere):
            for look in self._history.backwards(wanted):
                found = look.post and _with_digest(look.post, digest, may_match)
                if found:
                    return found
                if self._clock() > deadline:
                    return None
        return None


class _Scan:
    """Which posts a search has to open, and which of their events match."""

    def __init__(self, where: EventFilter, time_is_up: Hurry) -> None:
        self._where = where
        self._time_is_up = time_is_up
        self._since = _micros(where.since)
        self._until = _micros(where.until)
        self._may_match = prefilter(where)
        self._matches = matcher(where)
        self._text = where.text

    def wanted(self, head: Head) -> bool:
        """Whether a post has to be opened."""
        if head.received is None:
            return True
        return (
            _is_of(head, self._where.cluster)
            and (self._since is None or head.received >= self._since)
            and (self._until is None or head.received < self._until)
        )

    def is_past(self, look: Look) -> bool:
        """Whether nothing before this post can be wanted."""
        if self._since is None or look.received is None:
            return False
        return look.received < self._since - _DISORDER_SECONDS * _MICROSECONDS

    def events_in(self, post: Post, below: int | None) -> Iterator[FoundEvent]:
        """Yield the matching events of a post, the last one first."""
        # A body in parts is not looked at as a whole: that would take all of it into memory.
        if post.parts == 1 and not self._may_match(post.body()):
            return
        for index, event, raw in backwards(post, below, self._matches, self._time_is_up):
            # The text may stand in a part that is not shown.
            if not self._text or self._may_match(raw):
                found = _found(post, index, event, raw)
                if holds_text(found.shown, self._text):
                    yield found


def _with_digest(post: Post, digest: str, may_match: Prefilter) -> FoundEvent | None:
    if post.parts == 1 and not may_match(post.body()):
        return None
    for index, event, raw in forwards(post):
        if event_digest(post.meta.cluster, event, raw()) == digest:
            return _found(post, index, event, raw())
    return None


def _found(post: Post, index: int, event: AuditEvent, raw: bytes) -> FoundEvent:
    # Decoded again, as what it points into otherwise is the whole post.
    alone = decode(raw).events
    return FoundEvent(
        key=EventKey(post.seq, index),
        cluster=post.meta.cluster,
        node=post.meta.node,
        source=post.meta.source,
        received=post.meta.received / _MICROSECONDS,
        digest=event_digest(post.meta.cluster, event, raw),
        event=alone[0] if len(alone) == 1 else event,
        raw=raw,
        shown=shown_event(raw),
    )


def _after(progress: Progress, look: Look, *, unreadable: bool, skipped: bool) -> Progress:
    received = look.received
    return Progress(
        at=EventKey(look.seq, 0),
        looked_back_to=progress.looked_back_to if received is None else received / _MICROSECONDS,
        posts=progress.posts + (look.post is not None),
        unreadable=progress.unreadable + unreadable,
        files_left=look.files_left,
        skipped=progress.skipped + skipped,
    )


def _below(start: EventKey, seq: int) -> int | None:
    return start.place if seq == start.post else None


def _is_of(head: Head, cluster: str | None) -> bool:
    return cluster is None or head.cluster is None or head.cluster == cluster


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * _MICROSECONDS)
