"""What follows from what cluster and audit log show of an attempt without an end."""

import pytest

from tocsin.respond.recover import MAX_ATTEMPTS, SETTLE_SECONDS, Finding, Seen, judge
from tocsin.respond.states import NEXT, may_follow

USUAL = {
    "action": "delete_pod",
    "attempts": 1,
    "confirmed": False,
    "there": True,
    "answers": (),
    "calls": 1,
    "waited": 0.0,
}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"confirmed": True}, "done"),
        ({"answers": (200,)}, "done"),
        ({"answers": (409,)}, "failed"),
        ({"answers": (409,), "calls": 2}, "again"),
        ({"answers": (200,), "calls": 2}, "person"),
        ({"there": False}, "failed"),
        ({}, "again"),
        ({"attempts": MAX_ATTEMPTS}, "person"),
        ({"confirmed": None, "there": None}, "wait"),
        ({"confirmed": None, "there": None, "waited": SETTLE_SECONDS}, "person"),
        ({"action": "command"}, "person"),
        ({"action": "command", "confirmed": True}, "done"),
    ],
)
def test_p4_nothing_is_done_twice(changes: dict[str, object], finding: Finding) -> None:
    assert judge(Seen(**(USUAL | changes))).finding == finding  # type: ignore[arg-type]


def test_every_end_is_an_end() -> None:
    assert all(may_follow(state, after) for state, nexts in NEXT.items() for after in nexts)
    assert may_follow(None, "planned")
    assert not may_follow(None, "started")
    assert not any(NEXT[state] for state in ("refused", "rejected", "expired", "failed", "undone"))
