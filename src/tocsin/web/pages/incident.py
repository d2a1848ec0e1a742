"""One incident: its story and steps, what it touched, the evidence, what people did about it."""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tocsin.model.alert import Alert
from tocsin.model.bundle import bundle_of
from tocsin.model.errors import TocsinError
from tocsin.model.events import FoundEvent
from tocsin.model.incident import VERDICTS, Change, Incident, Verdict
from tocsin.model.ports import StoredAlert
from tocsin.web import offers
from tocsin.web.filters import link
from tocsin.web.lanes import lanes
from tocsin.web.page import Context, Page

MAX_ALERTS = 50
EXPORT_SECONDS = 1.2
MAX_NOTE, MAX_OWNER = 4000, 200

# What each button does; closing has a page of its own.
ACTIONS: dict[str, Change] = {
    "acknowledge": Change(state="acknowledged"),
    "contain": Change(state="contained"),
    "reopen": Change(state="open"),
    "pin": Change(pinned=True),
    "unpin": Change(pinned=False),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """An event by its digest: of which alert it is, and the link to it."""

    stored: StoredAlert
    digest: str
    link: str


async def show(context: Context) -> Response:
    """Show the page; an id that was merged into another leads to that one."""
    incident = await _incident(context)
    if incident.id != context.part("id"):
        return context.redirect(incident_path(incident.id))
    alerts, log = await asyncio.gather(
        context.read(context.site.incidents.alerts_of, incident.id, MAX_ALERTS),
        context.read(context.site.incidents.log_of, incident.id),
    )
    choice = await context.read(offers.choice, context.site, [stored.alert for stored in alerts])
    return context.page(
        "incident.html",
        incident=incident,
        alerts=alerts,
        evidence=[
            Evidence(stored, digest, event_link(stored.alert, digest))
            for stored in alerts
            for digest in stored.alert.evidence
        ],
        log=log,
        lanes=lanes(incident),
        gaps=_gaps(incident),
        verdicts=VERDICTS,
        choice=choice,
    )


async def record(context: Context) -> Incident:
    """Return the incident itself."""
    return await _incident(context)


async def close(context: Context) -> Response:
    """Ask for the verdict and a note before an incident is closed."""
    incident = await _incident(context)
    return context.page(
        "incident-close.html", incident=incident, verdicts=VERDICTS, problem="", live=False
    )


async def change(context: Context) -> Response:
    """Apply what a person decided, note it, and go back to the incident."""
    incident = await _incident(context)
    form = await context.form()
    try:
        action, decided = decision(form, context.person.name)
    except TocsinError as error:
        if form.get("action") != "close":
            raise
        return context.page(
            "incident-close.html",
            status=400,
            incident=incident,
            verdicts=VERDICTS,
            problem=str(error),
            live=False,
        )
    who = context.person.name
    await context.read(context.site.incidents.change, incident.id, decided, who, context.now)
    await context.note(f"incident {action}", incident.id)
    return context.redirect(incident_path(incident.id))


def decision(form: dict[str, str], person: str) -> tuple[str, Change]:
    """Return the action that a form asks for, and the change that it is.

    Raises:
        TocsinError: it asks for nothing that there is; the sentence says what is missing.
    """
    action = form.get("action", "")
    note = form.get("note", "").strip()[:MAX_NOTE] or None
    if action in ACTIONS:
        return action, msgspec.structs.replace(ACTIONS[action], note=note)
    if action == "close":
        verdict = form.get("verdict", "")
        if verdict not in VERDICTS:
            message = "choose a verdict: what was it?"
            raise TocsinError(message)
        found: Verdict = verdict
        return action, Change(state="closed", verdict=found, note=note)
    if action == "take":
        return "assign", Change(owner=person, note=note)
    if action == "assign":
        return action, Change(owner=form.get("owner", "").strip()[:MAX_OWNER], note=note)
    if action == "note" and note:
        return action, Change(note=note)
    message = "write a note first" if action == "note" else f"there is no action {action!r}"
    raise TocsinError(message)


async def export(context: Context) -> Response:
    """Send the incident with its alerts, its log and the events that are still kept."""
    incident = await _incident(context)
    document = await context.read(_evidence, context, incident.id)
    name = f"incident-{quote(incident.id, safe='')}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(msgspec.json.encode(document), headers=headers, media_type="application/json")


def _evidence(context: Context, identifier: str) -> dict[str, object]:
    """Return the bundle with its events, null where they are not kept or not found in time.

    Runs in a thread, and looks for events as long as there is time.
    """
    deadline = time.monotonic() + EXPORT_SECONDS
    bundle = bundle_of(context.site.incidents, identifier, context.person.name, context.now)
    events = {
        digest: _event(context, alert, digest) if time.monotonic() < deadline else None
        for alert in bundle.alerts
        for digest in alert.evidence
    }
    shown = {digest: found.shown if found else None for digest, found in events.items()}
    return {**msgspec.structs.asdict(bundle), "events": shown}


def _event(context: Context, alert: Alert, digest: str) -> FoundEvent | None:
    audit_id = alert.event.audit_id if alert.event else None
    return context.site.events.find(alert.cluster, digest, _around(alert), audit_id)


def event_link(alert: Alert, digest: str) -> str:
    """Return the link to an event of an alert."""
    query = {
        "cluster": alert.cluster,
        "digest": digest,
        "around": _around(alert).isoformat(),
        "audit_id": alert.event.audit_id if alert.event else None,
    }
    return link("/events/find", query)


def incident_path(identifier: str) -> str:
    """Return the path of an incident's page."""
    return f"/incidents/{quote(identifier, safe='')}"


def _around(alert: Alert) -> datetime:
    received = alert.event.received if alert.event else None
    return datetime.fromisoformat(received or alert.time)


def _gaps(incident: Incident) -> list[float]:
    """Return how many seconds after the step before it each step came."""
    times = [datetime.fromisoformat(step.time).timestamp() for step in incident.steps]
    return [later - earlier for earlier, later in zip(times[:1] + times, times, strict=False)]


async def _incident(context: Context) -> Incident:
    found = await context.read(context.site.incidents.incident, context.part("id"))
    if found is None:
        raise HTTPException(404, "There is no such incident, or it is not kept any more.")
    return found


PAGES = [
    Page("/incidents/{id}/evidence", export, "view", name="evidence", shared=False),
    Page("/incidents/{id}/close", close, "respond", name="incident-close", shared=False),
    Page("/incidents/{id}/change", change, "respond", ("POST",), name="incident-change"),
    Page("/incidents/{id}", show, "view", name="incident", record=record, record_type=Incident),
]
