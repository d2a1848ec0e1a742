"""The ATT&CK matrix: what was found in each technique, which rules look for it, which can fire."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast, get_args

from starlette.responses import Response

from tocsin.attack.catalog import catalog
from tocsin.model.alert import Technique
from tocsin.model.errors import TocsinError
from tocsin.model.ports import AlertFilter
from tocsin.model.queries import QueryTooWide
from tocsin.web.filters import Parameter, alert_filter, text
from tocsin.web.matrix import Cell, Counts, Matrix, arrange, count, heat
from tocsin.web.page import Context, Page
from tocsin.web.pages.rules import firing_rules
from tocsin.web.tables import Column, Table
from tocsin.web.workbench import key_of

View = Literal["alerts", "rules", "firing"]

VIEWS: tuple[tuple[View, str], ...] = (
    ("alerts", "Alerts"),
    ("rules", "Rules"),
    ("firing", "Rules that can fire"),
)
PLATFORM = "Containers"
ALL_PLATFORMS = "all"
RANGE = timedelta(days=7)
MAX_TECHNIQUES = 10_000

PARAMETERS = (
    Parameter("since", "From when on alerts count: an age such as 7d, or a time (RFC 3339)."),
    Parameter("until", "Until when, likewise; not included."),
    Parameter("cluster", "Only alerts of this cluster."),
    Parameter("platform", "Techniques of which platform.", (PLATFORM, ALL_PLATFORMS)),
    Parameter("show", "What a page shows in each cell.", get_args(View)),
)


@dataclass(frozen=True, slots=True)
class CellRow:
    """A technique below a tactic, as a row of the twins."""

    tactic: str
    cell: Cell


COLUMNS = (
    Column("tactic", "Tactic", lambda row: row.tactic),
    Column("technique", "Technique", lambda row: row.cell.id),
    Column("name", "Name", lambda row: row.cell.name),
    Column("alerts", "Alerts", lambda row: row.cell.counts.alerts, "integer"),
    Column("rules", "Rules", lambda row: row.cell.counts.rules, "integer"),
    Column("firing", "Rules that can fire", lambda row: row.cell.counts.firing, "integer"),
)


@dataclass(frozen=True, slots=True)
class _Found:
    """The matrix with what it counts; `counted` is False where alerts are too many to count."""

    where: AlertFilter
    matrix: Matrix
    counts: dict[str, Counts]
    counted: bool


async def table(context: Context) -> Table:
    """Return the cells column by column, each sub-technique below its technique."""
    found = await _find(context)
    rows = [
        CellRow(column.short, one)
        for column in found.matrix.columns
        for cell in column.cells
        for one in (cell, *cell.parts)
    ]
    return Table("attack", COLUMNS, rows)


async def show(context: Context) -> Response:
    """Show the page."""
    found = await _find(context)
    view = _view(context)
    cells = [cell for column in found.matrix.columns for cell in column.cells]
    values = [number_of(cell, view) for cell in cells]
    return context.page(
        "attack.html",
        version=catalog().version,
        matrix=found.matrix,
        counted=found.counted,
        where=found.where,
        view=view,
        views=VIEWS,
        platform=_platform(context) or ALL_PLATFORMS,
        top=max(values, default=0),
        total=sum(values),
        number_of=number_of,
        heat=heat,
        covered=len({cell.id for cell in cells if cell.counts.rules}),
        techniques=len({cell.id for cell in cells}),
    )


def number_of(cell: Cell, view: View) -> int:
    """Return what a cell shows."""
    number: int = getattr(cell.counts, view)
    return number


async def _find(context: Context) -> _Found:
    where = alert_filter({"since": _since(context), **_asked(context)}, context.now)
    rules, firing, alerts = await asyncio.gather(
        context.read(context.site.workbench.rules), firing_rules(context), _alerts(context, where)
    )
    counts = count(
        alerts or {},
        [_ids(rule.attack) for rule in rules],
        [_ids(rule.attack) for rule in rules if key_of(rule) in firing],
    )
    matrix = arrange(catalog(), counts, _platform(context))
    return _Found(where, matrix, counts, alerts is not None)


def _asked(context: Context) -> dict[str, str]:
    names = ("since", "until", "cluster")
    return {name: context.query[name] for name in names if context.query.get(name)}


def _since(context: Context) -> str:
    return (datetime.fromtimestamp(context.now, UTC) - RANGE).isoformat()


def _platform(context: Context) -> str | None:
    """Return the platform asked for, None for all.

    Raises:
        TocsinError: no technique is for this platform.
    """
    asked = text(context.query, "platform") or PLATFORM
    if asked == ALL_PLATFORMS:
        return None
    if not any(asked in one.platforms for one in catalog().techniques.values()):
        message = f"platform {asked!r} is not one of ATT&CK's; there is {PLATFORM}, or all"
        raise TocsinError(message)
    return asked


def _view(context: Context) -> View:
    """Return what the cells are to show.

    Raises:
        TocsinError: there is no such view.
    """
    asked = text(context.query, "show") or "alerts"
    if asked not in get_args(View):
        message = f"show {asked!r} is not one of {', '.join(get_args(View))}"
        raise TocsinError(message)
    return cast("View", asked)


async def _alerts(context: Context, where: AlertFilter) -> dict[str, int] | None:
    """Return how many alerts name each technique, None if they are too many to count."""
    try:
        found = await context.read(context.site.alerts.facets, where, "technique", MAX_TECHNIQUES)
    except (QueryTooWide, TimeoutError):
        return None
    return {one.value: one.count for one in found if one.value is not None}


def _ids(techniques: Sequence[Technique]) -> list[str]:
    return [one.technique for one in techniques]


PAGES = [
    Page(
        "/attack",
        show,
        "view",
        name="attack",
        table=table,
        columns=COLUMNS,
        parameters=PARAMETERS,
    )
]
