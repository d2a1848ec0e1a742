"""Who is connected, and what was last heard of each API server."""

from collections.abc import Collection, Sequence

from tocsin.connect.clusters import load_clusters
from tocsin.lifeline.conditions import FORGET_SECONDS, place
from tocsin.lifeline.presence import PASSING, POSTED
from tocsin.model.ports import SourceState
from tocsin.runtime.config import Config
from tocsin.runtime.doctor import clock
from tocsin.runtime.doctor.finding import Finding, ok, warning
from tocsin.store.sqlite import read_store

CHECK = "sources"

# A quiet API server still has its leases renewed every few seconds.
_SILENT_SECONDS = 900.0


def examine(config: Config, now: float) -> list[Finding]:
    """Read what the store keeps of each source."""
    known = load_clusters(config.folder).clusters
    revoked = {name for name, cluster in known.items() if cluster.revoked is not None}
    expected = (known.keys() - revoked) | {file.cluster for file in config.files}
    with read_store(config.store_path) as store:
        states = [state for state in store.sources.sources() if _counts(state, revoked, now)]
    return [*judge(expected, states, now), *judge_clocks(states, now)]


def _counts(state: SourceState, revoked: Collection[str], now: float) -> bool:
    """Whether anybody expects to hear of a source."""
    forgotten = now - state.last_received > FORGET_SECONDS
    return not (state.cluster in revoked or state.source in PASSING or forgotten)


def judge(clusters: Collection[str], states: Sequence[SourceState], now: float) -> list[Finding]:
    """Return who is heard, who fell silent, and who never said anything."""
    if not clusters and not states:
        return [
            warning(
                CHECK,
                "no cluster is connected",
                "without events nothing can be found",
                "tocsin setup --advertise HOST:PORT --cluster NAME",
            )
        ]
    heard = {state.cluster for state in states}
    return [
        *(_judge_source(state, now) for state in states),
        *(_never_heard(cluster) for cluster in sorted(set(clusters) - heard)),
    ]


def judge_clocks(states: Sequence[SourceState], now: float) -> list[Finding]:
    """Judge the clocks of the API servers that were heard of lately."""
    lately = [state for state in states if now - state.last_received < _SILENT_SECONDS]
    found = [
        finding
        for state in lately
        if (
            finding := clock.judge_source(
                _name(state), state.skew, may_be_late=state.source not in POSTED
            )
        )
    ]
    if found or not lately:
        return found
    return [ok(clock.CHECK, "the clocks of the API servers agree with Tocsin's")]


def _judge_source(state: SourceState, now: float) -> Finding:
    if not state.events:
        return _never_heard(_name(state))
    age = now - state.last_received
    what = f"{_name(state)}: last heard {age:.0f} s ago, {state.events} events in all"
    if age < _SILENT_SECONDS:
        return ok(CHECK, what)
    return warning(
        CHECK,
        what,
        "this API server is off, or no longer sends: what happens there is not seen",
        "on its control-plane node: tocsin doctor",
    )


def _never_heard(name: str) -> Finding:
    return warning(
        CHECK,
        f"{name}: no event was ever heard of it",
        "its API servers are not set up yet, or cannot reach Tocsin",
        "on a control-plane node: tocsin doctor",
    )


def _name(state: SourceState) -> str:
    return f"{place(state.cluster, state.node)} ({state.source})"
