"""One response: what it would change or changed, who decided, each step, and the proof."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response as Answer

from tocsin.model.response import Entry, Order, OrderKind, Response, State
from tocsin.web.page import Context, Page

MAX_NOTE = 1000

# In which states a person can order what.
FITTING: Final[Mapping[OrderKind, frozenset[State]]] = {
    "approve": frozenset({"awaiting-approval"}),
    "reject": frozenset({"awaiting-approval"}),
    "undo": frozenset({"done", "verified", "unknown"}),
}


@dataclass(frozen=True, slots=True)
class Told:
    """What the journal tells of the objects: before, after, and what people must know.

    Attributes:
        before: the parts that change, as they were; None before they were read.
        after: likewise afterwards; None before it is done.
        owner: what would re-create the object, if anything does.
        notes: sentences of the action.
        evidence: what was kept of the object before it was changed.
    """

    before: object = None
    after: object = None
    owner: object = None
    notes: Sequence[str] = ()
    evidence: object = None


async def show(context: Context) -> Answer:
    """Show the page."""
    response = await _response(context)
    if response.plan.id != context.part("id"):
        return context.redirect(response_path(response.plan.id))
    store, alert_id = context.site.responses, response.plan.alert_id
    entries, asked, stored = await asyncio.gather(
        context.read(store.entries, response.plan.id),
        context.read(orders_waiting, context),
        context.read(context.site.alerts.alert, alert_id),
    )
    return context.page(
        "response.html",
        response=response,
        entries=entries,
        told=told(entries),
        asked=[one for one in asked if one.response == response.plan.id],
        stored=stored,
        words=context.site.responding.actions.get(response.plan.action),
        fitting=_fitting(context, response),
        own_request=_is_own_request(context, response),
        four_eyes=context.site.responding.four_eyes,
    )


async def record(context: Context) -> Response:
    """Return the response itself."""
    return await _response(context)


async def decide(context: Context) -> Answer:
    """Store what a person decided for the responder, which looks at everything again."""
    response = await _response(context)
    order = order_of(await context.form(), response, context.person.name, context.now)
    if order.kind == "approve" and _is_own_request(context, response):
        raise HTTPException(403, "You asked for this yourself: another person has to approve it.")
    await context.read(context.site.responses.order, order)
    await context.note(f"response {order.kind}", response.plan.id)
    return context.redirect(response_path(response.plan.id))


def order_of(form: Mapping[str, str], response: Response, who: str, now: float) -> Order:
    """Return the order that a form means.

    Raises:
        HTTPException: it means none, or what the person saw is not so any more.
    """
    name = form.get("order", "")
    if name not in FITTING:
        raise HTTPException(400, f"There is no order {name!r}.")
    kind = cast("OrderKind", name)
    if response.state not in FITTING[kind]:
        raise HTTPException(409, f"The response is {response.state} by now. Look at it again.")
    if kind == "undo" and not response.plan.reversible:
        raise HTTPException(400, "This cannot be undone.")
    if form.get("digest", "") != response.digest:
        raise HTTPException(409, "What you agreed to is not what would be done. Look at it again.")
    if kind == "approve" and response.expires and now > response.expires:
        raise HTTPException(409, "The time to approve this is over.")
    return Order(
        kind=kind,
        response=response.plan.id,
        digest=response.digest,
        who=who,
        time=now,
        note=form.get("note", "").strip()[:MAX_NOTE],
    )


def told(entries: Sequence[Entry]) -> Told:
    """Return what a journal tells; the latest entry that says something counts."""
    found: dict[str, object] = {}
    for entry in entries:
        found |= entry.data
    prepared = found.get("prepared")
    prepared = prepared if isinstance(prepared, dict) else {}
    notes = prepared.get("notes")
    return Told(
        before=prepared.get("before"),
        after=found.get("after"),
        owner=prepared.get("owner"),
        notes=[str(note) for note in notes] if isinstance(notes, list | tuple) else (),
        evidence=found.get("evidence"),
    )


def orders_waiting(context: Context) -> list[Order]:
    """Return the orders that the responder has not looked at; runs in a thread."""
    store = context.site.responses
    return store.orders(store.position().get("orders", 0))


def response_path(identifier: str) -> str:
    """Return the path of a response's page."""
    return f"/responses/{quote(identifier, safe='')}"


def _fitting(context: Context, response: Response) -> frozenset[str]:
    """Return what a person can order now."""
    over = response.expires and context.now > response.expires
    return frozenset(
        kind
        for kind, states in FITTING.items()
        if response.state in states
        and not (kind == "approve" and over)
        and not (kind == "undo" and not response.plan.reversible)
    )


def _is_own_request(context: Context, response: Response) -> bool:
    """Return whether four eyes are asked for, and these are the first two."""
    return context.site.responding.four_eyes and response.plan.asked_by == context.person.name


async def _response(context: Context) -> Response:
    found = await context.read(context.site.responses.response, context.part("id"))
    if found is None:
        raise HTTPException(404, "There is no such response.")
    return found


PAGES = [
    Page("/responses/{id}/decide", decide, "respond", ("POST",), name="response-decide"),
    Page(
        "/responses/{id}",
        show,
        "view",
        name="response",
        record=record,
        record_type=Response,
        shared=False,
    ),
]
