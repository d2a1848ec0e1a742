"""Alerts: what was found, over time and as a list, narrowed down by links and a form."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from msgspec.structs import replace
from starlette.responses import Response

from tocsin.model.alert import SEVERITIES
from tocsin.model.errors import TocsinError
from tocsin.model.ports import AlertFilter, StoredAlert
from tocsin.model.queries import Bucket, Facet, FacetName
from tocsin.web.charts import Chart, stacked
from tocsin.web.filters import ALERT_PARAMETERS, alert_filter, number
from tocsin.web.page import Context, Page
from tocsin.web.patience import Patience
from tocsin.web.tables import Column, Table

BUCKETS = 48
FACET_VALUES = 8
# For all that stands around the list; people came for the list.
ASIDE_SECONDS = 0.12
# Offered as ranges of time; one of them is the chart's where none is chosen.
RANGES = (("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"))
_SPANS = (
    *(timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=30)),
    *(timedelta(days=90), timedelta(days=366)),
)
# Name of the facet, parameter of the filter, heading.
_FACETS: tuple[tuple[FacetName, str, str], ...] = (
    ("rule", "rule", "Rules"),
    ("user", "user", "Users"),
    ("namespace", "namespace", "Namespaces"),
    ("technique", "technique", "ATT&CK techniques"),
    ("cluster", "cluster", "Clusters"),
)


@dataclass(frozen=True, slots=True)
class FacetBox:
    """The most frequent values of one field; `values` is None if they cannot be counted."""

    title: str
    parameter: str
    values: Sequence[Facet] | None


@dataclass(frozen=True, slots=True)
class Aside:
    """What stands around the list; None is what would have kept the page waiting."""

    total: int | None
    hidden: int | None
    chart: Chart | None
    facets: Sequence[FacetBox]


def resource_of(row: StoredAlert) -> str | None:
    """Return the resource with its subresource, such as `pods/exec`."""
    target = row.alert.target
    return "/".join(filter(None, (target.resource, target.subresource))) or None


def techniques_of(row: StoredAlert) -> list[str]:
    """Return the ids of the ATT&CK techniques."""
    return [technique.technique for technique in row.alert.rule.attack]


COLUMNS = (
    Column("time", "Time", lambda row: row.alert.time),
    Column("severity", "Severity", lambda row: row.alert.rule.severity),
    Column("id", "Id", lambda row: row.alert.id),
    Column("cluster", "Cluster", lambda row: row.alert.cluster),
    Column("rule_id", "Id of the rule", lambda row: row.alert.rule.id),
    Column("rule", "Rule", lambda row: row.alert.rule.title),
    Column("description", "What happened", lambda row: row.alert.description),
    Column("user", "User", lambda row: row.alert.actor.user),
    Column("impersonated", "Impersonated user", lambda row: row.alert.actor.impersonated),
    Column("source_ips", "Addresses", lambda row: list(row.alert.actor.source_ips), "array"),
    Column("verb", "Verb", lambda row: row.alert.target.verb),
    Column("resource", "Resource", resource_of),
    Column("namespace", "Namespace", lambda row: row.alert.target.namespace),
    Column("name", "Name", lambda row: row.alert.target.name),
    Column("techniques", "ATT&CK", techniques_of, "array"),
    Column("hidden_by", "Hidden by", lambda row: row.hidden_by),
    Column("authenticated", "Sender proved itself", lambda row: row.authenticated, "boolean"),
)


async def alert_table(context: Context) -> Table:
    """Return the alerts that the query asks for, newest first."""
    where = alert_filter(context.query, context.now)
    before = number(context.query, "before")
    found = await context.read(context.site.alerts.alerts, where, context.limit + 1, before)
    rows = found[: context.limit]
    following = str(rows[-1].seq) if len(found) > len(rows) else None
    return Table("alerts", COLUMNS, rows, following)


async def show(context: Context) -> Response:
    """Show the page."""
    where = alert_filter(context.query, context.now)
    table = await alert_table(context)
    start, end = chart_range(where, table.rows, context.now)
    aside = await context.read(_aside, context, where, table, start, end)
    rules = await context.read(context.site.workbench.rules)
    return context.page(
        "alerts.html",
        table=table,
        where=where,
        total=aside.total,
        hidden=aside.hidden,
        chart=aside.chart,
        chart_start=start,
        chart_end=end,
        facets=aside.facets,
        rule_titles={rule.id: rule.title for rule in rules},
        ranges=RANGES,
        chips=chips(context),
        newest=None if table.rows else await _newest(context),
        received=None if table.rows else await _last_received(context),
    )


def chart_range(
    where: AlertFilter, rows: Sequence[StoredAlert], now: float
) -> tuple[datetime, datetime]:
    """Return the time that the chart covers: what was asked for, or what holds the rows shown.

    Raises:
        TocsinError: the time asked for ends before it begins.
    """
    end = where.until or datetime.fromtimestamp(now, UTC)
    if where.since is not None:
        if where.since >= end:
            message = "the time asked for is empty: `since` is not before `until`"
            raise TocsinError(message)
        return where.since, end
    oldest = datetime.fromisoformat(rows[-1].alert.time) if rows else end
    span = next((span for span in _SPANS if end - span <= oldest), _SPANS[-1])
    return end - span, end


def chips(context: Context) -> list[tuple[str, str, str]]:
    """Return what is filtered by: the parameter, its value, the link that takes it away."""
    names = [parameter.name for parameter in ALERT_PARAMETERS if parameter.name != "limit"]
    return [
        (name, context.query[name], context.link(**{name: None}))
        for name in names
        if context.query.get(name) and name != "before"
    ]


def _aside(
    context: Context, where: AlertFilter, table: Table, start: datetime, end: datetime
) -> Aside:
    """Count what can be counted at once, one question after the other; runs in a thread."""
    alerts = context.site.alerts
    patience = Patience(ASIDE_SECONDS)
    # Counting values among all alerts there are would take seconds, and nobody asked for it.
    drawn = replace(where, since=start)
    is_all = table.next is None and not context.query.get("before")
    total = len(table.rows) if is_all else patience.ask(partial(alerts.count, where))
    hidden = patience.ask(partial(alerts.count, replace(where, hidden="only")))
    buckets = patience.ask(partial(alerts.timeline, where, start, end, BUCKETS))
    facets = [
        FacetBox(title, parameter, patience.ask(partial(alerts.facets, drawn, name, FACET_VALUES)))
        for name, parameter, title in _FACETS
    ]
    return Aside(total, hidden, _chart(buckets, end), facets)


def _chart(buckets: Sequence[Bucket] | None, end: datetime) -> Chart | None:
    if buckets is None:
        return None
    starts = [bucket.start for bucket in buckets]
    return stacked(starts, [bucket.counts for bucket in buckets], end, SEVERITIES)


async def _newest(context: Context) -> StoredAlert | None:
    """Return the newest alert of all, for a page that has none to show."""
    return next(iter(await context.read(context.site.alerts.alerts, AlertFilter(), 1)), None)


async def _last_received(context: Context) -> float | None:
    """Return when events last came, in seconds since the epoch."""
    sources = await context.read(context.site.sources.sources)
    return max((source.last_received for source in sources), default=None)


PAGES = [
    Page(
        "/alerts",
        show,
        "view",
        name="alerts",
        table=alert_table,
        columns=COLUMNS,
        parameters=ALERT_PARAMETERS,
    )
]
