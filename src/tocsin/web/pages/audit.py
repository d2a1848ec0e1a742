"""What people did, for admins."""

from starlette.responses import Response

from tocsin.web.filters import Parameter, number, text
from tocsin.web.page import Context, Page
from tocsin.web.tables import Column, Table

PARAMETERS = (
    Parameter("who", "Only what this person did."),
    Parameter("before", "Go on where another page ended: take it from that page's `next`."),
    Parameter("limit", "How many rows."),
)
COLUMNS = (
    Column("time", "Time", lambda entry: entry.time, "number"),
    Column("who", "Who", lambda entry: entry.who),
    Column("action", "Did what", lambda entry: entry.action),
    Column("detail", "To what", lambda entry: entry.detail),
)


async def table(context: Context) -> Table:
    """Return the newest entries."""
    limit = context.limit
    before, who = number(context.query, "before"), text(context.query, "who")
    entries = await context.read(context.site.people.notes, limit + 1, before, who)
    shown = entries[:limit]
    return Table("audit", COLUMNS, shown, str(shown[-1].id) if len(entries) > limit else None)


async def show(context: Context) -> Response:
    """Show the log."""
    return context.page("audit.html", table=await table(context))


PAGES = [
    Page(
        "/audit",
        show,
        "admin",
        name="audit",
        table=table,
        columns=COLUMNS,
        parameters=PARAMETERS,
        shared=False,
    ),
]
