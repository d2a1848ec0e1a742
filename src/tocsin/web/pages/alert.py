"""One alert: who did what, why the rule fired, what the event was, what else happened."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tocsin.model.alert import Alert
from tocsin.model.incident import Incident
from tocsin.model.ports import AlertFilter, StoredAlert
from tocsin.model.queries import QueryTooWide
from tocsin.rules.explain import Node, deciding
from tocsin.web import offers
from tocsin.web.evidence import event_of
from tocsin.web.filters import link
from tocsin.web.jsontext import json_text
from tocsin.web.page import Context, Page
from tocsin.web.workbench import is_web_link, key_of, rule_path

MAX_RELATED = 10
# Around an alert, in which other alerts of the same user are shown.
NEIGHBOURHOOD = timedelta(hours=1)


async def show(context: Context) -> Response:
    """Show the page."""
    stored = await _stored(context)
    alert = stored.alert
    bench = context.site.workbench
    found, incident, request, neighbours, file = await asyncio.gather(
        event_of(context, alert),
        _incident(context, alert),
        _same_request(context, alert),
        _same_user(context, alert),
        context.read(bench.file_of, alert.rule),
    )
    why = await context.read(bench.explain, alert, found)
    known = {key_of(rule) for rule in await context.read(bench.rules)}
    return context.page(
        "alert.html",
        stored=stored,
        alert=alert,
        found=found,
        event_json=json_text(found.shown) if found else "",
        why=why,
        decided=not_fired(why.root),
        incident=incident,
        same_request=request,
        same_user=neighbours,
        user_link=_user_link(alert),
        file=file,
        rule_link=rule_path(alert.rule) if key_of(alert.rule) in known else None,
        choice=await context.read(offers.choice, context.site, [alert]),
        web_links=[text for text in file.references if is_web_link(text)],
    )


def not_fired(root: Node | None) -> list[Node]:
    """Return the conditions that kept a rule from firing; none if it fires."""
    return [] if root is None or root.holds else list(deciding(root))


async def record(context: Context) -> Alert:
    """Return the alert itself, in the shape that every output of alerts has."""
    return (await _stored(context)).alert


async def _stored(context: Context) -> StoredAlert:
    stored = await context.read(context.site.alerts.alert, context.part("id"))
    if stored is None:
        raise HTTPException(404, "There is no such alert, or it is not kept any more.")
    return stored


async def _incident(context: Context, alert: Alert) -> Incident | None:
    identifier = await context.read(context.site.incidents.incident_of, alert.id)
    if identifier is None:
        return None
    return await context.read(context.site.incidents.incident, identifier)


async def _same_request(context: Context, alert: Alert) -> Sequence[StoredAlert] | None:
    """Return other alerts of the request; clients choose Audit-IDs, so the user counts too."""
    if alert.event is None or not alert.event.audit_id:
        return ()
    audit_id = alert.event.audit_id
    where = AlertFilter(cluster=alert.cluster, user=alert.actor.user, text=audit_id)
    found = await _others(context, where, alert)
    return found and [
        one for one in found if one.alert.event and one.alert.event.audit_id == audit_id
    ]


async def _same_user(context: Context, alert: Alert) -> Sequence[StoredAlert] | None:
    if alert.actor.user is None:
        return ()
    return await _others(context, _around(alert), alert)


async def _others(
    context: Context, where: AlertFilter, alert: Alert
) -> Sequence[StoredAlert] | None:
    """Return other alerts, None if they cannot be found in the time a page may take."""
    try:
        found = await context.read(context.site.alerts.alerts, where, MAX_RELATED + 1)
    except (QueryTooWide, TimeoutError):
        return None
    return [one for one in found if one.alert.id != alert.id][:MAX_RELATED]


def _around(alert: Alert) -> AlertFilter:
    moment = datetime.fromisoformat(alert.time)
    return AlertFilter(
        since=moment - NEIGHBOURHOOD,
        until=moment + NEIGHBOURHOOD,
        cluster=alert.cluster,
        user=alert.actor.user,
    )


def _user_link(alert: Alert) -> str:
    return link("/alerts", {"cluster": alert.cluster, "user": alert.actor.user})


PAGES = [Page("/alerts/{id}", show, "view", name="alert", record=record, record_type=Alert)]
