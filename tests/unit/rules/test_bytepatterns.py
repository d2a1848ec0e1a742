"""Patterns over bytes: RE2, and PCRE2 within a budget."""

import time

import pcre2
import pytest

from tocsin.rules.bytepatterns import BUDGET_SECONDS, BoundedPattern, BudgetSpent, LinearPattern
from tocsin.rules.regex import PatternError


@pytest.mark.parametrize("pattern", [b"(?=a)", rb"(a)\1", b"(", b"a{2000}"])
def test_what_is_not_linear_is_refused(pattern: bytes) -> None:
    with pytest.raises(PatternError) as refused:
        LinearPattern(pattern)
    assert str(refused.value)
    assert not str(refused.value).startswith("b'")


@pytest.mark.parametrize("compiled", [LinearPattern(b"a(x)?(.)"), BoundedPattern(b"a(x)?(.)")])
def test_spans_are_of_bytes(compiled: LinearPattern | BoundedPattern) -> None:
    text = "äaä".encode()
    assert compiled.matches(text)
    assert compiled.spans(text) == [(2, 4), (-1, -1), (3, 4)]
    assert compiled.spans(b"x") is None
    assert not compiled.matches(b"x")


def test_refusal_says_why() -> None:
    with pytest.raises(PatternError, match=r"^missing closing parenthesis$"):
        BoundedPattern(b"(a")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        # Many starts, each cheap: only the clock stops them.
        (b"(?C1)a(?C1)[^x]*y", b"a" * 3_000_000),
        # One start that backtracks: the steps are counted.
        (b"(?C1)b(?C1).*a(?C1).*a(?C1).*a(?C1).*(?!a)y", b"b" + b"a" * 3_000_000),
        (b"(?C1)^(?C1)(?:(?C1)a+)+$", b"a" * 60 + b"b"),
    ],
)
def test_spent_budget_is_not_the_answer_no(pattern: bytes, text: bytes) -> None:
    compiled = BoundedPattern(pattern)
    started = time.process_time()
    with pytest.raises(BudgetSpent):
        compiled.spans(text)
    assert time.process_time() - started < 10 * BUDGET_SECONDS
    assert compiled.spans(b"z") is None


def test_text_that_is_no_utf8_does_not_match_a_pattern_that_asks_for_it() -> None:
    compiled = BoundedPattern(b"(*UTF)(?C1)\xc3\xa4")
    assert compiled.spans("aä".encode()) == [(1, 3)]
    assert compiled.spans(b"\xff\xc3\xa4") is None


def test_pattern_without_machine_code_keeps_its_limits() -> None:
    compiled = BoundedPattern(rb"(*NO_JIT)(?C1)b(?C1).*a(?C1).*a(?C1).*y")
    assert compiled.matches(b"baay")
    with pytest.raises(BudgetSpent):
        compiled.matches(b"b" + b"a" * 100_000 + b"\ny")


def test_stack_of_machine_code_is_no_limit() -> None:
    compiled = BoundedPattern(rb"(?C1)(?:(a)|b)*c\1")
    text = b"ab" * 20_000 + b"ca"
    assert compiled.spans(text) == [(0, len(text)), (len(text) - 4, len(text) - 3)]


def test_machine_without_compiler_interprets(monkeypatch: pytest.MonkeyPatch) -> None:
    compiling = pcre2.compile

    def refusing(pattern: bytes, *, jit: bool, callout: object) -> pcre2.Pattern:
        if jit:
            raise pcre2.LibraryError(-45)
        return compiling(pattern, jit=False, callout=callout)

    monkeypatch.setattr(pcre2, "compile", refusing)
    assert BoundedPattern(b"(?C1)b").spans(b"ab") == [(1, 2)]
