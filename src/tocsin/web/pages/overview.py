"""The overview: what needs somebody now, what is going on, and whether the alarm is alive."""

from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
from starlette.responses import Response

from tocsin.model.alert import SEVERITIES, Severity
from tocsin.model.incident import Incident, IncidentFilter, State
from tocsin.model.ports import AlertFilter, SourceState
from tocsin.model.queries import Bucket, EventBucket, Facet, FacetName
from tocsin.model.response import Response as Responded
from tocsin.model.response import ResponseFilter
from tocsin.web import charts
from tocsin.web.filters import Parameter, moment
from tocsin.web.page import Context, Page
from tocsin.web.patience import Patience
from tocsin.web.pulse import WAITING
from tocsin.web.site import Alerts

BARS = 60
TOP = 5
TOP_SECONDS = 0.6
SHOWN_INCIDENTS = 8
SHOWN_RESPONSES = 5
# What may have been done, and nobody knows: told for so long.
UNCLEAR, UNCLEAR_SECONDS = ResponseFilter(states=("unknown",)), 86400.0
ACTIVE: tuple[State, ...] = ("open", "acknowledged", "contained")
RANGES = (("1h", "last hour"), ("24h", "last 24 hours"), ("7d", "last 7 days"))
PARAMETERS = (Parameter("since", "From when on: an age such as 1h or 24h, or a time."),)

_TOPS: tuple[FacetName, ...] = ("user", "rule", "namespace")
_DEFAULT = timedelta(hours=24)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What the overview says, as its JSON twin has it.

    Attributes:
        since: from when on `alerts`, `events` and `top` count; RFC 3339.
        until: until when.
        active: incidents that are not closed, by severity.
        waiting: responses that wait for approval.
        alerts: alerts by severity.
        events: events received.
        top: the most frequent values among alerts of low severity and above; null where there
            are too many alerts to count at once.
        warnings: what is wrong with Tocsin itself.
    """

    since: datetime
    until: datetime
    active: dict[Severity, int]
    waiting: int
    alerts: dict[Severity, int]
    events: int
    top: dict[FacetName, list[Facet] | None]
    warnings: tuple[str, ...] = ()


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one look at the store found."""

    summary: Summary
    incidents: list[Incident]
    waiting: list[Responded]
    unclear: list[Responded]
    timeline: list[Bucket]
    events: list[EventBucket]
    sources: list[SourceState]
    end: datetime


def _look(context: Context, start: datetime, end: datetime) -> _Found:
    """Ask the store; runs in a thread."""
    site = context.site
    recent = AlertFilter(since=start)
    telling = AlertFilter(since=start, min_severity="low")
    timeline = site.alerts.timeline(recent, start, end, BARS)
    events = site.alerts.event_timeline(None, start, end, BARS)
    return _Found(
        summary=Summary(
            since=start,
            until=end,
            active=_active(context),
            waiting=site.responses.count(WAITING),
            alerts={
                severity: sum(bucket.counts.get(severity, 0) for bucket in timeline)
                for severity in SEVERITIES
            },
            events=sum(bucket.count for bucket in events),
            top=_tops(site.alerts, telling),
            warnings=context.room.pulse.beat.warnings,
        ),
        incidents=site.incidents.worst(IncidentFilter(states=ACTIVE), SHOWN_INCIDENTS),
        waiting=site.responses.responses(WAITING, SHOWN_RESPONSES),
        unclear=[
            one
            for one in site.responses.responses(UNCLEAR, SHOWN_RESPONSES)
            if one.updated > context.now - UNCLEAR_SECONDS
        ],
        timeline=list(timeline),
        events=list(events),
        sources=site.sources.sources(),
        end=end,
    )


def _tops(alerts: Alerts, where: AlertFilter) -> dict[FacetName, list[Facet] | None]:
    patience = Patience(TOP_SECONDS)
    found = {by: patience.ask(partial(alerts.facets, where, by, TOP)) for by in _TOPS}
    return {by: None if facets is None else list(facets) for by, facets in found.items()}


def _active(context: Context) -> dict[Severity, int]:
    """Return how many incidents of each severity are not closed."""
    least = [
        context.site.incidents.count(IncidentFilter(states=ACTIVE, min_severity=severity))
        for severity in SEVERITIES
    ]
    return {
        severity: here - above
        for severity, here, above in zip(SEVERITIES, least, [*least[1:], 0], strict=True)
    }


async def _found(context: Context) -> _Found:
    end = datetime.fromtimestamp(context.now, UTC)
    start = moment(context.query, "since", context.now) or end - _DEFAULT
    # The present minute is not over, and is shown.
    return await context.read(_look, context, min(start, end), end + timedelta(minutes=1))


async def summary(context: Context) -> Summary:
    """Return the overview as data."""
    return (await _found(context)).summary


async def show(context: Context) -> Response:
    """Show the overview."""
    found = await _found(context)
    site = context.site
    findings = await context.read(site.health.findings)
    return context.page(
        "overview.html",
        found=found,
        summary=found.summary,
        ranges=RANGES,
        alerts_chart=charts.stacked(
            [bucket.start for bucket in found.timeline],
            [bucket.counts for bucket in found.timeline],
            found.end,
            SEVERITIES,
        ),
        events_chart=charts.stacked(
            [bucket.start for bucket in found.events],
            [{"events": bucket.count} for bucket in found.events],
            found.end,
            ("events",),
        ),
        states=[(source, site.source_state(source, findings)) for source in found.sources],
        rule_titles=await context.read(_titles, context, found.summary),
    )


def _titles(context: Context, found: Summary) -> dict[str | None, str]:
    wanted = {facet.value for facet in found.top["rule"] or ()}
    return {rule.id: rule.title for rule in context.site.rules() if rule.id in wanted}


PAGES = [
    Page(
        "/",
        show,
        "view",
        name="overview",
        record=summary,
        record_type=Summary,
        parameters=PARAMETERS,
    ),
]
