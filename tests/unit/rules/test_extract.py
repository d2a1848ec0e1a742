"""The generated function of a path finds what the path means."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.rules.strategies import JSON
from tocsin.rules.extract import extractor
from tocsin.rules.paths import MAX_SEGMENTS, MAX_SLASHES, values

SEGMENTS = st.lists(
    st.sampled_from(["a", "b", "b/c", "spec", "labels", "containers", "image", "'", '"', "\\"]),
    max_size=5,
).map(tuple)
PARENTS = st.sampled_from([None, "labels", "annotations", "spec"])


@given(JSON, SEGMENTS, PARENTS)
def test_function_agrees_with_the_meaning_of_paths(
    node: object, segments: tuple[str, ...], parent: str | None
) -> None:
    assert extractor(segments, parent)(node) == list(values(node, segments, parent))


@pytest.mark.parametrize("name", ["\x00", "\n", "'", "{", "}", "__import__('os')", "\\"])
def test_names_are_data(name: str) -> None:
    assert extractor((name, name))({name: {name: 7}}) == [7]


@pytest.mark.parametrize(
    "segments",
    [
        ("a",) * MAX_SEGMENTS,
        ("data",) * MAX_SEGMENTS,
        ("a",) * (MAX_SEGMENTS - 1) + ("b/c",),
        (("a",) * 7 + ("b/c",)) * MAX_SLASHES,
    ],
)
def test_longest_paths_stay_cheap(segments: tuple[str, ...]) -> None:
    started = time.process_time()
    extractor(segments)
    assert time.process_time() - started < 3
