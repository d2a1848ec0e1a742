"""Query parameters of the pages about events."""

from collections.abc import Mapping

from tocsin.model.errors import TocsinError
from tocsin.model.eventrow import parse_key
from tocsin.model.events import EventFilter, EventKey
from tocsin.web.filters import MAX_TEXT, Parameter, moment, number, text

EVENT_PARAMETERS = (
    Parameter("since", "Received from when on: an age such as 30m or 24h, or a time (RFC 3339)."),
    Parameter("until", "Received until when, likewise; not included."),
    Parameter("cluster", "Only this cluster."),
    Parameter("user", "Only this user, asking or impersonated."),
    Parameter("verb", "Only this verb."),
    Parameter("resource", "Only this resource, such as pods, or pods/exec."),
    Parameter("namespace", "Only this namespace."),
    Parameter("name", "Only objects of this name."),
    Parameter("code", "Only answers with this HTTP status."),
    Parameter("audit_id", "Only this Audit-ID."),
    Parameter("q", "Only what contains this text, in any case of letters."),
    Parameter("before", "Go on where another page ended: take it from that page's `next`."),
    Parameter("limit", "How many rows."),
)


def event_filter(query: Mapping[str, str], now: float) -> EventFilter:
    """Return the filter that the parameters mean; empty ones restrict nothing.

    Raises:
        TocsinError: a parameter means nothing, with a sentence that says why.
    """
    verb = text(query, "verb")
    return EventFilter(
        since=moment(query, "since", now),
        until=moment(query, "until", now),
        cluster=text(query, "cluster"),
        verb=verb.lower() if verb else None,
        resource=text(query, "resource"),
        namespace=text(query, "namespace"),
        name=text(query, "name"),
        user=text(query, "user"),
        code=number(query, "code"),
        audit_id=text(query, "audit_id"),
        text=text(query, "q", MAX_TEXT),
    )


def before_key(query: Mapping[str, str]) -> EventKey | None:
    """Return where to go on, None for the newest.

    Raises:
        TocsinError: it is no place of an event.
    """
    value = text(query, "before")
    key = parse_key(value) if value else None
    if value and key is None:
        message = f"before {value!r} is no place of an event; take it from `next`"
        raise TocsinError(message)
    return key
