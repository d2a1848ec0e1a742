"""Every operator has its words, and long lists are told, not written out."""

import pytest

from tocsin.rules import ir
from tocsin.rules.wording import asked


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (ir.TextIs("equals", ("a",), fold=True), 'x is "a"'),
        (ir.TextIs("contains", ("a", "b", "c"), fold=True), 'x contains "a", "b" or "c"'),
        (
            ir.TextIs("startswith", ("A",), fold=False),
            'x starts with "A" (upper and lower case count)',
        ),
        (ir.TextIs("endswith", (), fold=True), "x ends with nothing at all"),
        (ir.Pattern("(?i)^a"), "x matches the expression (?i)^a"),
        (ir.InNetwork(("10.0.0.0/8",)), 'x is an address in "10.0.0.0/8"'),
        (ir.Compare("lte", 5), "x is at most 5"),
        (ir.InTime("hour", 3), "x is a time whose hour is 3, in UTC"),
        (ir.Present(wanted=True), "x has a value"),
        (ir.Present(wanted=False), "x has no value"),
        (ir.SameAs("y", "equals"), "x is the value of y"),
    ],
)
def test_operator_in_words(op: ir.Operator, expected: str) -> None:
    assert asked("x", op) == expected


def test_long_list_is_counted() -> None:
    text = asked("x", ir.TextIs("equals", tuple(f"t{i}" for i in range(40)), fold=True))
    assert text.endswith('"t11" or one of 28 more')
