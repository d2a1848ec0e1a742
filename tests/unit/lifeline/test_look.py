import pytest

from tests.unit.audit import event
from tocsin.lifeline.canary import PREFIX
from tocsin.lifeline.look import Look
from tocsin.lifeline.observed import MAX_TEXT, Observed

PODS = ("create", None, "pods", None, "RequestResponse")


def test_what_a_batch_says() -> None:
    look = Look()
    look.take([event(), event(stageTimestamp="2026-11-23T10:45:16.9Z")], kinds=True)
    look.take([event(auditID=f"{PREFIX}1", stageTimestamp=None, objectRef=None)], kinds=True)
    assert look.times == {"2026-11-23T10:45:16", ""}
    assert look.canaries == [f"{PREFIX}1"]
    assert look.kinds == {PODS: 2, ("create", None, None, None, "RequestResponse"): 1}


def test_kinds_need_not_be_counted() -> None:
    look = Look()
    look.take([event()], kinds=False)
    assert not look.kinds
    assert look.times


def test_kinds_are_counted_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.lifeline.observed.MAX_KINDS", 2)
    observed = Observed({"prod": [PODS]})
    observed.add("prod", {("get", None, "x" * (MAX_TEXT + 1), None, None): 5})
    observed.add("prod", {("get", None, "a", None, None): 3, ("get", None, "b", None, None): 4})
    observed.add("prod", {PODS: 7})
    observed.add("dev", {("get", None, "b", None, None): 1})
    assert observed.pending == {
        "prod": {("get", None, "a", None, None): 3, PODS: 7},
        "dev": {("get", None, "b", None, None): 1},
    }
    assert observed.unobserved == 9
