"""Windows slide with the events' time, tell once per crossing, and forget."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import HERE
from tocsin.detect.correlate.measure import Hit, holds, measure
from tocsin.detect.correlate.window import LATENESS_SECONDS, LEAST_HITS, Window
from tocsin.rules.correlation import (
    Both,
    Comparison,
    Correlation,
    Either,
    Formula,
    Kind,
    Limit,
    Named,
    Neither,
)

MINUTE = 60.0


def correlation(kind: Kind = "event_count", number: float = 3, **parts: object) -> Correlation:
    given: dict[str, object] = {
        "id": "c",
        "title": "C",
        "dialect": "sigma",
        "severity": "high",
        "level": "high",
        "at": HERE,
        "message": "C",
        "kind": kind,
        "rules": ("a",),
        "timespan": MINUTE,
        "limit": Limit("gte", number),
    }
    return Correlation(**given | parts)  # type: ignore[arg-type]


def hit(time: float, rule: str = "a", *values: str, request: str = "") -> Hit:
    return Hit(time, request or f"{rule}{time}{values}", rule, values, f"digest {time}")


def told(one: Correlation, *hits: Hit) -> list[float]:
    """Return the times of the hits that complete the correlation."""
    window = Window()
    return [found.time for found in hits if window.add(one, found) is not None]


def at(*times: float) -> list[Hit]:
    return [hit(time) for time in times]


def test_a_count_is_told_when_it_crosses_and_not_again_while_it_holds() -> None:
    assert told(correlation(), *at(0, 10, 20, 30, 40)) == [20]


def test_it_is_told_again_once_it_has_stopped() -> None:
    assert told(correlation(), *at(0, 1, 2, 200, 201, 202)) == [2, 202]


def test_the_window_slides() -> None:
    assert told(correlation(), *at(0, 59, 61, 118)) == [118]
    assert told(correlation(), *at(0, 30, 60)) == []
    assert told(correlation(), *at(0, 30, 59.9)) == [59.9]


def test_the_same_request_counts_once_and_has_the_same_answer() -> None:
    copies = [hit(0, request="r"), hit(1, request="r"), hit(2, request="r")]
    assert told(correlation(), *copies) == []
    assert told(correlation(), *at(0, 1, 2), *at(2)) == [2, 2]
    assert told(correlation(), *at(0, 1, 2), *at(1)) == [2]


def test_a_late_hit_may_complete_a_window_of_before() -> None:
    assert told(correlation(), *at(0, 1, 100, 2)) == [2]


def test_a_hit_that_comes_too_late_is_not_counted() -> None:
    late = -LATENESS_SECONDS - 1
    window, one = Window(), correlation()
    for found in at(0, 60):
        window.add(one, found)
    assert window.is_late(one, hit(late))
    assert window.add(one, hit(late)) is None
    assert len(window.hits) == 2


def test_what_is_remembered_of_a_key_is_bounded() -> None:
    window = Window()
    for number in range(3 * LEAST_HITS):
        window.add(correlation(number=LEAST_HITS), hit(number / 1000))
    assert len(window.hits) == 2 * LEAST_HITS
    for number in range(100):
        window.add(correlation(), hit(1000.0 + number))
    assert window.hits[0].time >= 1099 - MINUTE - LATENESS_SECONDS


def test_the_hits_of_the_window_are_its_evidence() -> None:
    window, one = Window(), correlation()
    found = [window.add(one, each) for each in at(0, 100, 101, 102)][-1]
    assert found is not None
    assert [each.time for each in found] == [100, 101, 102]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("event_count", ["1", "1", "x"], 3),
        ("value_count", ["1", "1", "x"], 2),
        ("value_sum", ["1.5", "2", "x"], 3.5),
        ("value_avg", ["1", "2", "6"], 3),
        ("value_median", ["1", "9", "2"], 2),
        ("value_percentile", ["0", "10", "20", "30", "40"], 36),
        ("value_sum", ["x", "nan", "inf"], None),
    ],
)
def test_each_kind_measures_its_own(kind: Kind, values: list[str], expected: float | None) -> None:
    hits = [hit(number, "a", value) for number, value in enumerate(values)]
    assert measure(correlation(kind, percentile=90), hits) == expected


@pytest.mark.parametrize(
    ("comparison", "counts"),
    [("gt", "-+"), ("gte", "++"), ("lt", "--"), ("lte", "+-"), ("eq", "+-"), ("neq", "-+")],
)
def test_limits_compare(comparison: Comparison, counts: str) -> None:
    one = correlation(limit=Limit(comparison, 3))
    found = [holds(one, at(*range(number))) for number in (3, 4)]
    assert found == [sign == "+" for sign in counts]
    assert comparison in get_args(Comparison)


@pytest.mark.parametrize(
    ("order", "unordered", "ordered"),
    [
        ("ab", True, True),
        ("ba", True, False),
        ("a", False, False),
        ("bab", True, True),
        ("aab", True, True),
        ("bbb", False, False),
    ],
)
def test_temporal_kinds_ask_for_all_rules_in_any_or_their_order(
    order: str, *, unordered: bool, ordered: bool
) -> None:
    hits = [hit(number, rule) for number, rule in enumerate(order)]
    for kind, expected in (("temporal", unordered), ("temporal_ordered", ordered)):
        one = correlation(kind, rules=("a", "b"), limit=None)  # type: ignore[arg-type]
        assert holds(one, hits) is expected


@pytest.mark.parametrize(
    ("formula", "seen", "expected"),
    [
        (Both((Named("a"), Neither(Named("b")))), "a", True),
        (Both((Named("a"), Neither(Named("b")))), "ab", False),
        (Either((Named("a"), Named("b"))), "b", True),
        (Either((Named("a"), Named("b"))), "c", False),
    ],
)
def test_formulas_ask_which_rules_have_hits(formula: Formula, seen: str, *, expected: bool) -> None:
    one = correlation("temporal", limit=None, formula=formula)
    assert holds(one, [hit(number, rule) for number, rule in enumerate(seen)]) is expected


@given(st.lists(st.integers(0, 300), max_size=40, unique=True).map(sorted), st.integers(1, 5))
def test_in_order_it_is_told_as_a_naive_count_would(times: list[int], number: int) -> None:
    expected, held = [], False
    for index, time in enumerate(times):
        now = sum(time - MINUTE < one <= time for one in times[: index + 1]) >= number
        if now and not held:
            expected.append(float(time))
        held = now
    assert told(correlation(number=number), *at(*map(float, times))) == expected


@given(st.permutations([0.0, 10.0, 20.0, 200.0, 210.0, 220.0]))
def test_order_of_arrival_never_hides_a_crossing(times: list[float]) -> None:
    near = sorted(times, key=lambda time: (time > 100, times.index(time)))
    assert len(told(correlation(), *at(*near))) == 2
