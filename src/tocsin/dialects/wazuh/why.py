"""Why a rule did not match: the first of its conditions that failed, and what it saw."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from tocsin.dialects.wazuh import conditions as on
from tocsin.dialects.wazuh.clocks import DAYS
from tocsin.dialects.wazuh.correlate import Correlation, alike
from tocsin.dialects.wazuh.event import Event
from tocsin.dialects.wazuh.expressions import BudgetSpent, Expression
from tocsin.dialects.wazuh.plaintext import missing

# Values are quoted up to here; all of the log is in the output anyway.
MAX_SEEN = 200
NOT_THERE = "not there"


@dataclass(frozen=True, slots=True)
class Stop:
    """What stopped a rule or decoder: the element, what it asks, and what was there instead."""

    element: str
    asks: str
    seen: str


SEEN_BEFORE = Stop("if_fts", "something that is seen for the first time", "seen before")
UNCHANGED = Stop("check_diff", "another log than the last one", "the same log, or the first one")


def stopped_by(conditions: tuple[on.Condition, ...], event: Event) -> Stop | None:
    """Return the first condition that does not hold; None if all of them do."""
    for condition in conditions:
        try:
            if condition.holds(event):
                continue
        except BudgetSpent:
            element, asks, _ = told(condition, event)
            return Stop(element, asks, "too costly to tell: not evaluated")
        return Stop(*told(condition, event))
    return None


def too_few(correlation: Correlation, event: Event, earlier: Iterable[Event]) -> Stop:
    """Return what stopped a correlation: `earlier` are the events it counts, newest first."""
    asks = f"{correlation.frequency} events like this one within {correlation.timeframe} s"
    count = alike(correlation, event, earlier) + 1
    used = ", some of them used by a rule that fired" if count >= correlation.frequency else ""
    return Stop("frequency", asks, f"{count}, this one included{used}")


def asked(expression: Expression) -> str:
    """Return in words what an expression asks of a text."""
    verb = "no match of" if expression.negate else "a match of"
    return f"{verb} {expression.kind} `{expression.pattern}`"


def text_seen(name: str, expression: Expression, text: bytes) -> str:
    """Return what is to say of a text too long to quote: what an expression misses in it."""
    lacks = missing(expression, text.decode("utf-8", "surrogateescape"))
    told = f"{name}, {len(text)} bytes"
    return told if lacks is None else f"{told}, without `{lacks}`"


def shown(value: str | None) -> str:
    """Return a value for a person, shortened."""
    if value is None:
        return NOT_THERE
    return value if len(value) <= MAX_SEEN else f"{value[:MAX_SEEN]}… ({len(value)} characters)"


def told(condition: on.Condition, event: Event) -> tuple[str, str, str]:
    """Return the element of a condition, what it asks, and what it saw."""
    match condition:
        case on.DecodedAs():
            return "decoded_as", condition.name, event.decoded.name or "no decoder"
        case on.InLog():
            seen = text_seen("the log", condition.expression, event.log)
            return condition.element, asked(condition.expression), seen
        case on.InValue():
            seen = shown(event.value(condition.subject))
            return condition.subject, asked(condition.expression), seen
        case on.InField():
            element = f'field name="{condition.name}"'
            return element, asked(condition.expression), shown(event.fields.get(condition.name))
        case on.InList():
            element = f'list field="{condition.subject}"'
            return element, condition.lookup, shown(on.list_value(event, condition.subject))
        case _:
            return _told_of_fixed(condition, event)


def _told_of_fixed(condition: on.Condition, event: Event) -> tuple[str, str, str]:
    local = time.localtime(event.time)
    match condition:
        case on.ActionIs():
            asks = f"{'not ' if condition.negated else ''}{condition.text!r}"
            return "action", asks, shown(event.fields.static.get("action"))
        case on.InNetwork():
            seen = shown(event.fields.static.get(condition.subject))
            return condition.subject, _networks(condition), seen
        case on.AtLeastAsLong():
            return "maxsize", f"at least {condition.size} bytes", f"{len(event.log)} bytes"
        case on.AtTime():
            asks = f"{_clock(condition.start)} to {_clock(condition.end)}"
            outside = "outside of " if condition.negated else ""
            return "time", outside + asks, _clock(local.tm_hour * 60 + local.tm_min)
        case on.OnDays():
            return "weekday", _days(condition.days), _days({local.tm_wday})
        case _:
            return "rule", "something Tocsin does not support", "never true"


def _networks(condition: on.InNetwork) -> str:
    inside, outside = (
        ", ".join(map(str, networks)) for networks in (condition.networks, condition.excluded)
    )
    asks = " and ".join(filter(None, (inside, outside and f"none of {outside}")))
    return f"not {asks}" if condition.negated else asks


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _days(days: frozenset[int] | set[int]) -> str:
    return ", ".join(DAYS[day] for day in sorted(days))
