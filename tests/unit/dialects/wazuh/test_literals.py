"""Whatever an expression finds in the text that rules see, its terms find in what was received."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dialects.wazuh.jsontexts import random_members, spelled
from tocsin.dialects.wazuh.expressions import Kind, PatternError, compile_expression
from tocsin.dialects.wazuh.literals import ODD, key_term, terms_of
from tocsin.dialects.wazuh.output import reserialised
from tocsin.rules.bytepatterns import LinearPattern

odd = LinearPattern(ODD)


def pattern_for(text: str, rng: random.Random, kind: Kind) -> str:
    """Return a pattern that finds two parts of a text, in one of the three languages."""
    first = rng.randrange(len(text))
    second = rng.randrange(first, len(text))
    parts = text[first : first + rng.randrange(1, 25)], text[second : second + rng.randrange(1, 25)]
    if kind == "osmatch":
        return rng.choice((parts[0].lower(), f"{parts[0]}|zzz"))
    if kind == "osregex":
        return re.sub(r"([()\\$<|])", r"\\\1", parts[0])
    one, two = (re.escape(part) for part in parts)
    between = ".*" if second >= first + len(parts[0]) else "|"
    forms = (f"{one}{between}{two}", f"({one})+", f"(?:{one}|zzz)", f"(?i){one.swapcase()}", one)
    return rng.choice(forms)


@pytest.mark.parametrize("kind", ["osmatch", "osregex", "pcre2"])
@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_hit_is_hidden(kind: Kind, seed: int) -> None:
    rng = random.Random(seed)
    raw = spelled(random_members(rng, 3), rng, plainly=rng.random() < 0.5).encode()
    log = reserialised(raw)
    try:
        expression = compile_expression(kind, pattern_for(log.decode(), rng, kind))
    except PatternError:
        return
    if expression.matches(log) and not odd.matches(raw):
        missing = [term for term in terms_of(expression) if not found(term.source, raw)]
        assert not missing, (raw, expression.pattern)


def found(source: bytes, raw: bytes) -> bool:
    return LinearPattern(source).matches(raw)


def weights(kind: Kind, pattern: str) -> list[int]:
    return [term.weight for term in terms_of(compile_expression(kind, pattern))]


def test_the_common_rules_have_terms_that_tell_events_apart() -> None:
    pattern = '"verb": "create".+"securityContext": {"privileged": true}'
    terms = terms_of(compile_expression("pcre2", pattern))
    compact = b'{"verb":"create","x":{"securityContext":{"privileged":true}}}'
    spaced = b'{"verb" :\t"create", "x": {"securityContext": {"privileged": true}}}'
    other = b'{"verb":"create","x":{"securityContext":{"privileged":false}}}'
    assert [[found(term.source, raw) for term in terms] for raw in (compact, spaced, other)] == [
        [True, True, True],
        [True, True, True],
        [True, True, False],
    ]


def test_what_cannot_be_relied_on_is_no_term() -> None:
    assert weights("pcre2", '"code": 403, "') == [len('"code":')]
    assert weights("pcre2", "1.50") == []
    assert weights("pcre2", '"a": 1, "b": 2') == [4, 4]
    assert weights("pcre2", '(?:"verb": "x")?') == []
    assert weights("pcre2", '(?:"verb"|x*)') == []
    assert weights("pcre2", r"(\w)\1 failure") == [len("failure")]
    assert weights("osmatch", "!failure") == []
    assert weights("osmatch", "failure||error") == []
    assert weights("osmatch", "failure|error") == [len("error")]
    assert weights("osregex", r"failure of \w+ in") == [len("failure of")]


def test_escapes_of_go_are_no_oddity() -> None:
    assert not odd.matches(rb'{"uri":"/a?b\u0026c\u003cd\u003e"}')
    for text in (rb'"\u0061"', rb'"\u0027"', rb'"\u00e9"', rb'"\/"', "é".encode(), rb'"\u003C"'):
        assert odd.matches(text)
    (term,) = terms_of(compile_expression("pcre2", "b&c"))
    assert found(term.source, rb'"a?b\u0026c"')
    assert found(term.source, b'"a?b&c"')


def test_a_key_within_others_or_with_dots() -> None:
    term = key_term("api", "operation", caseless=True)
    assert term is not None
    assert found(term.source, b'{"api":{"x":1,"Operation" :2}}')
    assert found(term.source, b'{"api.operation":2}')
    assert not found(term.source, b'{"apiVersion":{"operation":2}}')
    assert key_term("é") is None
    assert key_term('"') is None
