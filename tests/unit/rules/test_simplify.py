"""Smaller condition trees mean the same as those they were made of."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import HERE, text_is
from tests.unit.rules.strategies import EXPRESSIONS, events
from tocsin.model.event import AuditEvent
from tocsin.normalize.fields import AUDIT
from tocsin.rules import ir
from tocsin.rules.interpret import EventView, matches
from tocsin.rules.simplify import FALSE, TRUE, assume, simplify

A, B, C = (text_is("verb", verb) for verb in ("get", "list", "watch"))


@given(EXPRESSIONS, events())
def test_simplified_tree_means_the_same(expr: ir.Expr, one: AuditEvent) -> None:
    view = EventView(one, AUDIT)
    assert matches(simplify(expr), view) is matches(expr, view)


@given(EXPRESSIONS, events(), st.sets(st.integers(0, 20)))
def test_assuming_what_is_true_changes_nothing(
    expr: ir.Expr, one: AuditEvent, known: set[int]
) -> None:
    view = EventView(one, AUDIT)
    seen: list[ir.Expr] = []

    def outcome(test: ir.Test | ir.Each) -> bool | None:
        seen.append(test)
        return matches(test, view) if len(seen) in known else None

    assert matches(assume(expr, outcome), view) is matches(expr, view)


@given(EXPRESSIONS)
def test_knowing_everything_leaves_nothing(expr: ir.Expr) -> None:
    def has_anywhere(node: ir.Expr) -> bool:
        return b'"anywhere"' in _json(node)

    if not has_anywhere(expr):
        assert assume(expr, lambda _: True) in (TRUE, FALSE)


def _json(expr: ir.Expr) -> bytes:
    return msgspec.json.encode(expr)


def test_constants_are_folded() -> None:
    assert simplify(ir.AllOf((A, FALSE))) == FALSE
    assert simplify(ir.AnyOf((A, TRUE))) == TRUE
    assert simplify(ir.Not(TRUE)) == FALSE
    assert simplify(ir.Not(FALSE)) == TRUE
    assert simplify(ir.AllOf((TRUE, A))) == A
    assert simplify(ir.Not(ir.Not(A))) == A


def test_terms_of_one_kind_are_flattened() -> None:
    other = text_is("stage", "panic")
    assert simplify(ir.AllOf((A, ir.AllOf((other, A))))) == ir.AllOf((A, other, A))
    nested = ir.AnyOf((other, ir.AnyOf((ir.Not(A), ir.AnyOf(())))))
    assert simplify(nested) == ir.AnyOf((other, ir.Not(A)))


def test_alternatives_on_one_field_become_one_test() -> None:
    assert simplify(ir.AnyOf((A, ir.AnyOf((B, C)), A))) == text_is("verb", "get", "list", "watch")
    cased = ir.Test("verb", ir.TextIs("equals", ("get",), fold=False), HERE)
    assert simplify(ir.AnyOf((A, cased))) == ir.AnyOf((A, cased))
    networks = [ir.Test("sourceIPs", ir.InNetwork((n,)), HERE) for n in ("10.0.0.0/8", "::1/128")]
    assert simplify(ir.AnyOf(tuple(networks))) == ir.Test(
        "sourceIPs", ir.InNetwork(("10.0.0.0/8", "::1/128")), HERE
    )


def test_terms_inside_a_list_element_are_simplified() -> None:
    each = ir.Each("requestObject.rules", ir.AllOf((TRUE, A)), HERE)
    assert simplify(each) == ir.Each("requestObject.rules", A, HERE)
