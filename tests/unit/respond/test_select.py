from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.respond.plans import NOW, POD, an_alert
from tocsin.model.alert import Actor, Alert, Target, Technique
from tocsin.model.ports import StoredAlert
from tocsin.model.response import ObjectRef, Plan
from tocsin.respond.actions.base import Action, Refusal
from tocsin.respond.breaker import Breaker
from tocsin.respond.globs import is_like
from tocsin.respond.match import When
from tocsin.respond.parameters import check
from tocsin.respond.select import Skipped, ask, digest_of, plan_id, select
from tocsin.respond.settings import Limits, Protected, RespondSettings, ResponseRule
from tocsin.runtime.responses import response_rules, shipped_responses

TARGET = msgspec.structs.replace(POD, uid=None)


class Parameters(msgspec.Struct):
    grace_seconds: int = 0


class Fake:
    parameters = Parameters
    destructive = True

    def __init__(self, target: ObjectRef | Refusal, *, reversible: bool = False) -> None:
        self._target = target
        self.reversible = reversible

    def target(self, alert: Alert) -> ObjectRef | Refusal:
        del alert
        return self._target


ACTIONS = cast(
    "dict[str, Action]",
    {
        "delete": Fake(TARGET),
        "label": Fake(TARGET, reversible=True),
        "never": Fake(Refusal("the alert names no pod")),
    },
)


def rule(*actions: Any, **changes: Any) -> ResponseRule:
    values: dict[str, Any] = {"name": "x", "when": When(rules=("r1",)), "actions": actions}
    return ResponseRule(**(values | changes))


def test_what_an_alert_asks_for() -> None:
    rules = [
        rule({"delete": {"grace_seconds": 5}}, "label", mode="auto", undo_after_seconds=60),
        rule("delete", name="other", when=When(rules=("r2",))),
        rule("never", "gone", {"delete": {"x": 1}}),
    ]
    first, second, *skipped = select(StoredAlert(1, an_alert()), rules, ACTIONS, NOW)
    assert isinstance(first, Plan)
    assert isinstance(second, Plan)
    assert (first.action, first.parameters, first.mode) == ("delete", {"grace_seconds": 5}, "auto")
    assert (first.undo_after, second.undo_after, second.reversible) == (0.0, 60.0, True)
    assert (first.asked_at, first.asked_by, first.evidence_at) == (NOW, "tocsin", NOW)
    assert (first.user, first.alert_id, first.rule_id, first.cluster) == (
        "mallory",
        "a1",
        "r1",
        "prod",
    )
    assert second.parameters == {"grace_seconds": 0}
    assert [one.reason for one in skipped if isinstance(one, Skipped)] == [
        "the alert names no pod",
        "there is no such action",
        "delete has no parameter 'x'; there are: grace_seconds",
    ]


def test_a_person_asks() -> None:
    plan = ask(an_alert(time="never"), "delete", ACTIONS, "alice", NOW)
    assert isinstance(plan, Plan)
    assert (plan.rule, plan.mode, plan.asked_by) == ("manual", "approve", "alice")
    assert plan.evidence_at == 0


def test_the_same_is_asked_for_once() -> None:
    ids = {
        plan_id("x", "a", "delete", TARGET),
        plan_id("x", "a", "delete", POD),
        plan_id("y", "a", "delete", TARGET),
        plan_id("x", "b", "delete", TARGET),
        plan_id("x", "a", "label", TARGET),
        plan_id("x", "a", "delete", msgspec.structs.replace(TARGET, name="b")),
        plan_id("x", "a", "delete", msgspec.structs.replace(TARGET, namespace=None)),
        plan_id("x", "a", "delete", msgspec.structs.replace(TARGET, resource="nodes")),
        plan_id("x", "a", "delete", msgspec.structs.replace(TARGET, api_group="apps")),
    }
    assert len(ids) == 8
    assert all(len(one) == 32 for one in ids)


def test_a11_what_is_approved() -> None:
    one = digest_of("a", "u", {"x": 1, "y": 2})
    assert one == digest_of("a", "u", {"y": 2, "x": 1})
    others = {
        digest_of("b", "u", {"x": 1, "y": 2}),
        digest_of("a", "v", {"x": 1, "y": 2}),
        digest_of("a", "u", {"x": 1, "y": 3}),
    }
    assert len(others | {one}) == 4


