"""What stopped a rule or decoder: the condition, and what it saw."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dialects.wazuh.installed import Clock, installed, rule
from tocsin.dialects.wazuh.expressions import compile_expression
from tocsin.dialects.wazuh.plaintext import missing, pieces, required
from tocsin.dialects.wazuh.why import Stop
from tocsin.dialects.wazuh.whydecode import tried_decoders

# As a local time, whatever the zone of the machine.
MONDAY_NOON = time.mktime((2026, 11, 23, 12, 0, 0, 0, 0, -1))


def stop(content: str, document: dict[str, object], attributes: str = "") -> Stop:
    clock = Clock()
    clock.now = MONDAY_NOON
    installation = installed(
        rule(100001, 3, content, attributes=attributes), lists={"etc/lists/l": "k:v"}, strict=False
    )
    result = installation.session(clock, why=True).feed(json.dumps(document).encode())
    (tried,) = [tried for tried in result.tried if tried.rule.id == 100001]
    assert tried.stopped is not None
    return tried.stopped


@pytest.mark.parametrize(
    ("content", "document", "expected"),
    [
        (
            "<match>create</match>",
            {},
            ("match", "a match of osmatch `create`", "the log, 16 bytes"),
        ),
        (
            '<regex type="pcre2">"verb": "x".+"a": {"b": 1}</regex>',
            {"verb": "x", "a": {"b": 2}},
            (
                "regex",
                'a match of pcre2 `"verb": "x".+"a": {"b": 1}`',
                'the log, 28 bytes, without `"a": {"b": 1}`',
            ),
        ),
        (
            '<field name="verb">get</field>',
            {"verb": "list"},
            ('field name="verb"', "a match of osregex `get`", "list"),
        ),
        (
            '<field name="verb" negate="yes">li</field>',
            {"verb": "list"},
            ('field name="verb"', "no match of osregex `li`", "list"),
        ),
        (
            '<field name="other">x</field>',
            {"verb": "list"},
            ('field name="other"', "a match of osregex `x`", "not there"),
        ),
        (
            "<srcip>10.0.0.0/8</srcip>",
            {"srcip": "1.1.1.1"},
            ("srcip", "10.0.0.0/8", "1.1.1.1"),
        ),
        (
            "<srcip>!10.0.0.0/8</srcip>",
            {"srcip": "10.1.1.1"},
            ("srcip", "none of 10.0.0.0/8", "10.1.1.1"),
        ),
        ("<action>drop</action>", {"action": "pass"}, ("action", "'drop'", "pass")),
        (
            "<srcport>^80$</srcport>",
            {"srcport": "81"},
            ("srcport", "a match of osmatch `^80$`", "81"),
        ),
        (
            '<list field="verb">etc/lists/l</list>',
            {"verb": "x"},
            ('list field="verb"', "match_key", "x"),
        ),
        ("<time>13:00 - 14:30</time>", {}, ("time", "13:00 to 14:30", "12:00")),
        ("<weekday>sunday</weekday>", {}, ("weekday", "sunday", "monday")),
        ("<decoded_as>json-msgraph</decoded_as>", {}, ("decoded_as", "json-msgraph", "json")),
        (
            "<compiled_rule>x</compiled_rule>",
            {},
            ("rule", "something Tocsin does not support", "never true"),
        ),
    ],
    ids=str,
)
def test_the_first_condition_that_fails(
    content: str, document: dict[str, object], expected: tuple[str, str, str]
) -> None:
    assert stop(content, document or {"n": "longest"}) == Stop(*expected)


def test_a_short_log() -> None:
    found = stop("<match>a</match>", {"verb": "x"}, ' maxsize="1000"')
    assert found == Stop("maxsize", "at least 1000 bytes", "13 bytes")


def test_a_long_value_is_shortened() -> None:
    seen = stop('<field name="verb">get</field>', {"verb": "x" * 100_000}).seen
    assert len(seen) < 300
    assert seen.endswith("(100000 characters)")


def test_a_rule_that_is_too_costly_says_so() -> None:
    costly = '<regex type="pcre2">(a|aa)+\\1c</regex>'
    verb = "a" * 100_000 + "c"
    assert stop(costly, {"verb": verb}).seen == "too costly to tell: not evaluated"


def test_what_was_seen_before() -> None:
    often = rule(100001, 3, "<match>a</match>") + (
        '<rule id="100010" level="10" frequency="3" timeframe="60">'
        "<if_matched_sid>100001</if_matched_sid><description>often</description></rule>"
    )
    session = installed(often).session(Clock(), why=True)
    told = []
    for _ in range(4):
        stops = {tried.rule.id: tried.stopped for tried in session.feed(b'{"a":1}').tried}
        told.append(stops[100010])
    asks = "3 events like this one within 60 s"
    assert told[0] == Stop("frequency", asks, "1, this one included")
    assert told[2] is None
    assert told[3] == Stop(
        "frequency", asks, "3, this one included, some of them used by a rule that fired"
    )


@pytest.mark.parametrize("element", ["if_fts", "check_diff"])
def test_what_is_not_new(element: str) -> None:
    found = stop(f"<{element}/>", {"a": "b"})
    assert found.element == element


def test_nothing_is_told_unless_asked() -> None:
    result = installed(rule(100001, 3, "<match>zz</match>")).session(Clock()).feed(b'{"a":1}')
    assert all(tried.stopped is None for tried in result.tried)


DECODERS = (
    '<decoder name="k"><parent>json</parent><prematch>"kind"</prematch>'
    '<regex type="pcre2">"name": "(\\w+)"</regex><order>n</order></decoder>'
    '<decoder name="k"><parent>json</parent>'
    '<regex type="pcre2" offset="after_regex">"ns": "(\\w+)"</regex><order>ns</order></decoder>'
)


def test_decoders_that_were_tried() -> None:
    decoders = installed("", DECODERS).decoders
    log = b'{"kind": 1, "ns": "before", "name": "x"}'
    tried = [(one.decoder.name, one.stopped) for one in tried_decoders(decoders, log)]
    names = [name for name, _ in tried]
    assert names == ["json-msgraph", "json", "k", "k", "k"]
    assert [stopped is None for _, stopped in tried] == [False, True, True, True, False]
    last = tried[-1][1]
    assert last is not None
    assert (last.element, last.seen) == ("regex", 'the log, 1 bytes, without `"ns": "`')


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ('"verb": "create".+"a": {"b"', ('"verb": "create"', '"a": {"b"')),
        (r"a\.b\d+c(x|y)d", ("a.b", "c", "d")),
        ("ab*c+d?e{2}f", ("a", "f")),
        ("^x[|(]y$", ("x", "y")),
        ("a|b", ()),
        ("(?i)abc", ()),
        ("(abc", ()),
        ("[abc", ()),
        (r"\Qa.b\E", ()),
    ],
)
def test_plain_texts_of_a_pattern(pattern: str, texts: tuple[str, ...]) -> None:
    found = tuple(piece.text for piece in pieces(pattern) if piece.text)
    assert found == texts


PARTS = st.sampled_from(["a", "b", "\\d", "[ab]", "(a|b)", "a*", "b+", "a{2}", ".", "(?:ab)", "|"])


@given(st.lists(PARTS, max_size=6), st.text("ab0|", max_size=8))
def test_nothing_is_missing_from_a_match(parts: list[str], text: str) -> None:
    pattern = "".join(parts)
    expression = compile_expression("pcre2", pattern)
    if expression.matches(text.encode()):
        assert missing(expression, text) is None


def test_only_what_all_matches_have_is_required() -> None:
    assert required(compile_expression("pcre2", "abc")) == ("abc",)
    assert required(compile_expression("pcre2", "abc", negate=True)) == ()
    assert required(compile_expression("osregex", "abc")) == ()
