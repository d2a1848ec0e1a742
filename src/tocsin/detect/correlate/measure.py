"""What a correlation measures in a window of hits, and when it holds. Pure."""

import math
import operator
from collections.abc import Callable, Sequence
from statistics import fmean, median

import msgspec

from tocsin.rules.correlation import (
    Both,
    Comparison,
    Correlation,
    Either,
    Formula,
    Kind,
    Named,
    Neither,
)

_COMPARE: dict[Comparison, Callable[[float, float], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}

_SUMMARIES: dict[Kind, Callable[[list[float]], float]] = {
    "value_sum": math.fsum,
    "value_avg": fmean,
    "value_median": median,
}


class Hit(msgspec.Struct, frozen=True, array_like=True):
    """A rule's hit, as far as correlations remember it.

    Attributes:
        time: of the event, in seconds since the epoch.
        request: digest of the request, the same for all of its stages and copies.
        rule: id of the rule.
        values: texts of the field that the correlation is about.
        evidence: digest of the event.
    """

    time: float
    request: str
    rule: str
    values: tuple[str, ...]
    evidence: str


def holds(correlation: Correlation, hits: Sequence[Hit]) -> bool:
    """Return whether a correlation holds over the hits of a window, in order of time."""
    if correlation.kind == "temporal":
        return _all_there(correlation, hits)
    if correlation.kind == "temporal_ordered":
        return _in_order(correlation.rules, hits)
    measured = measure(correlation, hits)
    limit = correlation.limit
    if measured is None or limit is None:
        return False
    return _COMPARE[limit.comparison](measured, limit.number)


def measure(correlation: Correlation, hits: Sequence[Hit]) -> float | None:
    """Return the number that a correlation is about; None if there are no values for it."""
    if correlation.kind == "event_count":
        return len(hits)
    if correlation.kind == "value_count":
        return len({value for hit in hits for value in hit.values})
    numbers = [number for hit in hits for number in _numbers(hit.values)]
    if not numbers:
        return None
    if correlation.kind == "value_percentile":
        return _percentile(numbers, correlation.percentile)
    return _SUMMARIES[correlation.kind](numbers)


def _numbers(texts: Sequence[str]) -> list[float]:
    """Return the texts that are finite numbers."""
    found = []
    for text in texts:
        try:
            number = float(text)
        except ValueError:
            continue
        if math.isfinite(number):
            found.append(number)
    return found


def _percentile(numbers: list[float], percentile: float) -> float:
    """Return the percentile, between the two nearest numbers in proportion."""
    ordered = sorted(numbers)
    place = (len(ordered) - 1) * percentile / 100
    lower = math.floor(place)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (ordered[upper] - ordered[lower]) * (place - lower)


def _all_there(correlation: Correlation, hits: Sequence[Hit]) -> bool:
    seen = {hit.rule for hit in hits}
    if correlation.formula is not None:
        return _is_true(correlation.formula, seen)
    return seen.issuperset(correlation.rules)


def _is_true(formula: Formula, seen: set[str]) -> bool:
    match formula:
        case Named(rule):
            return rule in seen
        case Both(terms):
            return all(_is_true(term, seen) for term in terms)
        case Either(terms):
            return any(_is_true(term, seen) for term in terms)
        case Neither(term):
            return not _is_true(term, seen)


def _in_order(rules: Sequence[str], hits: Sequence[Hit]) -> bool:
    """Return whether some hits come in the order of the rules, others between them or not."""
    wanted = iter(rules)
    following = next(wanted)
    for hit in hits:
        if hit.rule == following:
            found = next(wanted, None)
            if found is None:
                return True
            following = found
    return False
