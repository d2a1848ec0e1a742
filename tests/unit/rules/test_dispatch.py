"""The index: few rules per event, and nothing an attacker chooses makes it grow."""

from dataclasses import replace

import msgspec
import pytest

from tests.unit.audit import HERE, event, rule, text_is
from tocsin.model.event import AuditEvent
from tocsin.normalize.fields import AUDIT
from tocsin.rules import dispatch, ir
from tocsin.rules.dispatch import RuleSet
from tocsin.rules.schema import Derived

EXEC = ir.AllOf((text_is("objectRef.resource", "pods"), text_is("objectRef.subresource", "exec")))
ALICE = text_is("user.username", "alice")


def named(resource: str, subresource: str | None = None) -> AuditEvent:
    return event(objectRef={"resource": resource, "subresource": subresource})


def match(rules: RuleSet, one: AuditEvent) -> list[int]:
    return list(rules.match(one))


def test_rules_that_cannot_match_a_kind_of_request_are_left_out() -> None:
    rules = RuleSet([rule(EXEC), rule(ALICE, "r2")], AUDIT)
    assert rules.candidates(("get", "pods", "exec")) == 2
    assert rules.candidates(("get", "secrets", None)) == 1
    assert match(rules, named("pods", "exec")) == [0, 1]
    assert match(rules, named("secrets")) == [1]


def test_field_that_cannot_exist_rules_out_its_rules() -> None:
    on_exec = text_is("exec.command", "sh")
    without = ir.AllOf((ir.Not(on_exec), ir.Test("exec", ir.Present(wanted=False), HERE)))
    rules = RuleSet([rule(on_exec), rule(without, "r2")], AUDIT)
    assert rules.candidates(("get", "pods", None)) == 1
    assert rules.candidates(("get", "pods", "exec")) == 2
    assert match(rules, named("pods")) == [1]


def test_values_that_no_rule_names_share_one_function() -> None:
    rules = RuleSet([rule(EXEC)], AUDIT)
    for index in range(500):
        assert match(rules, named(f"made-up-{index}", f"sub-{index}")) == []
    assert rules.stats.buckets <= 2
    assert match(rules, named("pods", "exec")) == [0]


def test_value_that_a_pattern_matches_keeps_its_own_function() -> None:
    by_prefix = ir.Test("objectRef.resource", ir.TextIs("startswith", ("role",), fold=True), HERE)
    rules = RuleSet([rule(by_prefix)], AUDIT)
    assert match(rules, named("RoleBindings")) == [0]
    assert match(rules, named("pods")) == []


def test_asterisk_as_a_value_is_not_the_token_for_others() -> None:
    rules = RuleSet([rule(text_is("objectRef.resource", "*"))], AUDIT)
    assert match(rules, named("pods")) == []
    assert match(rules, named("*")) == [0]


def test_missing_is_told_from_empty() -> None:
    missing = ir.Test("objectRef.subresource", ir.Present(wanted=False), HERE)
    rules = RuleSet([rule(missing)], AUDIT)
    assert match(rules, named("pods")) == [0]
    assert match(rules, named("pods", "")) == []


def test_key_field_that_relates_to_another_is_tested_at_run_time() -> None:
    same = ir.Test("objectRef.resource", ir.SameAs("objectRef.name", "equals"), HERE)
    rules = RuleSet([rule(same)], AUDIT)
    assert match(rules, event(objectRef={"resource": "pods", "name": "PODS"})) == [0]
    assert match(rules, event(objectRef={"resource": "pods", "name": "x"})) == []


def test_past_the_limit_one_function_tests_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MAX_BUCKETS", 3)
    monkeypatch.setattr(dispatch, "MAX_KEYS", 4)
    any_name = ir.Test("objectRef.resource", ir.Pattern(""), HERE)
    rules = RuleSet([rule(any_name), rule(EXEC, "r2")], AUDIT)
    for index in range(10):
        assert match(rules, named(f"n{index}")) == [0]
    assert match(rules, named("pods", "exec")) == [0, 1]
    assert rules.stats.buckets == 3
    assert rules.stats.generic_calls == 8
    assert len(rules._functions) == 4


def test_field_is_absent_in_the_generic_function_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MAX_BUCKETS", 0)
    rules = RuleSet([rule(text_is("exec.command", "sh"))], AUDIT)
    assert match(rules, event(requestURI="/api/v1/namespaces/a/pods?command=sh")) == []


def test_endless_name_takes_no_place_in_the_index() -> None:
    any_name = ir.Test("objectRef.resource", ir.Pattern(""), HERE)
    rules = RuleSet([rule(any_name)], AUDIT)
    assert match(rules, named("x" * 100_000)) == [0]
    assert not rules._functions
    assert not rules.stats.buckets


def test_control_bytes_in_a_name_are_no_fault() -> None:
    any_name = ir.Test("objectRef.resource", ir.Pattern(""), HERE)
    rules = RuleSet([rule(any_name)], AUDIT)
    assert match(rules, named("a\x00b\n'\"")) == [0]
    assert rules.stats.faults == 0


def broken(event: AuditEvent) -> object:
    if event.user is not None and event.user.username == "alice":
        message = "no fields today"
        raise RuntimeError(message)
    return {"kind": "user"}


def test_failing_field_costs_its_own_rules_only() -> None:
    schema = replace(AUDIT, derived={"actor": Derived(broken)})
    on_actor = text_is("actor.kind", "user")
    rules = RuleSet([rule(on_actor, "bad"), rule(ALICE, "good")], schema)
    for _ in range(2):
        assert match(rules, event()) == [1]
    assert rules.faulty == {"bad": 2}
    assert rules.stats.faults == 2
    assert match(rules, event(user={"username": "bob"})) == [0]
    assert rules.stats.faults == 2


def test_rule_that_cannot_be_compiled_is_evaluated_slowly_like_the_others() -> None:
    within = ir.Anywhere(ir.Pattern("alice"), HERE)
    rules = RuleSet(
        [rule(ir.Each("requestObject.a", within, HERE), "r1"), rule(ALICE, "r2")], AUDIT
    )
    assert match(rules, event(requestObject={"a": [1]})) == [0, 1]
    assert match(rules, event()) == [1]
    assert rules.stats.faults == 2
    assert not rules.faulty


def test_no_rules_no_hits() -> None:
    assert match(RuleSet([], AUDIT), event()) == []


def test_events_are_indexed_by_verb_resource_and_subresource() -> None:
    rules = RuleSet([rule(ALICE)], AUDIT)
    assert rules.key(named("pods", "exec")) == ("create", "pods", "exec")
    assert rules.key(event(objectRef=None)) == ("create", None, None)


def test_events_that_match_are_told_with_their_rules_in_order() -> None:
    rules = RuleSet([rule(EXEC), rule(ALICE, "r2"), rule(EXEC, "r3")], AUDIT)
    bob = event(user={"username": "bob"})
    assert rules.match_all([bob, named("pods", "exec"), bob, event()]) == [(1, [0, 1, 2]), (3, [1])]


def test_rules_can_be_written_as_json() -> None:
    one = rule(ir.AllOf((EXEC, ir.Not(ALICE), ir.Each("podspec.containers", ALICE, HERE))))
    assert msgspec.json.decode(msgspec.json.encode(one), type=ir.Rule) == one
