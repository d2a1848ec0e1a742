"""Cutting a list into its items without decoding it, wherever the pieces end."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.rules.strategies import JSON
from tocsin.normalize import split
from tocsin.normalize.split import ItemSplitter, Oversized

TRICKY = st.sampled_from(
    ['"items":[', "\\", '\\"', "}", "]", "[{", "items", ",", "ä\u2028", "\x00"]
)
VALUES = JSON | TRICKY | st.dictionaries(TRICKY, TRICKY | JSON, max_size=3)


def pieces_of(body: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(body) + 1) for cut in cuts})
    return [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]


def items_of(pieces: list[bytes]) -> list[object]:
    splitter = ItemSplitter()
    found = [item for piece in pieces for item in splitter.feed(piece)]
    assert splitter.complete
    assert not splitter.rest()
    return [json.loads(item) if isinstance(item, bytes) else item for item in found]


CUTS = st.lists(st.integers(0, 10_000), max_size=8)
INDENT = st.sampled_from([None, 1])


@given(st.lists(VALUES, max_size=5), CUTS, INDENT)
def test_array_is_cut_into_its_elements(items: list[object], cuts: list[int], indent: int) -> None:
    body = json.dumps(items, indent=indent).encode()
    assert items_of(pieces_of(body, cuts)) == items


@given(
    st.lists(VALUES, max_size=4),
    st.dictionaries(st.text(max_size=6).filter(lambda key: key != "items"), VALUES, max_size=3),
    st.dictionaries(st.text(max_size=6).filter(lambda key: key != "items"), VALUES, max_size=3),
    CUTS,
)
def test_list_is_cut_whatever_stands_around(
    items: list[object], before: dict[str, object], after: dict[str, object], cuts: list[int]
) -> None:
    members = [*before.items(), ("items", items), *after.items()]
    body = "{" + ",".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in members) + "}"
    assert items_of(pieces_of(body.encode(), cuts)) == items


@given(st.binary(max_size=200), CUTS)
def test_any_bytes_are_taken(body: bytes, cuts: list[int]) -> None:
    splitter = ItemSplitter()
    for piece in pieces_of(body, cuts):
        assert all(isinstance(item, bytes) for item in splitter.feed(piece))
    assert isinstance(splitter.rest(), bytes)


def test_key_may_be_cut_in_two() -> None:
    assert items_of([b'{"it', b'ems":[1,', b"2]}"]) == [1, 2]
    assert items_of([b'{"xxi', b'tems":[1],"items":[2]}']) == [2]


def test_nested_lists_of_the_name_are_not_items() -> None:
    assert items_of([b'{"a":{"items":[1]},"items":[{"items":[2]}],"b":["items",[3]]}']) == [
        {"items": [2]}
    ]


def test_unfinished_item_is_the_rest() -> None:
    splitter = ItemSplitter()
    assert list(splitter.feed(b'{"items":[{"a":1},{"b":"]}')) == [b'{"a":1}']
    assert splitter.rest() == b'{"b":"]}'
    assert not splitter.complete


def test_too_large_item_is_dropped_with_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "MAX_ITEM_BYTES", 100)
    large = b'{"a":"%s"}' % (b'\\"' * 5000)
    body = b"[1," + large + b",[2]]"
    for size in (1, 7, 64):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        assert items_of(pieces) == [1, Oversized(len(large)), [2]]


def test_memory_holds_one_piece_and_one_item_only() -> None:
    splitter = ItemSplitter()
    assert not list(splitter.feed(b'{"items":['))
    for _ in range(200):
        assert len(list(splitter.feed(b'{"a":"b"},' * 100))) == 100
        assert not splitter._begun
    assert not list(splitter.feed(b'], "x": "'))
    for _ in range(200):
        assert not list(splitter.feed(b"\\" * 999 + b'"'))
        assert not splitter._begun


def test_memory_holds_no_item_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "MAX_ITEM_BYTES", 100)
    splitter = ItemSplitter()
    assert not list(splitter.feed(b'{"items":["'))
    for _ in range(200):
        assert not list(splitter.feed(b"x" * 30))
        assert sum(map(len, splitter._begun)) <= 100
    assert list(splitter.feed(b'"]}')) == [Oversized(6002)]
    assert splitter.complete
