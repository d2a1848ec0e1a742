"""What is wrong with the line, from what is known of it. Each question is a function."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from tocsin.lifeline import health
from tocsin.lifeline.health import Condition, key_of
from tocsin.lifeline.losses import Losses
from tocsin.lifeline.outages import Outage, missing
from tocsin.lifeline.presence import PASSING, POSTED, STALE_SECONDS, Node, NodeKey
from tocsin.model.ports import SourceState

# A source of fewer posts, or known for less time, has no habits that it could break.
_REGULAR_POSTS = 20
_REGULAR_SECONDS = 600.0
_SILENT_FACTOR = 3.0
# Nobody waits for what was silent this long; it is forgotten soon.
FORGET_SECONDS = 7 * 86400.0
# A canary a minute, a batch that waits half a minute: later than this, it does not come.
CANARY_SECONDS = 105.0
UNSENT_SECONDS = 150.0
SKEW_SECONDS = 300.0
_SKEW_POSTS = 3
_SHOWN_STRETCHES = 3

Standing = Mapping[str, float]


def silent_sources(
    sources: Iterable[SourceState],
    now: float,
    listening_since: float,
    silent_after: float,
    standing: Standing,
) -> Iterator[Condition]:
    """Yield the sources that were regular and are not heard any more.

    Args:
        sources: all of them.
        now: epoch seconds.
        listening_since: since when Tocsin runs; before, nobody could hear anything.
        silent_after: how many seconds of silence are too many at least.
        standing: the keys of conditions that stood before, and since when.
    """
    for state in sources:
        key = key_of(health.SILENT, state.cluster, state.node, state.source)
        silence = now - max(state.last_received, listening_since)
        still = state.last_received <= standing.get(key, 0.0)
        forgotten = now - state.last_received > FORGET_SECONDS
        if state.source in PASSING or forgotten or not (is_regular(state) or still):
            continue
        if still or silence > max(silent_after, _SILENT_FACTOR * state.usual):
            usual = f"at least every {max(1, round(state.usual))} s"
            yield Condition(
                key,
                f"{place(state.cluster, state.node)}: nothing was received over {state.source} "
                f"since {stamp(state.last_received)}, where posts used to come {usual}; "
                "`tocsin doctor` finds out why",
                state.cluster,
                state.node,
                {"source": state.source, "last_received": stamp(state.last_received)},
            )


def is_regular(state: SourceState) -> bool:
    """Return whether a source was heard often enough to be missed."""
    age = state.last_received - state.first_received
    return state.posts >= _REGULAR_POSTS and age >= _REGULAR_SECONDS


def silent_canary(
    cluster: str, sent: Iterable[float], heard: float, now: float, standing: Standing
) -> Iterator[Condition]:
    """Yield whether canaries that an API server took do not come back.

    Args:
        cluster: the cluster.
        sent: when canaries were sent that the API server answered, oldest first.
        heard: when the last one that came back was sent; 0 for none.
        now: epoch seconds.
        standing: the keys of conditions that stood before, and since when.
    """
    key = key_of(health.SILENT, cluster, None, "canary")
    waiting = next((time for time in sent if time > heard), now)
    still = key in standing and heard <= standing[key]
    if still or now - waiting > CANARY_SECONDS:
        last = f"since that of {stamp(heard)}" if heard else "and none ever did"
        yield Condition(
            key,
            f"{cluster}: the API server answers Tocsin's requests, but their audit events do not "
            f"arrive, {last}; it does not send, or the detector does not keep up: "
            "`tocsin doctor` finds out why",
            cluster,
            fields={"source": "canary", "last_heard": stamp(heard) if heard else None},
        )


def unsent_canary(cluster: str, since: float, error: str, now: float) -> Iterator[Condition]:
    """Yield whether the canary fails since a while; `since` is 0 when it does not."""
    if since and now - since > UNSENT_SECONDS:
        yield Condition(
            key_of(health.UNSENT, cluster, None),
            f"{cluster}: the API server cannot be asked, so nobody knows whether the line is "
            f"alive: {error}",
            cluster,
        )


def outages(nodes: Mapping[NodeKey, Node], now: float, settle: float) -> Iterator[Condition]:
    """Yield the outages of which events are missing: at once, and as a gap once that is sure."""
    for (cluster, node), known in nodes.items():
        for outage in known.outages:
            lost = missing(outage)
            if lost.stretches:
                settled = now - outage.end > settle
                yield Condition(
                    key_of(
                        health.GAP if settled else health.OUTAGE,
                        cluster,
                        node,
                        stamp(outage.start).replace(" ", "T", 1),
                    ),
                    _outage_message(place(cluster, node), outage, settle, settled=settled),
                    cluster,
                    node,
                    {"seconds": lost.seconds, "from": stamp(lost.stretches[0][0])},
                    alert=settled,
                )


def _outage_message(where: str, outage: Outage, settle: float, *, settled: bool) -> str:
    lost = missing(outage)
    shown = ", ".join(span(start, end) for start, end in lost.stretches[:_SHOWN_STRETCHES])
    more = len(lost.stretches) - _SHOWN_STRETCHES
    shown += f" and {more} more times" if more > 0 else ""
    why = ", when Tocsin was restarted" if outage.away else ""
    quiet = f"nothing was received from {span(outage.start, outage.end)}{why}"
    if settled:
        return (
            f"{where}: {lost.seconds} s of events are missing: {shown} ({quiet}). If the node "
            "keeps an audit log, `tocsin backfill` brings them back"
        )
    until = stamp(outage.end + settle)
    return f"{where}: {quiet}; {lost.seconds} s of events may still come until {until}: {shown}"


def wrong_clocks(sources: Iterable[SourceState], now: float) -> Iterator[Condition]:
    """Yield the sources whose events' times are far from ours."""
    for state in sources:
        recent = now - state.last_received < STALE_SECONDS and state.posts >= _SKEW_POSTS
        if state.source in POSTED and recent and abs(state.skew) > SKEW_SECONDS:
            seconds = round(abs(state.skew))
            side = "behind" if state.skew > 0 else "ahead of"
            yield Condition(
                key_of(health.SKEW, state.cluster, state.node, state.source),
                f"{place(state.cluster, state.node)}: the times of its events are "
                f"{_about(seconds)} {side} this machine's clock; set the clock that is wrong",
                state.cluster,
                state.node,
                {"seconds": round(state.skew)},
            )


