"""Query parameters as filters, and filters as links: the URL is the state of a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar, cast, get_args
from urllib.parse import urlencode

from tocsin.model.alert import SEVERITIES, Severity
from tocsin.model.errors import TocsinError
from tocsin.model.incident import STATES, IncidentFilter, State
from tocsin.model.ports import AlertFilter, Hidden
from tocsin.model.response import STATES as RESPONSE_STATES
from tocsin.model.response import ResponseFilter
from tocsin.model.response import State as ResponseState
from tocsin.model.times import parse_moment

Name = TypeVar("Name", bound=str)

MAX_VALUE = 1000
MAX_TEXT = 200
_HIDDEN: tuple[Hidden, ...] = get_args(Hidden)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter as the OpenAPI document shows it."""

    name: str
    description: str
    values: tuple[str, ...] = ()


_RANGE = (
    Parameter("since", "From when on: an age such as 30m, 24h or 7d, or a time (RFC 3339)."),
    Parameter("until", "Until when, likewise; not included."),
)
_PAGING = (
    Parameter("before", "Go on where another page ended: take it from that page's `next`."),
    Parameter("limit", "How many rows."),
)
ALERT_PARAMETERS = (
    *_RANGE,
    Parameter("severity", "Lowest severity.", SEVERITIES),
    Parameter("cluster", "Only this cluster."),
    Parameter("rule", "Only this rule id."),
    Parameter("user", "Only this user."),
    Parameter("namespace", "Only this namespace."),
    Parameter("technique", "Only this ATT&CK technique, with its sub-techniques."),
    Parameter("incident", "Only alerts of this incident."),
    Parameter("q", "Only what contains this text, in any case of letters."),
    Parameter("hidden", "Whether to show alerts that are suppressed or silenced.", _HIDDEN),
    *_PAGING,
)
INCIDENT_PARAMETERS = (
    *_RANGE,
    Parameter("state", "Only these states, with commas between.", STATES),
    Parameter("severity", "Lowest severity.", SEVERITIES),
    Parameter("cluster", "Only this cluster."),
    Parameter("actor", "Only incidents of this user."),
    Parameter("q", "Only what contains this text, in any case of letters."),
    *_PAGING,
)
RESPONSE_PARAMETERS = (
    Parameter("state", "Only these states, with commas between.", RESPONSE_STATES),
    Parameter("cluster", "Only this cluster."),
    Parameter("action", "Only this action."),
    Parameter("alert", "Only responses to this alert."),
    *_PAGING,
)


def alert_filter(query: Mapping[str, str], now: float) -> AlertFilter:
    """Return the filter that the parameters mean; empty ones restrict nothing.

    Raises:
        TocsinError: a parameter means nothing, with a sentence that says why.
    """
    return AlertFilter(
        since=moment(query, "since", now),
        until=moment(query, "until", now),
        min_severity=severity(query),
        cluster=text(query, "cluster"),
        rule_id=text(query, "rule"),
        user=text(query, "user"),
        namespace=text(query, "namespace"),
        technique=text(query, "technique"),
        incident=text(query, "incident"),
        text=text(query, "q", MAX_TEXT),
        hidden=one_of(query, "hidden", _HIDDEN) or "without",
    )


def incident_filter(query: Mapping[str, str], now: float) -> IncidentFilter:
    """Return the filter that the parameters mean; empty ones restrict nothing.

    Raises:
        TocsinError: a parameter means nothing, with a sentence that says why.
    """
    return IncidentFilter(
        since=moment(query, "since", now),
        until=moment(query, "until", now),
        states=states(query),
        min_severity=severity(query),
        cluster=text(query, "cluster"),
        actor=text(query, "actor"),
        text=text(query, "q", MAX_TEXT),
    )


def response_filter(query: Mapping[str, str]) -> ResponseFilter:
    """Return the filter that the parameters mean; empty ones restrict nothing.

    Raises:
        TocsinError: a parameter means nothing, with a sentence that says why.
    """
    alert = text(query, "alert")
    return ResponseFilter(
        states=cast("tuple[ResponseState, ...]", _several(query, "state", RESPONSE_STATES)),
        cluster=text(query, "cluster"),
        action=text(query, "action"),
        alerts=(alert,) if alert else (),
    )


def query_of(where: AlertFilter) -> dict[str, str]:
    """Return the parameters that mean this filter."""
    pairs = {
        "since": _written(where.since),
        "until": _written(where.until),
        "severity": "" if where.min_severity == "info" else where.min_severity,
        "cluster": where.cluster,
        "rule": where.rule_id,
        "user": where.user,
        "namespace": where.namespace,
        "technique": where.technique,
        "incident": where.incident,
        "q": where.text,
        "hidden": "" if where.hidden == "without" else where.hidden,
    }
    return {name: value for name, value in pairs.items() if value}


def link(path: str, query: Mapping[str, object]) -> str:
    """Return the path with a query; empty values are left out, all text is encoded."""
    pairs = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(pairs)}" if pairs else path


def text(query: Mapping[str, str], name: str, longest: int = MAX_VALUE) -> str | None:
    """Return a parameter's text, or None where it is empty or absent.

    Raises:
        TocsinError: it is too long.
    """
    value = query.get(name, "")
    if len(value) > longest:
        message = f"{name} is longer than {longest} characters"
        raise TocsinError(message)
    return value or None


def moment(query: Mapping[str, str], name: str, now: float) -> datetime | None:
    """Return a parameter's moment, or None where it is empty or absent.

    Raises:
        TocsinError: it is neither an age nor a time.
    """
    value = text(query, name)
    return parse_moment(value, datetime.fromtimestamp(now, UTC), name) if value else None


def number(query: Mapping[str, str], name: str) -> int | None:
    """Return a parameter's whole number, or None where it is empty or absent.

    Raises:
        TocsinError: it is no whole number from 0 on, or one that no row has.
    """
    value = text(query, name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS):
        message = f"{name} {value!r} is no whole number"
        raise TocsinError(message)
    return int(value)


def severity(query: Mapping[str, str]) -> Severity:
    """Return the lowest severity to show, `info` where none is given.

    Raises:
        TocsinError: there is no such severity.
    """
    return one_of(query, "severity", SEVERITIES) or "info"


def states(query: Mapping[str, str]) -> tuple[State, ...]:
    """Return the states to show; none means all.

    Raises:
        TocsinError: there is no such state.
    """
    return cast("tuple[State, ...]", _several(query, "state", STATES))


def _several(query: Mapping[str, str], name: str, known: Sequence[str]) -> tuple[str, ...]:
    parts = tuple(part for part in (text(query, name) or "").split(",") if part)
    for part in parts:
        one_of({name: part}, name, known)
    return parts


def one_of(query: Mapping[str, str], name: str, known: Sequence[Name]) -> Name | None:
    """Return a parameter that is one of some words, or None where it is empty or absent.

    Raises:
        TocsinError: it is none of them.
    """
    value = text(query, name)
    if value is not None and value not in known:
        message = f"{name} {value!r} is not one of {', '.join(known)}"
        raise TocsinError(message)
    return cast("Name | None", value)


def _written(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


# A row number of SQLite has up to 19 digits.
_DIGITS = 18
