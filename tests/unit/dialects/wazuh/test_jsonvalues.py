import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.dialects.wazuh.jsonvalues import (
    NotJsonError,
    at_least,
    number_text,
    printed,
    read_value,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.5, "1.500000"),
        (1.5e-7, "0.000000"),
        (1e3, "1000"),
        (5.0, "5"),
        (-0.0, "0"),
        (2147483647.0, "2147483647"),
        (2147483648.0, "2147483648.000000"),
        (-2147483648.0, "-2147483648"),
        (4294967296.0, "4294967296.000000"),
        (12345678901234567890.0, "12345678901234567168.000000"),
        (math.inf, "inf"),
    ],
)
def test_numbers_as_fields(number: float, text: str) -> None:
    assert number_text(number) == text


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ('[{"name":"c","n":1},2]', '[{\n\t\t"name":\t"c",\n\t\t"n":\t1\n\t}, 2]'),
        ("[{}]", "[{\n\t}]"),
        ("[[1],[]]", "[[1], []]"),
        ("[1700000000000, 0.1, 1e300]", "[1700000000000, 0.1, 1e+300]"),
        ("[0.30000000000000004]", "[0.3]"),
        ("[0.1234567890123456]", "[0.12345678901234559]"),
        (r'["a\/b\u001f\t\"é"]', '["a/b\\u001f\\t\\"é"]'),
        (r'["a\u0000b"]', '["a"]'),
    ],
)
def test_arrays_as_text(document: str, text: str) -> None:
    assert printed(read_value(document.encode())) == text


@given(JSON)
def test_what_is_printed_can_be_read(value: object) -> None:
    text = json.dumps(value)
    if "\\u0000" in text or "\\ud" in text:
        return
    close = json.loads(printed(read_value(text.encode())))
    assert json.dumps(close, sort_keys=True) == json.dumps(close, sort_keys=True)
    assert shape(close) == shape(json.loads(text))


def shape(value: object) -> object:
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value) if isinstance(value, bool) else not isinstance(value, (int, float))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b'{"a":"1",}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":"\\ud83d"}', b"\xff"],
)
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(NotJsonError):
        read_value(text)


def test_what_follows_a_document_is_ignored() -> None:
    assert read_value(b' {"a":"1"}{"b":"2"} tail') == (("a", "1"),)


def test_keys_may_repeat() -> None:
    assert read_value(b'{"a":"1","a":"2"}') == (("a", "1"), ("a", "2"))


def test_pairs_of_surrogates_and_bytes_that_are_no_utf8_are_text() -> None:
    assert read_value(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"
    assert read_value(b'"\xff"') == "\udcff"


def test_nesting_without_end_is_no_json() -> None:
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    with pytest.raises(NotJsonError):
        read_value(deep)


def test_an_array_as_deep_as_can_be_read_is_printed() -> None:
    deep = "[" * 500 + "]" * 500
    assert printed(read_value(deep.encode())) == deep


@given(JSON, st.integers(0, 60))
def test_a_text_is_as_long_as_it_is_said_to_be_at_least(document: object, length: int) -> None:
    value = read_value(json.dumps(document).encode())
    if at_least(value, length):
        assert len(printed(value)) >= length


def test_of_a_large_array_only_the_beginning_is_looked_at() -> None:
    value = read_value(json.dumps([{"a": [1, "xx", None]}] * 10).encode())
    assert at_least(value, 40)
    assert not at_least([], 3)
