"""The one rule representation: what every dialect is compiled into.

A rule is a condition tree over the fields of one event, plus what to say when it holds.
The tree is plain data (it can be written as JSON) and every leaf knows the file and line
it came from. What the operators mean is in `operators`, the reference evaluation of the
tree in `interpret`, the fast one in `compile`.
"""

from typing import Literal

import msgspec

from tocsin.model.alert import Severity, Technique
from tocsin.model.errors import Location

Grade = Literal["core", "extended", "audit"]
"""For whom a shipped rule is: `core` is on by default and quiet; `extended` is noisier, on
request; `audit` notes facts, on by default, that open no incident by themselves."""

DEFAULT_GRADES: tuple[Grade, ...] = ("core", "audit")

How = Literal["equals", "startswith", "endswith", "contains"]
Order = Literal["lt", "lte", "gt", "gte"]
TimeUnit = Literal["minute", "hour", "day", "week", "month", "year"]


class TextIs(msgspec.Struct, frozen=True, tag="text"):
    """The value's text equals, starts with, ends with or contains one of `texts`.

    With `fold`, upper and lower case do not count; `texts` are then in lower case.
    """

    how: How
    texts: tuple[str, ...]
    fold: bool


class Pattern(msgspec.Struct, frozen=True, tag="pattern"):
    """An RE2 expression (flags inline) is found somewhere in the value's text."""

    regex: str


class InNetwork(msgspec.Struct, frozen=True, tag="network"):
    """The value is an IP address within one of the networks (CIDR notation)."""

    networks: tuple[str, ...]


class Compare(msgspec.Struct, frozen=True, tag="compare"):
    """The value is a number, or text of one, on the given side of `number`."""

    order: Order
    number: float | int


class InTime(msgspec.Struct, frozen=True, tag="time"):
    """The value is an RFC 3339 time whose `unit` is `number` (ISO week for `week`), in UTC."""

    unit: TimeUnit
    number: int


class Present(msgspec.Struct, frozen=True, tag="present"):
    """The field has a value (`wanted`), or is missing or null (not `wanted`)."""

    wanted: bool


class SameAs(msgspec.Struct, frozen=True, tag="same"):
    """The value relates to some value of another field, whatever the case of letters."""

    path: str
    how: How


Operator = TextIs | Pattern | InNetwork | Compare | InTime | Present | SameAs


class Test(msgspec.Struct, frozen=True, tag="test"):
    """Some value at `path` satisfies `op`; dots descend, lists fan out."""

    __test__ = False  # not a test case, whatever pytest thinks

    path: str
    op: Operator
    at: Location


class Anywhere(msgspec.Struct, frozen=True, tag="anywhere"):
    """Some value of the event, at any depth, satisfies `op`."""

    op: Operator
    at: Location


class Each(msgspec.Struct, frozen=True, tag="each"):
    """One and the same element of the list at `path` satisfies `term`, whose paths start there."""

    path: str
    term: "Expr"
    at: Location


class AllOf(msgspec.Struct, frozen=True, tag="all"):
    """Every term holds; true when there is none."""

    terms: tuple["Expr", ...]


class AnyOf(msgspec.Struct, frozen=True, tag="any"):
    """At least one term holds; false when there is none."""

    terms: tuple["Expr", ...]


class Not(msgspec.Struct, frozen=True, tag="not"):
    """The term does not hold; true for a test on a field that is missing."""

    term: "Expr"


Expr = AllOf | AnyOf | Not | Test | Each | Anywhere


class FirstSeen(msgspec.Struct, frozen=True):
    """The rule alerts only on values of the fields `by` that it has not met before.

    It learns in silence for `learning` seconds from its cluster's first event on, and forgets
    values that it has not met for `forget` seconds.
    """

    by: tuple[str, ...]
    learning: float
    forget: float


class Suppress(msgspec.Struct, frozen=True):
    """Of alerts with the same values of the fields `by`, `after` pass within `window` seconds."""

    by: tuple[str, ...]
    window: float
    after: int = 1


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of any dialect, ready to be compiled.

    `id` and `level` are the dialect's own; `message` is a template with `$(field)`
    placeholders; `fields` names what an alert carries besides actor and target. `catalogue`
    are the known detections that a shipped rule stands for, `needs` is the least audit level
    at which it works in full. A `silent` rule gives no alerts: it counts for correlations.
    """

    id: str
    title: str
    dialect: str
    severity: Severity
    level: str
    match: Expr
    at: Location
    message: str
    fields: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    attack: tuple[Technique, ...] = ()
    grade: Grade = "core"
    catalogue: tuple[str, ...] = ()
    needs: str | None = None
    first_seen: FirstSeen | None = None
    suppress: Suppress | None = None
    silent: bool = False
