"""Which state of a response may follow which: the state machine, as a table.

`docs/responding.md` draws it. What is not in the table is a fault of ours: the executor stops
before it acts on it.
"""

from collections.abc import Mapping

from tocsin.model.response import State

NEXT: Mapping[State, frozenset[State]] = {
    # `unknown` only where an attempt before may have left it half done.
    "planned": frozenset(
        {"refused", "simulated", "awaiting-approval", "started", "failed", "unknown"}
    ),
    "awaiting-approval": frozenset({"approved", "rejected", "expired"}),
    # A limit that no approval lifts asks for another one later.
    "approved": frozenset(
        {"refused", "simulated", "awaiting-approval", "started", "failed", "unknown"}
    ),
    # Back to where it came from only where it is known that nothing was done.
    "started": frozenset({"done", "failed", "unknown", "planned", "approved"}),
    "unknown": frozenset({"done", "failed", "verified", "planned", "approved", "undoing"}),
    "done": frozenset({"verified", "undoing"}),
    "verified": frozenset({"undoing"}),
    "undoing": frozenset({"undone", "done", "unknown"}),
    "refused": frozenset(),
    "simulated": frozenset(),
    "rejected": frozenset(),
    "expired": frozenset(),
    "failed": frozenset(),
    "undone": frozenset(),
}

UNDOABLE: frozenset[State] = frozenset({"done", "verified", "unknown"})
"""A person may ask for the way back from these."""


def may_follow(former: State | None, state: State) -> bool:
    """Return whether a response in one state may be in another one next."""
    return state == "planned" if former is None else state in NEXT[former]
