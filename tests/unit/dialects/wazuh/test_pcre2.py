r"""PCRE2 expressions: RE2 where it means the same; the engine's answers are in conformance."""

import time
from contextlib import suppress

import pcre2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.dialects.wazuh.expressions import (
    BudgetSpent,
    Found,
    PatternError,
    compile_expression,
)
from tocsin.dialects.wazuh.expressions.pcre2 import Pcre2

CREATE = r'"verb": "create".+"resource": "pods".+"securityContext":(?! {"privileged": true})'
PRIVILEGED = r'"verb": "create".+"securityContext": {"privileged": true}'
DELETE = r'"verb": "delete".+"resource": "pods"'
PODS = r'"kind": "\S+", "apiVersion": "\S+", "metadata": {"name": "(\S+)", "namespace": "(\S+)"'


def search(pattern: str, text: str) -> Found | None:
    return compile_expression("pcre2", pattern).search(text.encode())


@pytest.mark.parametrize(
    "pattern",
    [
        "(a",
        "[a",
        "a**",
        r"\u0061",
        "a\\",
        "(?<=a+)b",
        "(?P<n>a)(?P<n>b)",
        r"\8",
        r"[a\d-z]",
        "a)",
        r"\x{100}",
    ],
)
def test_what_the_engine_refuses(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_expression("pcre2", pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("b", "abc", Found(1)),
        ("", "abc", Found(-1)),
        ("B", "abc", None),
        ("(?i)B", "abc", Found(1)),
        ("a.c", "a\nc", None),
        ("(?s)a.c", "a\nc", Found(2)),
        ("b$", "ab\n", Found(1)),
        ("b$", "ab\nc", None),
        (r"b\Z|c", "ab\n", Found(1)),
        (r"b\z", "ab\n", None),
        ("a(?=bc)", "abab abc", Found(5)),
        ("a(?!b)", "aba", Found(2)),
        (r"a(?!\.b)", "a.b", None),
        ("a(?!b+)c", "ac", Found(1)),
        ("a(?!b+)", "abb ac", Found(4)),
        ("(a)|(b)", "b", Found(0, (b"", b"b"))),
        ("(a)|b", "b", Found(0)),
        ("(?:(a)|b)+", "ab", Found(1, (b"a",))),
        (r"(\w)\1", "abb", Found(2, (b"b",))),
        ("(?<n>a)(?'m'b)", "ab", Found(1, (b"a", b"b"))),
        ("a{,2}b", "a{,2}b", Found(5)),
        (r"[\s]", "\v", Found(0)),
        (r"\h\v[\h\v]", "\t\n\v", Found(2)),
        (r"[]\-a-c\b[:digit:]]+", "]-b\b7", Found(4)),
        (r"[^\x41\x{42}]", "ABC", Found(2)),
        (r"\x41\x{42}\0\e[\a]", "AB\0", None),
        ("ä[ä]", "ää", Found(2)),
        ("(?>a+)b", "aab", Found(2)),
        ("a++b", "aab", Found(2)),
        ("(?#c)b", "b", Found(0)),
        (r"\Qa.b\E", "a.b", Found(2)),
        (r"\p{Lu}", "aB", Found(1)),
        ("(?x) a b", "ab", Found(1)),
        ("(?|(a)|(b))", "b", Found(0, (b"b",))),
        (r"a\Kb", "ab", Found(1)),
        (r"\12", "\n", Found(0)),
        ("(?<=a)b", "bab", Found(2)),
        ("[[:^alpha:]]", "a1", Found(1)),
        (r"[a\d-]", "-", Found(0)),
        ("(*UTF)ä.", "äö", Found(3)),
        ("(?i)[^ä]ä", "Aä", Found(2)),
        (r"[A-\]]", "B", Found(0)),
        (r"[\\x41]+", r"A\x41", Found(4)),
        (r"(?x) \x{41} \x{42}", "AB", Found(1)),
        (r"(*UTF)\x{1f514}", "🔔", Found(3)),
        ("a{1001}", "a" * 1001, Found(1000)),
    ],
)
def test_matches(pattern: str, text: str, found: Found | None) -> None:
    assert search(pattern, text) == found
    assert compile_expression("pcre2", pattern).matches(text.encode()) is (found is not None)


@pytest.mark.parametrize("pattern", [CREATE, PRIVILEGED, DELETE, PODS, "^a$|b(?!c)", "(?i)a|[^b]$"])
def test_usual_patterns_are_linear(pattern: str) -> None:
    assert Pcre2(pattern.encode()).linear


