"""The test box: try a rule that is not in force on events at hand. Nothing is kept.

Rules are files, so what proves good is downloaded and put where the other rules are.
"""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tocsin.rules.trial import Trial
from tocsin.web.evidence import event_of
from tocsin.web.filters import text
from tocsin.web.jsontext import json_text
from tocsin.web.page import Context, Page
from tocsin.web.pages.alert import not_fired
from tocsin.web.workbench import rule_path

RULE_FIELD, EVENT_FIELD = "rule", "event"
START_RULE = """\
title: Somebody reads a Secret
id: 00000000-0000-4000-8000-000000000000
logsource: {product: kubernetes, service: audit}
detection:
  selection:
    verb: get
    objectRef.resource: secrets
  condition: selection
level: medium
tags: [attack.credential-access, attack.t1552.007]
"""
START_EVENT = """\
verb: get
user: {username: alice}
objectRef: {resource: secrets, namespace: shop, name: db-password}
"""


async def show(context: Context) -> Response:
    """Show the box, empty or filled from the query; a POST tries what stands in it."""
    if context.request.method == "POST":
        form = await context.form()
        rule, event = form.get(RULE_FIELD, ""), form.get(EVENT_FIELD, "")
        if "download" in form:
            return _download(rule)
        try:
            trial = await context.read(context.site.workbench.try_rule, rule, event)
        except TimeoutError:
            trial = Trial(problem="this took longer than two seconds: try fewer or smaller events")
        return _page(context, rule, event, trial)
    return _page(context, await _rule(context), await _event(context), None)


def _page(context: Context, rule: str, event: str, trial: Trial | None) -> Response:
    return context.page(
        "trial.html", rule=rule, event=event, trial=trial, not_fired=not_fired, live=False
    )


def _download(rule: str) -> Response:
    suffix = "xml" if rule.lstrip().startswith("<") else "yml"
    headers = {"Content-Disposition": f'attachment; filename="my-rule.{suffix}"'}
    return Response(rule.encode("utf-8", "replace"), headers=headers, media_type="text/plain")


async def _rule(context: Context) -> str:
    """Return the text of the rule that the query names, or one to start from."""
    key = text(context.query, "key")
    if key is None:
        return text(context.query, RULE_FIELD, 10_000) or START_RULE
    for rule in await context.read(context.site.workbench.rules):
        if rule_path(rule).endswith(f"/{key}"):
            return (await context.read(context.site.workbench.file_of, rule)).text
    raise HTTPException(404, "No such rule is in force. It may have been renamed or removed.")


async def _event(context: Context) -> str:
    """Return the stored event of the alert that the query names, or one to start from."""
    identifier = text(context.query, "alert")
    if identifier is None:
        return START_EVENT
    stored = await context.read(context.site.alerts.alert, identifier)
    if stored is None:
        raise HTTPException(404, "There is no such alert, or it is not kept any more.")
    found = await event_of(context, stored.alert)
    return json_text(found.shown) if found else ""


PAGES = [Page("/rules/try", show, "respond", methods=("GET", "POST"), name="try", shared=False)]
