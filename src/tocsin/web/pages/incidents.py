"""Incidents: what happened, how bad it is, how far people are with it."""

from starlette.responses import Response

from tocsin.model.incident import STATES, Incident, IncidentFilter
from tocsin.web.filters import INCIDENT_PARAMETERS, incident_filter, text
from tocsin.web.page import Context, Page
from tocsin.web.tables import Column, Table

ACTIVE = "open,acknowledged,contained"
# What the page offers as choices of states, with the parameter's value.
CHOICES = (("All", None), ("Active", ACTIVE), *((name.capitalize(), name) for name in STATES))

COLUMNS = (
    Column("id", "Id", lambda row: row.id),
    Column("severity", "Severity", lambda row: row.severity),
    Column("state", "State", lambda row: row.state),
    Column("verdict", "Verdict", lambda row: row.verdict),
    Column("title", "What happened", lambda row: row.title),
    Column("story", "Story", lambda row: row.story),
    Column("cluster", "Cluster", lambda row: row.cluster),
    Column("actors", "Actors", lambda row: list(row.actors), "array"),
    Column("techniques", "ATT&CK", lambda row: [one.technique for one in row.techniques], "array"),
    Column("alerts", "Alerts", lambda row: row.alerts, "integer"),
    Column("first_seen", "First seen", lambda row: row.first_seen),
    Column("last_seen", "Last seen", lambda row: row.last_seen),
    Column("owner", "Owner", lambda row: row.owner),
    Column("pinned", "Pinned", lambda row: row.pinned, "boolean"),
    Column("authenticated", "Senders proved themselves", lambda row: row.authenticated, "boolean"),
)


async def incident_table(context: Context) -> Table:
    """Return the incidents that the query asks for, newest activity first."""
    where = incident_filter(context.query, context.now)
    incidents = context.site.incidents
    limit = context.limit
    before = text(context.query, "before")
    found: list[Incident] = await context.read(incidents.incidents, where, limit + 1, before)
    following = found[limit - 1].id if len(found) > limit else None
    return Table("incidents", COLUMNS, found[:limit], following)


async def show(context: Context) -> Response:
    """Show the page."""
    where = incident_filter(context.query, context.now)
    return context.page(
        "incidents.html",
        table=await incident_table(context),
        counts=await context.read(_counts, context, where),
        choices=CHOICES,
        state=context.query.get("state") or None,
        filtered=where != IncidentFilter(),
    )


def _counts(context: Context, where: IncidentFilter) -> dict[str | None, int]:
    """Return how many incidents each choice of states would show; runs in a thread."""
    counts: dict[str | None, int] = {}
    for state in STATES:
        one = IncidentFilter(
            since=where.since,
            until=where.until,
            states=(state,),
            min_severity=where.min_severity,
            cluster=where.cluster,
            actor=where.actor,
            text=where.text,
        )
        counts[state] = context.site.incidents.count(one)
    counts[None] = sum(counts.values())
    counts[ACTIVE] = sum(counts[state] for state in ACTIVE.split(","))
    return counts


PAGES = [
    Page(
        "/incidents",
        show,
        "view",
        name="incidents",
        table=incident_table,
        columns=COLUMNS,
        parameters=INCIDENT_PARAMETERS,
    )
]