def stale_posts(sources: Iterable[SourceState], now: float) -> Iterator[Condition]:
    """Yield the sources that posted old events within the last hour."""
    for state in sources:
        if state.stale_since and now - state.stale_last < STALE_SECONDS:
            began = stamp(state.stale_since)
            yield Condition(
                key_of(health.STALE, state.cluster, state.node, began.replace(" ", "T", 1)),
                f"{place(state.cluster, state.node)}: since {began} it posts events that are "
                "older than an hour: somebody replays them, or its clock is wrong",
                state.cluster,
                state.node,
            )


def dropped_events(cluster: str, losses: Losses, now: float) -> Iterator[Condition]:
    """Yield what the cluster's API servers themselves say they have given up."""
    if losses.standing(now):
        parts = ", ".join(f"{plugin} {count}" for plugin, count in sorted(losses.lost.items()))
        began = stamp(losses.since)
        yield Condition(
            key_of(health.DROPPED, cluster, None, began.replace(" ", "T", 1)),
            f"{cluster}: by its own count the API server gave {sum(losses.lost.values())} audit "
            f"events up since {began} ({parts}); they are in the node's audit log, if it keeps one",
            cluster,
            fields={"events": sum(losses.lost.values())},
        )


def place(cluster: str, node: str | None) -> str:
    """Return how an API server is named in messages."""
    return f"{cluster}/{node}" if node else cluster


def stamp(time: float) -> str:
    """Return a time for people, to the second, in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def span(start: float, end: float) -> str:
    """Return a stretch of time for people; the day only once."""
    first, last = stamp(start), stamp(end)
    return f"{first} to {last[11:] if first[:10] == last[:10] else last}"


def _about(seconds: int) -> str:
    """Return a length of time that does not change with every look."""
    if seconds >= 2 * 3600:
        return f"about {round(seconds / 3600)} hours"
    return f"about {round(seconds / 60)} minutes"
