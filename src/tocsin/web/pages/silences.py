"""Silences: what is hidden for a while, by whom and why; how to add one, and how to end it."""

from dataclasses import dataclass
from typing import cast

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tocsin.model.alert import SEVERITIES
from tocsin.model.errors import TocsinError
from tocsin.model.matcher import TEXT_PARTS, Matcher, matcher_of, proposal
from tocsin.model.preview import DAYS, Preview, preview
from tocsin.model.silence import SUPPRESSED, Silence, State, new_silence
from tocsin.web.filters import Parameter, number, one_of
from tocsin.web.page import Context, Page
from tocsin.web.tables import Column, Table

STATES: tuple[State, ...] = ("active", "ended", "expired")
LIFETIMES = {
    "3600": "1 hour",
    "14400": "4 hours",
    "86400": "24 hours",
    "604800": "7 days",
    "2592000": "30 days",
    "7776000": "90 days",
}
USUAL_LIFETIME = "86400"
PARTS = (*TEXT_PARTS, "network", "severity")

PARAMETERS = (
    Parameter("state", "Only silences in this state.", STATES),
    Parameter("before", "Go on where another page ended: take it from that page's `next`."),
    Parameter("limit", "How many rows."),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A silence as it is now."""

    silence: Silence
    state: State


COLUMNS = (
    Column("id", "Id", lambda row: row.silence.id, "integer"),
    Column("state", "State", lambda row: row.state),
    Column("matcher", "Hides alerts where", lambda row: row.silence.matcher.parts(), "object"),
    Column("owner", "Owner", lambda row: row.silence.owner),
    Column("reason", "Reason", lambda row: row.silence.reason),
    Column("created", "Made", lambda row: row.silence.created, "number"),
    Column("expires", "Ends", lambda row: row.silence.expires, "number"),
    Column("ended", "Ended before", lambda row: row.silence.ended, "number"),
    Column("ended_by", "Ended by", lambda row: row.silence.ended_by),
    Column("hidden", "Alerts hidden", lambda row: row.silence.hidden, "integer"),
)


async def table(context: Context) -> Table:
    """Return the silences that the query asks for, the newest first."""
    wanted, before = one_of(context.query, "state", STATES), number(context.query, "before")
    rows = [
        Row(one, one.state(context.now))
        for one in await context.read(context.site.silences.silences)
        if before is None or one.id < before
    ]
    rows = [row for row in rows if wanted in (None, row.state)]
    page = rows[: context.limit]
    following = str(page[-1].silence.id) if len(rows) > len(page) else None
    return Table("silences", COLUMNS, page, following)


async def show(context: Context) -> Response:
    """Show the list, the form, and what suppression has hidden."""
    counts = await context.read(context.site.silences.hidden)
    return context.page(
        "silences.html",
        table=await table(context),
        states=STATES,
        suppressed=[one for one in counts if one.hidden_by == SUPPRESSED],
        titles={rule.id: rule.title for rule in await context.read(context.site.workbench.rules)},
        parts=dict.fromkeys(PARTS, ""),
        severities=SEVERITIES,
        lifetimes=LIFETIMES,
        usual=USUAL_LIFETIME,
    )


async def new(context: Context) -> Response:
    """Ask for a silence, prefilled from an alert or the query, with what it would have hidden."""
    alert_id = context.query.get("alert", "")
    given = {name: context.query[name] for name in PARTS if name in context.query}
    if alert_id and not given:
        given = (await _proposal(context, alert_id)).parts()
    return await _form(context, given, context.query)


async def add(context: Context) -> Response:
    """Make a silence, or show the form again with what is wrong."""
    form = await context.form()
    given = {name: form[name].strip() for name in PARTS if form.get(name, "").strip()}
    lasts = form.get("lasts", USUAL_LIFETIME)
    if lasts not in LIFETIMES:
        raise HTTPException(400, f"A silence lasts one of {', '.join(LIFETIMES)} seconds.")
    who = context.person.name
    try:
        silence = new_silence(
            matcher_of(given), who, form.get("reason", ""), context.now, float(lasts)
        )
    except TocsinError as error:
        return await _form(context, given, form, str(error))
    added = await context.read(context.site.silences.add, silence)
    await context.note("silence added", f"{added.id}: {added.matcher.words}")
    return context.redirect("/silences")


async def end(context: Context) -> Response:
    """End a silence before its time."""
    text = context.part("id")
    found = (
        await context.read(context.site.silences.silence, int(text))
        if text.isascii() and text.isdigit() and len(text) <= _DIGITS
        else None
    )
    if found is None:
        raise HTTPException(404, "There is no such silence.")
    if found.state(context.now) == "active":
        await context.read(context.site.silences.end, found.id, context.person.name, context.now)
        await context.note("silence ended", f"{found.id}: {found.matcher.words}")
    return context.redirect("/silences")


async def _form(
    context: Context, given: dict[str, str], typed: object, problem: str = ""
) -> Response:
    """Return the form with what was typed, and what that would have hidden."""
    values = cast("dict[str, str]", typed)
    found: Preview | None = None
    wrong = ""
    if given:
        try:
            found = await context.read(preview, context.site.alerts, matcher_of(given), context.now)
        except TocsinError as error:
            wrong = str(error)
        except TimeoutError:
            wrong = "That cannot be counted in time: name a rule, a user or a namespace."
    return context.page(
        "silence-new.html",
        status=400 if problem else 200,
        parts={name: given.get(name, "") for name in PARTS},
        reason=values.get("reason", ""),
        lasts=values.get("lasts", USUAL_LIFETIME),
        alert_id=values.get("alert", ""),
        preview=found,
        wrong=wrong,
        problem=problem,
        days=DAYS,
        severities=SEVERITIES,
        lifetimes=LIFETIMES,
        usual=USUAL_LIFETIME,
        live=False,
    )


async def _proposal(context: Context, alert_id: str) -> Matcher:
    stored = await context.read(context.site.alerts.alert, alert_id)
    if stored is None:
        raise HTTPException(404, "There is no such alert, or it is not kept any more.")
    return proposal(stored.alert)


# A row number of SQLite has up to 19 digits.
_DIGITS = 18

PAGES = [
    Page(
        "/silences",
        show,
        "view",
        name="silences",
        table=table,
        columns=COLUMNS,
        parameters=PARAMETERS,
        shared=False,
    ),
    Page("/silences/new", new, "respond", name="silence-new", shared=False),
    Page("/silences/add", add, "respond", ("POST",), name="silence-add"),
    Page("/silences/{id}/end", end, "respond", ("POST",), name="silence-end"),
]
