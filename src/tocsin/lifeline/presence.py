"""What is heard of each API server, post by post: fed by the detector, kept in the store.

Bounded in all that a sender chooses: nodes of a cluster, sources, outages of a node.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from tocsin.lifeline.outages import Outage, is_over, missing, open_outage
from tocsin.lifeline.track import Track
from tocsin.model.ports import SourceState

# Beyond these, a cluster's further sources are counted and not followed.
MAX_SOURCES = 200
MAX_OUTAGES = 8
RECENT_SECONDS = 3600
# A source that comes and goes by its nature says nothing about the line by not coming.
PASSING = frozenset({"backfill"})
# Ways on which events come as they happen, so that old ones are strange.
POSTED = frozenset({"webhook", "unauthenticated"})

# Pauses between posts that Tocsin saw itself are learnt, up to this, and forgotten by half in
# six hours: a cluster that sleeps again and again is reported twice and then known.
_LEARN_SECONDS = 900.0
_HALF_LIFE = 6 * 3600.0

_AWAY_POSTS = 3
_AWAY_SECONDS = 30.0
_AWAY_FACTOR = 1.2
_PAUSE_POSTS = 10
_PAUSE_SECONDS = 60.0
_PAUSE_FACTOR = 2.0

# Posts are looked at minute by minute to tell a clock's error from a post's delay.
_SKEW_MINUTES = 5
STALE_SECONDS = 3600.0
# A clock this far off is corrected for when events are put into the order of our time.
_AHEAD_SECONDS = -60.0
_BEHIND_SECONDS = 600.0


class Heard(NamedTuple):
    """One post: where it came from and when, and what its events say.

    `times` are the events' own times, cut to the second, as their text has them.
    """

    cluster: str
    node: str | None
    source: str
    received: float
    events: int
    times: Collection[str]


class Pauses(msgspec.Struct, frozen=True):
    """The two longest pauses between posts of the last hours, in seconds.

    One long pause is an outage; the second one tells what is usual.
    """

    longest: float = 0.0
    usual: float = 0.0

    def after(self, pause: float) -> "Pauses":
        """Return them after another pause."""
        left = math.pow(0.5, pause / _HALF_LIFE)
        ranked = sorted((min(pause, _LEARN_SECONDS), self.longest * left, self.usual * left))
        return Pauses(ranked[2], ranked[1])


class Node(msgspec.Struct):
    """What is remembered of one API server, over all ways that lead from it."""

    recent: Track
    last_received: float
    posts: int = 0
    pauses: Pauses = Pauses()
    outages: list[Outage] = []


NodeKey = tuple[str, str | None]
SourceKey = tuple[str, str | None, str]

encode_node = msgspec.msgpack.Encoder().encode
decode_node = msgspec.msgpack.Decoder(Node).decode


class Presence:
    """The state of all sources; what changed since the last look is to be stored."""

    def __init__(
        self, sources: Iterable[SourceState], nodes: Mapping[NodeKey, bytes], settle: float
    ) -> None:
        """Go on from what was stored; the first pause of each node is our own absence.

        `settle` is how many seconds after an outage late batches may still come.
        """
        self._sources: dict[SourceKey, SourceState] = {
            (state.cluster, state.node, state.source): state for state in sources
        }
        self._nodes = {key: decode_node(stored) for key, stored in nodes.items()}
        self._settle = settle
        self._away = set(self._nodes)
        self._away_sources = set(self._sources)
        self._skews: dict[SourceKey, dict[int, float]] = {}
        self._changed: set[SourceKey] = set()
        self.untracked = 0

    def heard(self, post: Heard) -> None:
        """Take note of a post."""
        key = (post.cluster, post.node, post.source)
        known = self._sources.get(key)
        if known is None and self._is_full(post.cluster):
            self.untracked += 1
            return
        seconds = [second for text in post.times if (second := epoch(text)) is not None]
        state = self._source(key, known, post, max(seconds, default=0))
        self._sources[key] = state
        self._changed.add(key)
        self._away_sources.discard(key)
        # A file read later was written by the same clock, and only the webhook shows its error.
        offset = correction(self._sources.get((post.cluster, post.node, "webhook"), state))
        self._mark(post, [second + offset for second in seconds])

    def changes(self) -> tuple[list[SourceState], dict[NodeKey, bytes]]:
        """Return what changed since `settle_changes`, to be stored."""
        nodes = {(cluster, node) for cluster, node, _ in self._changed}
        return (
            [self._sources[key] for key in self._changed],
            {key: encode_node(self._nodes[key]) for key in nodes if key in self._nodes},
        )

    def settle_changes(self) -> None:
        """Note that the changes are stored."""
        self._changed.clear()

    def _is_full(self, cluster: str) -> bool:
        return sum(key[0] == cluster for key in self._sources) >= MAX_SOURCES

    def _source(
        self, key: SourceKey, known: SourceState | None, post: Heard, newest: int
    ) -> SourceState:
        received = post.received
        state = known or SourceState(
            cluster=post.cluster,
            node=post.node,
            source=post.source,
            first_received=received,
            last_received=received,
        )
        pause = max(0.0, received - state.last_received)
        pauses = Pauses(state.longest, state.usual)
        if key not in self._away_sources:
            pauses = pauses.after(pause)
        stale = post.source in POSTED and 0 < newest < received - STALE_SECONDS
        again = received - state.stale_last > STALE_SECONDS
        return msgspec.structs.replace(
            state,
            last_received=max(state.last_received, received),
            last_event=max(state.last_event, newest),
            skew=self._skew(key, received - newest, received) if newest else state.skew,
            events=state.events + post.events,
            posts=state.posts + 1,
            longest=pauses.longest,
            usual=pauses.usual,
            stale=state.stale + stale,
            stale_since=received if stale and again else state.stale_since,
            stale_last=received if stale else state.stale_last,
        )

    def _skew(self, key: SourceKey, delay: float, received: float) -> float:
        """Return the smallest delay of the last minutes' posts."""
        minute = int(received // 60)
        minutes = self._skews.setdefault(key, {})
        minutes[minute] = min(delay, minutes.get(minute, delay))
        for old in [one for one in minutes if not minute - _SKEW_MINUTES < one <= minute]:
            del minutes[old]
        return min(minutes.values())

    def _mark(self, post: Heard, seconds: list[int]) -> None:
        key = self._node_of(post)
        node = self._nodes.get(key)
        if node is None:
            if post.source in PASSING:
                return
            begin = int(post.received) - RECENT_SECONDS
            node = Node(Track.over(begin, begin + RECENT_SECONDS), post.received)
            self._nodes[key] = node
        if post.source in PASSING:
            node.recent.move_to(int(post.received))
        else:
            self._note_pause(node, post.received, away=key in self._away)
            self._away.discard(key)
        for second in seconds:
            node.recent.mark(second)
            for outage in node.outages:
                outage.track.mark(second)
        node.outages = [
            outage for outage in node.outages if not is_over(outage, post.received, self._settle)
        ]

    def _node_of(self, post: Heard) -> NodeKey:
        """Return whose events a post holds; those of a file read later may not say."""
        key = (post.cluster, post.node)
        if post.source in PASSING and key not in self._nodes:
            known = [one for one in self._nodes if one[0] == post.cluster]
            return known[0] if len(known) == 1 else key
        return key

    def _note_pause(self, node: Node, received: float, *, away: bool) -> None:
        pause = max(0.0, received - node.last_received)
        if pause > _longest_pause(node, away=away):
            node.outages = [
                *node.outages[-MAX_OUTAGES + 1 :],
                open_outage(node.last_received, received, node.recent, away=away),
            ]
        node.recent.move_to(int(received))
        if node.outages and node.outages[-1].end == received:
            # Of that time the outage speaks; it is no usual pause.
            _fill(node.recent, node.outages[-1])
        if not away:
            node.pauses = node.pauses.after(pause)
        node.last_received = max(node.last_received, received)
        node.posts += 1


def _longest_pause(node: Node, *, away: bool) -> float:
    """Return how long a pause between posts may be without being an outage."""
    if away and node.posts >= _AWAY_POSTS:
        return max(_AWAY_SECONDS, _AWAY_FACTOR * node.pauses.usual)
    if node.posts >= _PAUSE_POSTS:
        return max(_PAUSE_SECONDS, _PAUSE_FACTOR * node.pauses.usual)
    return float("inf")


def _fill(recent: Track, outage: Outage) -> None:
    for start, end in missing(outage).stretches:
        for second in range(max(start, recent.origin), min(end, recent.end)):
            recent.mark(second)


def correction(state: SourceState) -> int:
    """Return the seconds to add to the times of a source whose clock is wrong."""
    behind = state.source in POSTED and state.skew > _BEHIND_SECONDS
    return int(state.skew) if state.skew < _AHEAD_SECONDS or behind else 0


def epoch(text: str) -> int | None:
    """Return the seconds since the epoch of a time such as 2026-11-23T10:45:16, in UTC."""
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return None
