"""Warnings about tests that can never match."""

import pytest

from tests.unit.audit import HERE, rule, text_is
from tocsin.normalize.fields import AUDIT
from tocsin.rules import ir
from tocsin.rules.lint import lint


def complaints(expr: ir.Expr) -> list[str]:
    return [str(fault) for fault in lint(rule(expr), AUDIT)]


@pytest.mark.parametrize(
    ("expr", "reason"),
    [
        (text_is("apiGroup", "apps"), "no event has a field 'apiGroup'"),
        (text_is("user.usrname", "x"), "no event has a field 'user.usrname'"),
        (text_is("verb", "replace"), "verb is never 'replace'"),
        (text_is("stage", "Complete"), "stage is never 'complete'"),
        (text_is("responseStatus.code", "Forbidden"), "is a number and never 'forbidden'"),
        (ir.Test("verb", ir.SameAs("nope", "equals"), HERE), "no event has a field 'nope'"),
        (ir.Each("nope.rules", text_is("a", "b"), HERE), "no event has a field 'nope.rules'"),
    ],
)
def test_silent_test_is_named_with_its_line(expr: ir.Expr, reason: str) -> None:
    nested = ir.AllOf((ir.AnyOf((ir.Not(expr),)), text_is("verb", "get")))
    (found,) = complaints(nested)
    assert reason in found
    assert found.startswith("rule.yml:7: ")


def test_same_complaint_is_made_once() -> None:
    assert len(complaints(ir.AllOf((text_is("nope", "a"), text_is("nope", "b"))))) == 1


def test_fields_that_exist_are_no_complaint() -> None:
    fine = ir.AllOf(
        (
            text_is("verb", "Get", "list"),
            text_is("responseStatus.code", "403", "-1"),
            text_is("requestObject.anything.at.all", "x"),
            text_is("podspec.containers.image", "x"),
            ir.Test("verb", ir.Pattern("x"), HERE),
            ir.Test("user.username", ir.SameAs("objectRef.name", "equals"), HERE),
            ir.Each("requestObject.rules", text_is("nonsense", "x"), HERE),
            ir.Anywhere(ir.Pattern("x"), HERE),
        )
    )
    assert complaints(fine) == []
