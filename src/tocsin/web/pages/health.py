"""Health: is the line to each API server alive, is anything lost, does every part work?"""

import msgspec
from starlette.responses import Response

from tocsin.model.ports import Backlog, CanaryState, HealthFinding, SourceState
from tocsin.model.queries import Usage
from tocsin.web.page import Context, Page
from tocsin.web.site import Disk, SourceFault, State
from tocsin.web.tables import Column, Table

# Metrics of the processes that people read on the page, with their meaning.
COUNTERS = (
    ("tocsin_ingest_posts_total", "posts received"),
    ("tocsin_ingest_refused_total", "requests refused"),
    ("tocsin_ingest_unauthenticated_posts_total", "posts whose senders proved nothing"),
    ("tocsin_ingest_file_gaps_total", "gaps in followed files"),
    ("tocsin_ingest_spool_pending_bytes", "bytes that wait to be written"),
    ("tocsin_detect_events_total", "events evaluated"),
    ("tocsin_detect_lag_posts", "posts not evaluated yet"),
    ("tocsin_detect_hidden_total", "alerts hidden by silences and suppression"),
    (
        "tocsin_detect_suppress_evictions",
        "kinds of alerts that suppression forgot for want of room",
    ),
    ("tocsin_detect_lost_posts_total", "posts that could not be read any more"),
    ("tocsin_detect_quarantined_total", "events set aside"),
    ("tocsin_detect_rules", "rules in force"),
    ("tocsin_detect_rule_faults", "rules that failed on an event"),
    ("tocsin_detect_rule_file_faults", "faults in rule files"),
    ("tocsin_detect_store_errors_total", "times the store could not be written"),
    ("tocsin_respond_refused_total", "responses refused"),
    ("tocsin_respond_undecided", "responses of which nobody knows what they did"),
)


class Source(msgspec.Struct, frozen=True):
    """A source with what is wrong with it, `ok` if nothing is."""

    source: SourceState
    state: str


COLUMNS = (
    Column("cluster", "Cluster", lambda one: one.source.cluster),
    Column("node", "API server", lambda one: one.source.node),
    Column("source", "Way", lambda one: one.source.source),
    Column("last_received", "Last heard", lambda one: one.source.last_received, "number"),
    Column("last_event", "Newest event", lambda one: one.source.last_event, "number"),
    Column("lag", "Delay, s", lambda one: round(one.source.skew, 1), "number"),
    Column("events", "Events", lambda one: one.source.events, "integer"),
    Column("posts", "Posts", lambda one: one.source.posts, "integer"),
    Column("stale", "Old posts", lambda one: one.source.stale, "integer"),
    Column("state", "State", lambda one: one.state),
)


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    sources: list[Source]
    findings: list[HealthFinding]
    canaries: list[CanaryState]
    backlog: dict[str, Backlog]
    faults: list[SourceFault]
    usage: Usage
    disk: Disk
    state: State
    quarantined: int


def _sources(context: Context) -> list[Source]:
    site = context.site
    findings = site.health.findings()
    return [Source(one, site.source_state(one, findings)) for one in site.sources.sources()]


def _look(context: Context) -> _Found:
    """Ask everything; runs in a thread."""
    site = context.site
    return _Found(
        sources=_sources(context),
        findings=site.health.findings(),
        canaries=site.sources.canaries(),
        backlog=site.outbox.backlog(),
        faults=list(site.rule_faults()),
        usage=site.alerts.usage(context.now),
        disk=site.disk(),
        state=site.state(),
        quarantined=site.quarantined(),
    )


async def table(context: Context) -> Table:
    """Return the sources."""
    return Table("health", COLUMNS, await context.read(_sources, context))


async def show(context: Context) -> Response:
    """Show everything about Tocsin itself."""
    found = await context.read(_look, context)
    counters = [
        (text, found.state.samples[name]) for name, text in COUNTERS if name in found.state.samples
    ]
    return context.page(
        "health.html",
        found=found,
        table=Table("health", COLUMNS, found.sources),
        counters=counters,
        settings=context.site.settings,
        responding=context.site.responding,
        now=context.now,
    )


PAGES = [Page("/health", show, "view", name="health", table=table, columns=COLUMNS)]
