"""osmatch; the engine's own answers are in tests/conformance."""

import pytest

from tocsin.dialects.wazuh.expressions import Found, compile_expression


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("abc", "xABCx", True),
        ("^abc", "ABCx", True),
        ("^abc", "xabc", False),
        ("abc$", "xabc", True),
        ("abc$", "abcx", False),
        ("^abc$", "abc", True),
        ("^abc$", "abcx", False),
        ("a|^b|c$", "xb", False),
        ("a|^b|c$", "bx", True),
        ("!abc", "abc", False),
        ("!abc|x", "y", True),
        ("a||b", "z", True),
        ("", "", True),
        ("^", "x", True),
        ("^$", "x", False),
        ("^$", "", True),
        (r"\d", r"a\d", True),
        (r"\d", "1", False),
        ("a.*b", "axb", False),
        ("ä", "xä", True),
    ],
)
def test_matches(pattern: str, text: str, *, found: bool) -> None:
    expression = compile_expression("osmatch", pattern)
    assert expression.matches(text.encode()) is found
    assert expression.search(text.encode()) == (Found() if found else None)
    turned = compile_expression("osmatch", pattern, negate=True)
    assert turned.matches(text.encode()) is not found
    assert turned.search(text.encode()) == (None if found else Found())


@pytest.mark.parametrize(("pattern", "found"), [("ä", False), ("^ä", True), ("ä$", True)])
def test_strict_repeats_the_bug_with_bytes_beyond_ascii(pattern: str, *, found: bool) -> None:
    assert compile_expression("osmatch", pattern, strict=True).matches("ä".encode()) is found


def test_value_ends_at_its_first_nul() -> None:
    assert compile_expression("osmatch", "a$").matches(b"a\0b")
    assert not compile_expression("osmatch", "b").matches(b"a\0b")


def test_bytes_that_are_no_utf8_can_be_found() -> None:
    assert compile_expression("osmatch", "\udcff").matches(b"\xff")
