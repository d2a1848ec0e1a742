"""Events: what arrived, also what no rule matched. Searched, so the page says how far it looked."""

from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from tocsin.model.eventrow import EventRow, event_row, key_text
from tocsin.model.events import EventFilter, EventPage
from tocsin.model.queries import EventBucket, QueryTooWide
from tocsin.web.charts import Chart, stacked
from tocsin.web.eventquery import EVENT_PARAMETERS, before_key, event_filter
from tocsin.web.filters import number
from tocsin.web.page import Context, Page
from tocsin.web.tables import Column, Table

BUCKETS = 60
RANGE = timedelta(hours=24)

COLUMNS = (
    Column("id", "Id", lambda row: row.id),
    Column(
        "received", "Received", lambda row: datetime.fromtimestamp(row.received, UTC).isoformat()
    ),
    Column("time", "Time", lambda row: row.time),
    Column("cluster", "Cluster", lambda row: row.cluster),
    Column("user", "User", lambda row: row.user),
    Column("impersonated", "Impersonated user", lambda row: row.impersonated),
    Column("verb", "Verb", lambda row: row.verb),
    Column("resource", "Resource", lambda row: row.resource),
    Column("namespace", "Namespace", lambda row: row.namespace),
    Column("name", "Name", lambda row: row.name),
    Column("code", "Status", lambda row: row.code),
    Column("source_ips", "Addresses", lambda row: list(row.source_ips), "array"),
    Column("user_agent", "User agent", lambda row: row.user_agent),
    Column("request_uri", "URI", lambda row: row.request_uri),
    Column("audit_id", "Audit-ID", lambda row: row.audit_id),
    Column("stage", "Stage", lambda row: row.stage),
    Column("level", "Audit level", lambda row: row.level),
    Column("digest", "Digest", lambda row: row.digest),
    Column("authenticated", "Sender proved itself", lambda row: row.authenticated, "boolean"),
)


async def event_table(context: Context) -> Table:
    """Return the events found in the time a page may take, newest first."""
    return _table(await _search(context))


async def show(context: Context) -> Response:
    """Show the page; the browser asks for what is further back in steps of the same page."""
    where = event_filter(context.query, context.now)
    found = await _search(context)
    table = _table(found)
    # What steps before this one found, for the browser to know when to stop.
    before_this = number(context.query, "have") or 0
    have = before_this + len(table.rows)
    goes_on = table.next is not None and have < context.limit
    filtered = where != EventFilter()
    return context.page(
        "events.html",
        where=where,
        table=table,
        progress=found.progress,
        have=have,
        step=context.query.get("have") is not None,
        goes_on=goes_on,
        filtered=filtered,
        chart=await _chart(context, where),
        chips=_chips(context),
        # A search would be done again for each change anywhere.
        live=not filtered and not context.query.get("before"),
    )


async def _search(context: Context) -> EventPage:
    where = event_filter(context.query, context.now)
    before = before_key(context.query)
    limit = context.limit if context.twin else context.limit - (number(context.query, "have") or 0)
    return await context.read(context.site.events.page, where, max(1, limit), before)


def _table(found: EventPage) -> Table:
    rows: list[EventRow] = [event_row(event) for event in found.events]
    return Table("events", COLUMNS, rows, key_text(found.next) if found.next else None)


async def _chart(context: Context, where: EventFilter) -> Chart | None:
    """Return what arrived in the time asked for, by default the last day."""
    if context.query.get("have") is not None:
        return None
    end = where.until or datetime.fromtimestamp(context.now, UTC)
    start = where.since or end - RANGE
    if start >= end:
        return None
    timeline = context.site.alerts.event_timeline
    try:
        buckets: list[EventBucket] = list(
            await context.read(timeline, where.cluster, start, end, BUCKETS)
        )
    except (QueryTooWide, TimeoutError):
        return None
    counts = [{"events": bucket.count} for bucket in buckets]
    return stacked([bucket.start for bucket in buckets], counts, end, ("events",))


def _chips(context: Context) -> list[tuple[str, str, str]]:
    """Return what is filtered by: the parameter, its value, the link that takes it away."""
    names = [one.name for one in EVENT_PARAMETERS if one.name not in ("limit", "before")]
    return [
        (name, context.query[name], context.link(**{name: None}))
        for name in names
        if context.query.get(name)
    ]


PAGES = [
    Page(
        "/events",
        show,
        "view",
        name="events",
        table=event_table,
        columns=COLUMNS,
        parameters=EVENT_PARAMETERS,
    )
]
