"""What each operator means, value by value."""

import pytest

from tocsin.rules import ir
from tocsin.rules.interpret import satisfied
from tocsin.rules.operators import text_of, text_test


def holds(op: ir.Operator, value: object) -> bool:
    return satisfied(op, [value], lambda _: [])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("Ab", "Ab"),
        (True, "true"),
        (False, "false"),
        (403, "403"),
        (0.5, "0.5"),
        (2**64, "18446744073709551616"),
        (None, None),
        ({}, None),
        ([], None),
    ],
)
def test_values_are_compared_as_their_text(value: object, text: str | None) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("how", "text", "folded", "cased"),
    [
        ("equals", "KUBE", True, False),
        ("equals", "kube", True, True),
        ("equals", "kube-system", False, False),
        ("startswith", "Kube-system", True, False),
        ("startswith", "kube-system", True, True),
        ("startswith", "a kube", False, False),
        ("endswith", "a KUBE", True, False),
        ("endswith", "a kube", True, True),
        ("contains", "a KuBe b", True, False),
        ("contains", "a kube b", True, True),
        ("contains", "kub e", False, False),
    ],
)
def test_text_is_compared_with_and_without_case(
    how: ir.How, text: str, *, folded: bool, cased: bool
) -> None:
    assert holds(ir.TextIs(how, ("other", "kube"), fold=True), text) is folded
    assert holds(ir.TextIs(how, ("other", "kube"), fold=False), text) is cased


def test_case_of_letters_beyond_ascii_does_not_count() -> None:
    assert holds(ir.TextIs("equals", ("ärger",), fold=True), "ÄRGER")
    assert holds(ir.TextIs("contains", ("θ",), fold=True), "aΘb")


@pytest.mark.parametrize("how", ["startswith", "endswith", "contains"])
def test_empty_text_is_part_of_every_text(how: ir.How) -> None:
    assert holds(ir.TextIs(how, ("",), fold=True), "")
    assert holds(ir.TextIs(how, ("",), fold=True), "x")


@pytest.mark.parametrize("value", [None, {}, {"a": "x"}, [], [["x"]]])
def test_what_has_no_text_satisfies_no_text_test(value: object) -> None:
    for op in (
        ir.TextIs("contains", ("",), fold=True),
        ir.Pattern(""),
        ir.Compare("lt", 9),
        ir.InNetwork(("::/0",)),
        ir.InTime("hour", 0),
    ):
        assert not holds(op, value)


def test_number_and_boolean_equal_their_text() -> None:
    assert holds(ir.TextIs("equals", ("403",), fold=False), 403)
    assert holds(ir.TextIs("equals", ("403",), fold=False), "403")
    assert holds(ir.TextIs("equals", ("true",), fold=True), "TRUE")
    for value in (True,):
        assert holds(ir.TextIs("equals", ("true",), fold=True), value)
        assert not holds(ir.TextIs("equals", ("1",), fold=True), value)


def test_pattern_is_found_anywhere() -> None:
    assert holds(ir.Pattern("b+"), "abbc")
    assert not holds(ir.Pattern("^b"), "abbc")
    assert holds(ir.Pattern("(?i)ABB"), "abbc")
    assert not holds(ir.Pattern("a.c"), "a\nc")
    assert holds(ir.Pattern("(?s)a.c"), "a\nc")


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("10.1.2.3", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("2001:db8::7", True),
        ("2001:DB8:0::7", True),
        ("2001:db9::7", False),
        ("10.1.2.3/32", False),
        ("10.1.2", False),
        ("010.1.2.3", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("x" * 100, False),
    ],
)
def test_network_holds_addresses_of_its_family(text: str, *, inside: bool) -> None:
    op = ir.InNetwork(("10.0.0.0/8", "2001:db8::/32"))
    assert holds(op, text) is inside


@pytest.mark.parametrize(
    ("order", "value", "result"),
    [
        ("lt", 399, True),
        ("lt", 400, False),
        ("lte", 400, True),
        ("gt", 400, False),
        ("gt", "401", True),
        ("gte", "400", True),
        ("gte", "4e2", True),
        ("gt", "1e999", True),
        ("gt", 2**64 + 1, True),
        ("lt", "-5", True),
        ("gt", "--5", False),
        ("gt", "", False),
        ("gt", "many", False),
        ("gt", "9" * 5000, False),
        ("lt", True, False),
        ("gt", "nan", False),
    ],
)
def test_numbers_are_compared_by_value(order: ir.Order, value: object, *, result: bool) -> None:
    assert holds(ir.Compare(order, 400), value) is result


@pytest.mark.parametrize(
    ("unit", "number"),
    [("minute", 45), ("hour", 9), ("day", 23), ("week", 48), ("month", 11), ("year", 2026)],
)
def test_parts_of_a_time_are_those_in_utc(unit: ir.TimeUnit, number: int) -> None:
    for text in ("2026-11-23T09:45:16.123456Z", "2026-11-23T10:45:16+01:00", "2026-11-23 09:45"):
        assert holds(ir.InTime(unit, number), text)
        assert not holds(ir.InTime(unit, number + 1), text)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59-23:59"],
)
def test_what_is_no_time_has_no_parts(text: str) -> None:
    assert not holds(ir.InTime("year", 1), text)


def test_presence_is_having_a_value() -> None:
    assert satisfied(ir.Present(wanted=True), [""], lambda _: [])
    assert not satisfied(ir.Present(wanted=True), [], lambda _: [])
    assert satisfied(ir.Present(wanted=False), [], lambda _: [])
    assert not satisfied(ir.Present(wanted=False), [{}], lambda _: [])
    assert text_test(ir.Present(wanted=True))("")


@pytest.mark.parametrize(
    ("how", "other", "result"),
    [
        ("equals", ["x", "ALICE"], True),
        ("equals", ["alic"], False),
        ("startswith", ["Al"], True),
        ("endswith", ["ce"], True),
        ("contains", ["LIC"], True),
        ("contains", [], False),
        ("equals", [None, {}, ["alice"]], False),
    ],
)
def test_field_relates_to_another_field(how: ir.How, other: list[object], *, result: bool) -> None:
    assert satisfied(ir.SameAs("other", how), ["bob", "Alice"], lambda _: other) is result


def test_relation_of_two_fields_is_no_test_of_one() -> None:
    with pytest.raises(TypeError, match="two fields"):
        text_test(ir.SameAs("a", "equals"))
