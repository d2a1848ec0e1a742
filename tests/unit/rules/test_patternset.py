"""Many patterns in one search: what is found is what each would find alone."""

import random

import pytest

from tocsin.rules.bytepatterns import LinearPattern, PatternSet
from tocsin.rules.regex import PatternError

SOURCES = [
    rb'"verb"[ \t]*:[ \t]*"delete"',
    b"(?i:error|failure)",
    rb'"api"[ \t]*:(?s:.*)"operation"',
    rb"[\x80-\xff]",
    b"abcabd",
    b"bcabc",
]
PARTS = [b'"verb": ', b'"delete"', b"ERROR", b'"api":', b'"operation"', b"\xff", b"abc", b"abd"]


def test_the_same_as_one_by_one_whatever_the_text() -> None:
    together = PatternSet(SOURCES)
    alone = [LinearPattern(source) for source in SOURCES]
    rng = random.Random(1)
    for _ in range(300):
        text = b"".join(rng.choice(PARTS) for _ in range(rng.randrange(40)))
        expected = [index for index, one in enumerate(alone) if one.matches(text)]
        assert sorted(together.found(text)) == expected


def test_nothing_found_and_nothing_to_find() -> None:
    assert list(PatternSet([b"a"]).found(b"b")) == []
    assert list(PatternSet([]).found(b"b")) == []


def test_what_re2_refuses() -> None:
    with pytest.raises(PatternError):
        PatternSet([b"(?=a)"])