ADMIN = {"severity": "high", "tags": ("k8s",), "attack": (Technique("T1098.006"),)}


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ({"rules": ("r*",)}, True),
        ({"rules": ("r2",)}, False),
        ({"severity": "high"}, True),
        ({"severity": "medium"}, True),
        ({"severity": "critical"}, False),
        ({"techniques": ("T1098",)}, True),
        ({"techniques": ("T1098.006",)}, True),
        ({"techniques": ("T1098.001",)}, False),
        ({"tags": ("k8s",)}, True),
        ({"tags": ("x",)}, False),
        ({"severity": "low", "rules": ("r2",)}, False),
        ({"severity": "low", "namespaces": ("sh*",)}, True),
        ({"severity": "low", "namespaces": ("x",)}, False),
        ({"severity": "low", "not_namespaces": ("shop",)}, False),
        ({"severity": "low", "users": ("mal*",)}, True),
        ({"severity": "low", "users": ("alice",)}, False),
        ({"severity": "low", "not_users": ("mallory",)}, False),
    ],
)
def test_when(when: dict[str, Any], matches: bool) -> None:  # noqa: FBT001
    assert When(**when).matches(an_alert(rule=ADMIN)) is matches


def test_when_nothing_is_known_of_who_and_where() -> None:
    alert = an_alert(actor=Actor(), target=Target())
    assert When(severity="low", not_users=("x",), not_namespaces=("x",)).matches(alert)
    assert not When(severity="low", users=("x",)).matches(alert)


@given(st.text("ab", max_size=8), st.text("ab*", max_size=6))
def test_globs(text: str, pattern: str) -> None:
    def like(text: str, pattern: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(like(text[at:], pattern[1:]) for at in range(len(text) + 1))
        return text[:1] == pattern[0] and like(text[1:], pattern[1:])

    assert is_like(text, pattern) is like(text, pattern)


def test_what_is_wrong_in_the_configuration() -> None:
    rules = [
        rule("label", {"delete": {"grace_seconds": "x"}}, "gone"),
        rule("delete", undo_after_seconds=5),
        rule("delete", "label", undo_after_seconds=5),
    ]
    paths = [wrong.path for wrong in check(rules, ACTIONS)]
    assert paths == [
        ("responses", 0, "actions", 1),
        ("responses", 0, "actions", 2),
        ("responses", 1, "undo_after_seconds"),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"when": {}},
        {"when": {"users": ["x"]}},
        {"actions": []},
        {"actions": [{"a": {}, "b": {}}]},
        {"actions": ["a", {"a": {}}]},
        {"mode": "now"},
        {"name": "No Name"},
        {"undo_after_seconds": -1},
        {"per_owner": 0},
        {"unknown": 1},
    ],
)
def test_rules_that_are_refused(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"name": "x", "when": {"rules": ["r"]}, "actions": ["a"]}
    msgspec.convert(good, ResponseRule)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(good | wrong, ResponseRule)


def test_two_rules_of_one_name() -> None:
    with pytest.raises(ValueError, match="two responses"):
        RespondSettings(responses=(rule("delete"), rule("label")))


@pytest.mark.parametrize(
    "name", ["namespaces", "users", "groups", "priority_classes", "cluster_roles"]
)
def test_a8_the_shipped_protection_is_not_lost_by_accident(name: str) -> None:
    shipped = getattr(Protected(), name)
    msgspec.convert({name: (*shipped, "more")}, Protected)
    for cut in ((), shipped[1:]):
        with pytest.raises(ValueError, match="i_know"):
            msgspec.convert({name: cut}, Protected)
        assert getattr(msgspec.convert({name: cut, "i_know": True}, Protected), name) == cut


def test_a8_more_protection() -> None:
    more = Protected(more_namespaces=("a",), more_users=("b",), more_groups=("c",))
    assert more.all_namespaces[-1] == "a"
    assert more.all_users[-1] == "b"
    assert more.all_groups[-1] == "c"


def test_a1_all_shipped_responses_are_dry_runs() -> None:
    shipped = shipped_responses()
    assert {one.mode for one in shipped} == {"dry-run"}
    own = msgspec.structs.replace(shipped[0], mode="auto")
    found = response_rules(RespondSettings(responses=(own,)))
    assert found == (own, *shipped[1:])
    assert response_rules(RespondSettings(builtin=False)) == ()


def test_a16_the_breaker_opens_once() -> None:
    breaker = Breaker(Limits(storm_alerts=3, storm_window_seconds=10, breaker_seconds=300))
    assert [breaker.ask(now) for now in (0.0, 5.0, 10.1)] == [False] * 3
    assert breaker.open_until == 0
    assert breaker.ask(15.0)
    assert breaker.open_until == 315.0
    assert not any(breaker.ask(15.0 + step) for step in range(300))
    assert breaker.ask(315.0)
    assert not breaker.ask(700.0)