@pytest.mark.parametrize("pattern", ["(?<=a)b", r"(a)\1", "(a*)*", "a(?!b)c", "a++", "$a"])
def test_what_could_differ_stays_with_pcre2(pattern: str) -> None:
    assert not Pcre2(pattern.encode()).linear


def hostile_texts() -> list[bytes]:
    pod = b'"kind": "k", "apiVersion": "v", "metadata": {"name": "'
    return [
        b'{"verb": "create","x":1},' * 120_000,
        b'"verb": "create" '
        + b'"resource": "pods" "securityContext": {"privileged": true}' * 52_000,
        b'"verb": "create","resource": "pods","securityContext": {"privileged": false}' * 40_000,
        b'"verb": "delete"' * 190_000,
        b'"kind": "' * 330_000,
        pod * 55_000,
        pod + b'n", "namespace": "' * 170_000,
        pod + b"x" * 2_900_000 + b'", "namespace": "d"',
    ]


@pytest.mark.parametrize("pattern", [CREATE, PRIVILEGED, DELETE, PODS])
@pytest.mark.parametrize("text", hostile_texts(), ids=range(8))
def test_no_text_of_three_megabytes_makes_the_founding_rules_slow(
    pattern: str, text: bytes
) -> None:
    """None of them spends its budget, either: every one of these texts is judged.

    The bar is 100 ms on a quiet machine; here the tests run beside each other.
    """
    expression = compile_expression("pcre2", pattern)
    started = time.process_time()
    expression.search(text)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(a|aa)+\1c", b"a" * 100_000 + b"c"),
        (r"x.*x.*x.*x.*(?<=z)y", b"x" * 3_000_000 + b"y"),
    ],
)
def test_what_is_not_linear_is_given_up_in_time(pattern: str, text: bytes) -> None:
    expression = compile_expression("pcre2", pattern)
    started = time.process_time()
    with pytest.raises(BudgetSpent):
        expression.search(text)
    assert time.process_time() - started < 1


def test_long_text_is_judged_by_re2_where_pcre2_gives_up() -> None:
    text = (
        '"verb": "create"' * 190_000 + '\n"verb": "create","securityContext": {"privileged": true}'
    )
    assert search(PRIVILEGED, text) == Found(len(text) - 1)


def test_negated_expression_does_not_match_what_was_given_up() -> None:
    expression = compile_expression("pcre2", r"(a|aa)+\1c", negate=True)
    with pytest.raises(BudgetSpent):
        expression.matches(b"a" * 100_000 + b"c")


ATOMS = ["a", "B", " ", '"', "{", "}", ".", r"\d", r"\w", r"\s", r"\W", r"\b", "^", "$", r"\.", ":"]
CLASSES = ["[ab]", "[^a]", r'[^\s"]', r"[a-c\d]", "[]x]", "[[:alpha:]]", r"\x61", r"\v", r"\Z"]
REPEATS = ["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "*+", "{2,}?"]


def repeated(item: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.tuples(item, st.sampled_from(REPEATS)).map("".join), max_size=4).map("".join)


def grouped(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(repeated(inner), min_size=1, max_size=2).map("|".join)
    opening = st.sampled_from(["(", "(?:", "(?=", "(?!", "(?>", "(?i:"])
    return st.builds("{}{})".format, opening, body)


ITEMS = st.recursive(st.sampled_from(ATOMS + CLASSES), grouped, max_leaves=6)


@given(
    st.lists(repeated(ITEMS), min_size=1, max_size=2).map("|".join),
    st.lists(st.text(st.sampled_from('abABx1 "{:\n\v'), max_size=10), min_size=1, max_size=4),
)
def test_two_engines_are_one(pattern: str, texts: list[str]) -> None:
    try:
        reference = pcre2.compile(pattern.encode())
    except pcre2.LibraryError:
        return
    expression = compile_expression("pcre2", pattern)
    for text in texts:
        match = reference.search(text.encode())
        groups = list(match.groups()) if match else []
        while groups and groups[-1] is None:
            groups.pop()
        expected = match and Found(match.end() - 1, tuple(group or b"" for group in groups))
        # Random loops in loops can be exponential even here.
        with suppress(BudgetSpent):
            assert expression.search(text.encode()) == expected
            assert expression.matches(text.encode()) is (match is not None)
