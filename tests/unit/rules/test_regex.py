"""Regular expressions over event text: RE2 or nothing."""

import time

import pytest

from tocsin.rules.regex import PatternError, escape, replacer, searcher


@pytest.mark.parametrize("pattern", ["(?=a)", "(?!a)", r"(a)\1", "(", "[", "a{2000}", "(?<=a)b"])
def test_what_is_not_linear_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError) as refused:
        searcher(pattern)
    assert str(refused.value)
    assert not str(refused.value).startswith("b'")


def test_pattern_of_endless_size_is_refused() -> None:
    with pytest.raises(PatternError, match="too large"):
        searcher(r"\pL{900}" * 20)


def test_worst_case_of_backtracking_takes_no_time() -> None:
    started = time.process_time()
    assert searcher("(a+)+$")("a" * 1_000_000 + "b") is None
    assert time.process_time() - started < 2


@pytest.mark.parametrize("text", ["a.b*c", "\x00", "\n", "ä(", "\\", "]"])
def test_escaped_text_matches_itself(text: str) -> None:
    search = searcher(rf"\A{escape(text)}\z")
    assert search(text) is not None
    assert search(text + "x") is None


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^.{2}$", "äö", True),
        (r"^.{4}$", "äö", False),
        (r"(?i)Ä(ö)", "xäÖ", True),
        (r"\pL\b", "a 🔔", True),
        (r"[^a-z]", "abc", False),
        (r"\x{1F514}", "🔔", True),
    ],
)
def test_patterns_see_characters_not_bytes(pattern: str, text: str, *, found: bool) -> None:
    assert (searcher(pattern)(text) is not None) is found


def test_every_match_is_replaced() -> None:
    assert replacer("b(.)", r"<\1>")("abcbd") == "a<c><d>"
