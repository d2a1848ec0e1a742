"""Correlations: rules about several events. What every dialect's are compiled into.

The events are hits of other rules, or of other correlations. What the kinds mean is in
`detect.correlate`.
"""

from typing import Literal

import msgspec

from tocsin.model.alert import Severity, Technique
from tocsin.model.errors import Location
from tocsin.rules.ir import Grade, Suppress

Kind = Literal[
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
]
Comparison = Literal["gt", "gte", "lt", "lte", "eq", "neq"]


class Named(msgspec.Struct, frozen=True, tag="rule"):
    """The rule with this id has hits in the window."""

    rule: str


class Both(msgspec.Struct, frozen=True, tag="and"):
    """Every term holds."""

    terms: tuple["Formula", ...]


class Either(msgspec.Struct, frozen=True, tag="or"):
    """At least one term holds."""

    terms: tuple["Formula", ...]


class Neither(msgspec.Struct, frozen=True, tag="not"):
    """The term does not hold."""

    term: "Formula"


Formula = Named | Both | Either | Neither


class Limit(msgspec.Struct, frozen=True):
    """How what is measured compares with a number."""

    comparison: Comparison
    number: float


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """A rule about several events within `timespan` seconds.

    Attributes:
        id: the dialect's own, as are `title` and `level`.
        message: a template; besides fields of the event that completed the correlation, it may
            name the fields of `group_by`, `count` and `value_count`.
        kind: what is measured.
        rules: ids of the rules and correlations whose hits count.
        group_by: names of fields; hits with the same values belong together.
        paths: where these are in the events of each rule, by rule id, in the order of
            `group_by`.
        field: whose values are counted, summed up and so on; None for kinds without one.
        limit: when it holds; None for temporal kinds.
        percentile: 0 to 100, for the kind that needs it.
        formula: which rules must have hits; None for all of them.
        silent: it only counts for other correlations.
    """

    id: str
    title: str
    dialect: str
    severity: Severity
    level: str
    at: Location
    message: str
    kind: Kind
    rules: tuple[str, ...]
    timespan: float
    group_by: tuple[str, ...] = ()
    paths: dict[str, tuple[str, ...]] = {}
    field: str | None = None
    limit: Limit | None = None
    percentile: float = 50
    formula: Formula | None = None
    tags: tuple[str, ...] = ()
    attack: tuple[Technique, ...] = ()
    grade: Grade = "core"
    catalogue: tuple[str, ...] = ()
    needs: str | None = None
    suppress: Suppress | None = None
    silent: bool = False
