"""One event: what was asked, by whom, its JSON, the alerts it gave, a rule drafted from it."""

from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tocsin.model.errors import TocsinError
from tocsin.model.eventrow import event_row, key_text, parse_key
from tocsin.model.events import FoundEvent
from tocsin.model.ports import AlertFilter
from tocsin.web.draft import PRESET, draft, offered
from tocsin.web.filters import moment, text
from tocsin.web.jsontext import json_text
from tocsin.web.page import Context, Page

MAX_ALERTS = 20
# Stands in the place of secrets in what is shown.
MARK = "[redacted]"

_GONE = "This event is not kept any more, or was not found in time: `spool.retain_hours` and \
`spool.retain_bytes` say how long events are kept."


async def show(context: Context) -> Response:
    """Show the page."""
    found = await _found(context)
    where = AlertFilter(text=found.digest, cluster=found.cluster, hidden="with")
    alerts = await context.read(context.site.alerts.alerts, where, MAX_ALERTS)
    return context.page(
        "event.html",
        found=found,
        row=event_row(found),
        received=datetime.fromtimestamp(found.received, UTC),
        document=json_text(found.shown),
        parts={
            name: json_text(part)
            for name in ("requestObject", "responseObject", "annotations")
            if isinstance(part := found.shown.get(name), dict)
        },
        alerts=alerts,
        fields=offered(found.shown, MARK),
        preset=PRESET,
        live=False,
    )


async def rule(context: Context) -> Response:
    """Show a rule drafted from the chosen fields, ready for the test box."""
    found = await _found(context)
    fields = offered(found.shown, MARK)
    if not fields:
        raise HTTPException(404, "This event has nothing that a rule could go by.")
    chosen = frozenset(context.request.query_params.getlist("field"))
    return context.page(
        "event-rule.html",
        found=found,
        rule=draft(fields, chosen, found.digest),
        event=json_text(found.shown),
        live=False,
    )


async def find(context: Context) -> Response:
    """Go to the event of an alert, by its digest."""
    cluster, digest = text(context.query, "cluster"), text(context.query, "digest")
    around = moment(context.query, "around", context.now)
    if cluster is None or digest is None or around is None:
        message = "name the event by `cluster`, `digest` and `around`"
        raise TocsinError(message)
    search = context.site.events.find
    try:
        found = await context.read(search, cluster, digest, around, text(context.query, "audit_id"))
    except TimeoutError:
        found = None
    if found is None:
        raise HTTPException(404, _GONE)
    return context.redirect(f"/events/{key_text(found.key)}")


async def record(context: Context) -> dict[str, object]:
    """Return the event's JSON with secrets taken out."""
    return (await _found(context)).shown


async def _found(context: Context) -> FoundEvent:
    key = parse_key(context.part("id"))
    if key is None:
        raise HTTPException(404, "There is no such event.")
    found = await context.read(context.site.events.event, key)
    if found is None:
        raise HTTPException(404, _GONE)
    return found


PAGES = [
    Page("/events/find", find, "view", name="find-event", shared=False),
    Page("/events/{id}", show, "view", name="event", record=record, record_type=dict),
    Page("/events/{id}/rule", rule, "view", name="event-rule"),
]
