"""Responses: what waits for a person, what was done or would have been, and the kill switch."""

from starlette.exceptions import HTTPException
from starlette.responses import Response as Answer

from tocsin.model.response import Order, ResponseFilter, State
from tocsin.model.response import Response as Responded
from tocsin.web.filters import RESPONSE_PARAMETERS, response_filter, text
from tocsin.web.page import Context, Page
from tocsin.web.pages.incident import incident_path
from tocsin.web.pulse import WAITING
from tocsin.web.tables import Column, Table

MAX_WHY = 400
# More of them than this are a storm, which the list below the queue shows as well.
MAX_QUEUE = 50

# What the page offers as choices of states.
CHOICES: tuple[tuple[str, tuple[State, ...]], ...] = (
    ("All", ()),
    ("Waiting", ("awaiting-approval",)),
    ("Done", ("done", "verified")),
    ("Failed or unknown", ("failed", "unknown")),
    ("Undone", ("undoing", "undone")),
    ("Dry run", ("simulated",)),
    ("Refused", ("refused", "rejected", "expired")),
)

COLUMNS = (
    Column("id", "Id", lambda row: row.plan.id),
    Column("state", "State", lambda row: row.state),
    Column("action", "Action", lambda row: row.plan.action),
    Column("target", "Object", lambda row: row.plan.target.words),
    Column("uid", "UID", lambda row: row.plan.target.uid),
    Column("cluster", "Cluster", lambda row: row.plan.cluster),
    Column("mode", "Mode", lambda row: row.plan.mode),
    Column("rule", "Response rule", lambda row: row.plan.rule),
    Column("alert", "Alert", lambda row: row.plan.alert_id or None),
    Column("user", "Against", lambda row: row.plan.user),
    Column("asked_by", "Asked by", lambda row: row.plan.asked_by),
    Column("asked_at", "Asked at", lambda row: row.plan.asked_at, "number"),
    Column("updated", "Last change", lambda row: row.updated, "number"),
    Column("expires", "Can be approved until", lambda row: row.expires or None, "number"),
    Column("undo_at", "Undone by itself at", lambda row: row.undo_at or None, "number"),
    Column("reversible", "Can be undone", lambda row: row.plan.reversible, "boolean"),
    Column("calls", "Changes", lambda row: len(row.calls), "integer"),
    Column("proved", "Changes proved", lambda row: row.proved, "integer"),
    Column("text", "What became of it", lambda row: row.text),
)


async def table(context: Context) -> Table:
    """Return the responses that the query asks for, the latest change first."""
    where, limit = response_filter(context.query), context.limit
    before = text(context.query, "before")
    found: list[Responded] = await context.read(
        context.site.responses.responses, where, limit + 1, before
    )
    following = found[limit - 1].plan.id if len(found) > limit else None
    return Table("responses", COLUMNS, found[:limit], following)


async def show(context: Context) -> Answer:
    """Show the queue, the list and the switch."""
    where = response_filter(context.query)
    waiting = await context.read(context.site.responses.responses, WAITING, MAX_QUEUE)
    return context.page(
        "responses.html",
        table=await table(context),
        waiting=sorted(waiting, key=lambda one: one.expires or float("inf")),
        counts=await context.read(_counts, context, where),
        choices=[(name, ",".join(states) or None) for name, states in CHOICES],
        state=context.query.get("state") or None,
        filtered=where != ResponseFilter(),
        responding=context.site.responding,
        actions=[(one, one.replace("_", " ")) for one in sorted(context.site.responding.actions)],
    )


def _counts(context: Context, where: ResponseFilter) -> dict[str | None, int]:
    """Return how many responses each choice of states would show; runs in a thread."""
    count = context.site.responses.count
    return {
        ",".join(states) or None: count(
            ResponseFilter(
                states=states, cluster=where.cluster, action=where.action, alerts=where.alerts
            )
        )
        for _, states in CHOICES
    }


async def ask(context: Context) -> Answer:
    """Ask for a response to an alert."""
    form = await context.form()
    site, alert_id, name = context.site, form.get("alert", ""), form.get("action", "")
    stored = await context.read(site.alerts.alert, alert_id)
    if stored is None:
        raise HTTPException(404, "There is no such alert, or it is not kept any more.")
    possible = await context.read(site.responding.possible, stored.alert)
    if name not in {one.action.name for one in possible}:
        raise HTTPException(400, f"This alert does not say what {name!r} would be about.")
    order = Order(
        kind="ask", response=alert_id, action=name, who=context.person.name, time=context.now
    )
    await context.read(site.responses.order, order)
    await context.note("response asked for", f"{name} for alert {alert_id}")
    incident = await context.read(site.incidents.incident_of, alert_id)
    return context.redirect(incident_path(incident) if incident else "/responses")


async def stop(context: Context) -> Answer:
    """Stop all responses, whatever they are doing."""
    why = (await context.form()).get("why", "").strip()[:MAX_WHY]
    await context.read(context.site.switch.stop, context.person.name, why)
    await context.note("responses stopped", why)
    return context.redirect("/responses")


async def start(context: Context) -> Answer:
    """Let responses run again."""
    await context.read(context.site.switch.start, context.person.name)
    await context.note("responses started")
    return context.redirect("/responses")


PAGES = [
    Page(
        "/responses",
        show,
        "view",
        name="responses",
        table=table,
        columns=COLUMNS,
        parameters=RESPONSE_PARAMETERS,
    ),
    Page("/responses/ask", ask, "respond", ("POST",), name="response-ask"),
    Page("/responses/stop", stop, "respond", ("POST",), name="responses-stop"),
    Page("/responses/start", start, "admin", ("POST",), name="responses-start"),
]
