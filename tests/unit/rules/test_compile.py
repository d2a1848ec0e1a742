"""The compiled rules mean what the reference says, whatever rules and events look like."""

import builtins
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import HERE, event, rule, text_is
from tests.unit.rules.strategies import EXPRESSIONS, events
from tocsin.model.event import AuditEvent
from tocsin.normalize.fields import AUDIT
from tocsin.rules import ir
from tocsin.rules.compile import compile_bucket
from tocsin.rules.dispatch import RuleSet
from tocsin.rules.interpret import EventView, matches


def meant(conditions: list[ir.Expr], one: AuditEvent) -> list[int]:
    view = EventView(one, AUDIT)
    return [index for index, expr in enumerate(conditions) if matches(expr, view)]


@given(st.lists(EXPRESSIONS, min_size=1, max_size=4), st.lists(events(), min_size=1, max_size=4))
def test_function_for_all_events_agrees_with_reference(
    conditions: list[ir.Expr], batch: list[AuditEvent]
) -> None:
    bucket = compile_bucket(enumerate(conditions), AUDIT, "test")
    for one in batch:
        assert sorted(bucket(one)) == meant(conditions, one)


@given(st.lists(EXPRESSIONS, min_size=1, max_size=4), st.lists(events(), min_size=1, max_size=4))
def test_functions_by_kind_of_request_agree_with_reference(
    conditions: list[ir.Expr], batch: list[AuditEvent]
) -> None:
    rules = RuleSet([rule(expr, f"r{i}") for i, expr in enumerate(conditions)], AUDIT)
    for one in batch:
        assert list(rules.match(one)) == meant(conditions, one)
    assert rules.stats.faults == 0


HOSTILE = [
    '"',
    "'",
    "\\",
    "\n    pwned()",
    "\r",
    "\x00",
    "{e}",
    "%s",
    "'); pwned(); ('",
    '"""; pwned(); """',
    "'] = 1; pwned(); x['",
    "__import__('os').environ.update(PWNED='1')",
    "\u2028pwned()",
    "pwned()  # ",
]


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note calls of `pwned`, which exists for any code that is executed anywhere."""
    called: list[str] = []
    monkeypatch.setattr(builtins, "pwned", lambda: called.append("called"), raising=False)
    return called


@pytest.mark.parametrize("text", HOSTILE)
def test_rule_text_is_never_code(text: str, trap: list[str]) -> None:
    body = {"data": {text: [{"a": text}]}, "labels": {text: text}}
    one = event(verb=text, userAgent=text, requestObject=body, user={"username": text})
    ops: list[ir.Operator] = [
        *(ir.TextIs(how, (text, "other"), fold=False) for how in ("equals", "startswith")),
        *(ir.TextIs(how, (text,), fold=False) for how in ("equals", "endswith", "contains")),
        ir.SameAs("verb", "equals"),
    ]
    paths = ["verb", "userAgent", "user.username"]
    if "[" not in text:
        paths.append(f"requestObject.labels.{text}")
    conditions: list[ir.Expr] = [ir.Test(path, op, HERE) for path in paths for op in ops]
    if "[" not in text:
        same = ir.Test("a", ir.TextIs("equals", (text,), fold=False), HERE)
        conditions.append(ir.Each(f"requestObject.data.{text}", same, HERE))
    rules = RuleSet([rule(expr, text) for expr in conditions], AUDIT)
    assert list(rules.match(one)) == list(range(len(conditions)))
    assert rules.stats.faults == 0
    assert not trap
    assert "PWNED" not in os.environ


@pytest.mark.parametrize("name", HOSTILE)
def test_unknown_field_of_any_name_is_missing(name: str, trap: list[str]) -> None:
    missing = ir.Test(name, ir.Present(wanted=False), HERE)
    assert list(compile_bucket([(5, missing)], AUDIT, name)(event())) == [5]
    assert not trap


def test_condition_with_hundreds_of_terms_compiles() -> None:
    terms = tuple(text_is(f"requestObject.spec.f{i}", "yes") for i in range(300))
    bucket = compile_bucket([(0, ir.AllOf(terms)), (1, ir.AnyOf(terms))], AUDIT, "wide")
    assert list(bucket(event(requestObject={"spec": {"f7": "yes"}}))) == [1]


def test_condition_nested_as_deep_as_can_be_compiles() -> None:
    condition: ir.Expr = text_is("requestObject.spec.last", "yes")
    for number in range(40):
        cheap, costly = (
            text_is("stage", f"s{number}"),
            text_is(f"requestObject.spec.f{number}", "x"),
        )
        condition = ir.AnyOf((cheap, ir.AllOf((text_is("verb", "create"), costly, condition))))
        condition = ir.AllOf((text_is("user.username", "alice"), ir.Not(ir.Not(condition))))
    bucket = compile_bucket([(0, condition)], AUDIT, "deep")
    spec = {f"f{number}": "x" for number in range(40)}
    assert bucket(event(requestObject={"spec": spec | {"last": "yes"}})) == (0,)
    assert bucket(event(requestObject={"spec": spec})) == ()
    assert bucket(event(stage="s7", requestObject={"spec": spec})) == (0,)


def test_body_is_decoded_only_behind_cheaper_tests() -> None:
    read: list[str] = []

    def decode(raw: object) -> object:
        read.append("body")
        return AUDIT.decode(raw)  # type: ignore[arg-type]

    schema = AUDIT.__class__(
        AUDIT.attributes, AUDIT.derived, decode, AUDIT.defaults, AUDIT.key, AUDIT.values
    )
    condition = ir.AllOf((text_is("requestObject.a", "b"), text_is("user.username", "bob")))
    bucket = compile_bucket([(0, condition), (1, condition)], schema, "lazy")
    assert list(bucket(event(requestObject={"a": "b"}))) == []
    assert not read
    assert sorted(bucket(event(requestObject={"a": "b"}, user={"username": "bob"}))) == [0, 1]
    assert read == ["body"]
