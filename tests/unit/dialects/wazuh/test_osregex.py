r"""osregex; the engine's own answers are in tests/conformance."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.dialects.wazuh.expressions import (
    BudgetSpent,
    Found,
    PatternError,
    compile_expression,
)

ELEMENTS = ["a", "b", ":", " ", r"\w", r"\d", r"\.", r"\w+", r"\d*", r"\s+", r"\S+", r"\.*", r"\|"]
PATTERNS = st.lists(st.sampled_from([*ELEMENTS, "(", ")", "^", "$", "|"]), max_size=9).map("".join)
TEXTS = st.text(st.sampled_from("aAb1 :|x"), max_size=16).map(str.encode)


def search(pattern: str, text: str) -> Found | None:
    return compile_expression("osregex", pattern).search(text.encode())


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("((a))", "do not nest"),
        ("(a|b)", "is not closed"),
        ("a(b", "is not closed"),
        ("a)b", "without"),
        (r"a\q", r"osregex has no \\q"),
        ("a\\", r"osregex has no \\$"),
    ],
)
def test_what_the_engine_refuses(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError, match=reason):
        compile_expression("osregex", pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("ABC", "xabc", Found(3)),
        ("^abc", "xabc", None),
        ("^abc$", "ABC", Found(2)),
        ("abc$", "abcabc", Found(5)),
        ("^a|b$", "xb", Found(1)),
        ("", "x", Found(0)),
        ("^$", "x", None),
        ("^$", "", Found(0)),
        (r"a\|b|c", "a|b", Found(2)),
        (r"(\d\d):(\d)", "x12:3", Found(4, (b"12", b"3"))),
        (r"^\d\d$", "123", None),
        (r"\d\d$", "123", Found(2)),
        (r"(\w)()", "a", Found(0, (b"a",))),
    ],
)
def test_without_quantifiers(pattern: str, text: str, found: Found | None) -> None:
    assert search(pattern, text) == found


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"x\d+", "x12 z", Found(3)),
        (r"x\d+", "x12", Found(1)),
        (r"x\d*", "x12", Found(0)),
        (r"x(\d+)", "x12 z", Found(1, (b"12",))),
        (r"x(\d*)", "x12 z", Found(2, (b"12",))),
        (r"\d*", "A", Found(-1)),
        (r"\d*", "", Found(0)),
        (r"(\d*)", "", Found(0, (b"",))),
        (r"\d+", "", None),
        (r"(\S+)x", "xxxx", Found(1, (b"x",))),
        # The class gives way to the first ':', and after the fallback not to the second.
        (r"^(\S+): ", "a:: b", None),
        (r"\d+|a", "a1", Found(1)),
        (r"(\d+)()x", "1x", Found(1, (b"1", b""))),
        (r"\w+(\d+)", "ab1", Found(2, (b"1",))),
        # Five classes give way, four are remembered.
        (r"\.*a\.*a\.*a\.*a\.*ab", "aaaaacab", Found(7)),
    ],
)
def test_with_quantifiers(pattern: str, text: str, found: Found | None) -> None:
    assert search(pattern, text) == found


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\S+,\S+,\S+,\S+,\S+ z", b"a," * 1_500_000),
        (r"\d+", b"a" * 3_000_000),
        (r"\w\w\w\d\d", b"abc" * 1_000_000),
        (r"a\.+b\.+c\.+d\.+e", b"abcd" * 750_000 + b"e"),
        (r"\.+\|fireeye", b"|" * 3_000_000),
        ("abc", b"ab" * 1_500_000),
    ],
)
def test_long_texts_cost_little(pattern: str, text: bytes) -> None:
    expression = compile_expression("osregex", pattern)
    started = time.process_time()
    expression.search(text)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"x\S+y", b"x" * 3_000_000 + b" xay"),
        (r"^(\.*)\t(\.*)\t(\.*)\tq", b"a\t" * 1_500_000 + b"q"),
        (r"\d+\s\w+\s", b"1 " * 1_500_000 + b"a"),
    ],
)
def test_search_is_bounded_and_says_when_it_gives_up(pattern: str, text: bytes) -> None:
    expression = compile_expression("osregex", pattern)
    started = time.process_time()
    try:
        found = expression.matches(text)
    except BudgetSpent:
        found = False
    assert time.process_time() - started < 1
    assert found in (True, False)


def test_spent_budget_is_raised() -> None:
    with pytest.raises(BudgetSpent):
        search(r"x\S+y", "x" * 100_000 + " xay")


@given(PATTERNS, TEXTS)
def test_answers_keep_their_shape(pattern: str, text: bytes) -> None:
    try:
        expression = compile_expression("osregex", pattern)
    except PatternError:
        return
    found = expression.search(text)
    assert expression.matches(text) is (found is not None)
    if found is not None:
        assert found.end is not None
        assert -1 <= found.end <= len(text)
        assert all(group in text for group in found.groups)


@given(st.text(st.sampled_from("aB: x"), max_size=6), TEXTS)
def test_plain_patterns_are_searches_for_text(plain: str, text: bytes) -> None:
    found = search(plain, text.decode())
    assert (found is not None) is (plain.lower().encode() in text.lower())


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("(a)(b)", b"ab"), ("\u00e9", "\u00e9".encode()), ("x|\u00e9", "\u00e9".encode())],
)
def test_what_the_engine_never_finds_by_mistake(pattern: str, text: bytes) -> None:
    assert compile_expression("osregex", pattern).matches(text)
    assert not compile_expression("osregex", pattern, strict=True).matches(text)


def test_other_alternatives_are_found_all_the_same() -> None:
    assert compile_expression("osregex", "(a)(b)|x", strict=True).matches(b"x")
