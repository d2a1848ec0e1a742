"""Rules: which are in force, how often they fire, whether they can; one rule with its text."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response

from tocsin.model.alert import SEVERITIES, RuleRef
from tocsin.model.digest import digest
from tocsin.model.ports import AlertFilter
from tocsin.model.queries import QueryTooWide
from tocsin.web.charts import sparkline
from tocsin.web.filters import Parameter, severity, text
from tocsin.web.jsontext import lines_text
from tocsin.web.page import Context, Page
from tocsin.web.tables import Column, Table
from tocsin.web.workbench import Firing, RuleKey, is_web_link, key_of, rule_path

MAX_COUNTED = 10_000
RECENT_ALERTS = 10
SPARK_DAYS = 7
_DAY = timedelta(days=1)
_UNKNOWN = Firing("unknown")

PARAMETERS = (
    Parameter("severity", "Lowest severity.", SEVERITIES),
    Parameter("dialect", "Only rules of this dialect."),
    Parameter("technique", "Only rules of this ATT&CK technique, with its sub-techniques."),
    Parameter("firing", "Only rules that can fire so.", ("full", "partial", "never", "unknown")),
    Parameter("q", "Only rules whose title, id or file contains this text."),
)


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule with what is known of it; `share` is its part of all alerts of seven days.

    `day` and `week` are None where they could not be counted in time. `hidden` counts alerts that
    suppression or silences have hidden so far.
    """

    rule: RuleRef
    path: str
    firing: Firing
    day: int | None
    week: int | None
    share: float | None
    hidden: int = 0


COLUMNS = (
    Column("severity", "Severity", lambda row: row.rule.severity),
    Column("id", "Id", lambda row: row.rule.id),
    Column("title", "Rule", lambda row: row.rule.title),
    Column("dialect", "Dialect", lambda row: row.rule.dialect),
    Column("level", "Level", lambda row: row.rule.level),
    Column("source", "File", lambda row: row.rule.source),
    Column("techniques", "ATT&CK", lambda row: [one.technique for one in row.rule.attack], "array"),
    Column("alerts_24h", "Alerts in 24 hours", lambda row: row.day, "integer"),
    Column("alerts_7d", "Alerts in 7 days", lambda row: row.week, "integer"),
    Column("share_7d", "Part of all alerts in 7 days", lambda row: row.share, "number"),
    Column("hidden", "Alerts hidden so far", lambda row: row.hidden, "integer"),
    Column("firing", "Can fire", lambda row: row.firing.state),
    Column("why", "Why not", lambda row: row.firing.why),
)


async def rule_table(context: Context) -> Table:
    """Return the rules that the query asks for, the most severe first."""
    rows = [row for row in await all_rules(context) if _wanted(context, row)]
    rows.sort(key=lambda row: (-SEVERITIES.index(row.rule.severity), row.rule.title))
    return Table("rules", COLUMNS, rows)


async def all_rules(context: Context) -> list[RuleRow]:
    """Return every rule in force with what is known of it."""
    bench = context.site.workbench
    rules, firing, day, week, hidden = await asyncio.gather(
        context.read(bench.rules),
        _firing(context),
        _hits(context, _DAY),
        _hits(context, SPARK_DAYS * _DAY),
        context.read(context.site.silences.hidden),
    )
    hidden_by_rule: Counter[str] = Counter()
    for one in hidden:
        hidden_by_rule[one.rule_id] += one.count
    total = sum(week.values()) if week else 0
    return [
        RuleRow(
            rule=rule,
            path=rule_path(rule),
            firing=firing.get(key_of(rule), _UNKNOWN),
            day=None if day is None else day.get(rule.id, 0),
            week=None if week is None else week.get(rule.id, 0),
            share=round(week.get(rule.id, 0) / total, 3) if week and total else None,
            hidden=hidden_by_rule[rule.id],
        )
        for rule in rules
    ]


async def show(context: Context) -> Response:
    """Show the page."""
    table = await rule_table(context)
    rules = await context.read(context.site.workbench.rules)
    faults = await context.read(context.site.rule_faults)
    return context.page(
        "rules.html",
        table=table,
        faults=[fault for fault in faults if fault.level == "error"],
        warnings=[fault for fault in faults if fault.level == "warning"],
        total=len(rules),
        dialects=[(name, name) for name in sorted({rule.dialect for rule in rules})],
        silent=sum(row.firing.state == "never" for row in table.rows),
    )


async def show_one(context: Context) -> Response:
    """Show one rule."""
    row = await _one(context)
    where = AlertFilter(rule_id=row.rule.id)
    end = datetime.fromtimestamp(context.now, UTC)
    file, buckets, recent = await asyncio.gather(
        context.read(context.site.workbench.file_of, row.rule),
        context.read(
            context.site.alerts.timeline, where, end - SPARK_DAYS * _DAY, end, SPARK_DAYS * 8
        ),
        context.read(context.site.alerts.alerts, where, RECENT_ALERTS),
    )
    return context.page(
        "rule.html",
        row=row,
        rule=row.rule,
        file=file,
        key=context.part("key"),
        rule_text=lines_text(file.text),
        tests_text=lines_text(file.tests),
        web_links=[text for text in file.references if is_web_link(text)],
        spark=sparkline([sum(bucket.counts.values()) for bucket in buckets]),
        recent=recent,
    )


async def record(context: Context) -> RuleRef:
    """Return one rule."""
    return (await _one(context)).rule


async def _one(context: Context) -> RuleRow:
    wanted = context.part("key")
    for row in await all_rules(context):
        if digest(row.rule.dialect, row.rule.id) == wanted:
            return row
    raise HTTPException(404, "No such rule is in force. It may have been renamed or removed.")


def _wanted(context: Context, row: RuleRow) -> bool:
    query, rule = context.query, row.rule
    dialect, technique = text(query, "dialect"), text(query, "technique")
    firing, wanted = text(query, "firing"), (text(query, "q") or "").lower()
    return (
        SEVERITIES.index(rule.severity) >= SEVERITIES.index(severity(query))
        and dialect in (None, rule.dialect)
        and firing in (None, row.firing.state)
        and (technique is None or any(_is_of(one.technique, technique) for one in rule.attack))
        and any(wanted in part.lower() for part in (rule.title, rule.id, rule.source))
    )


def _is_of(technique: str, wanted: str) -> bool:
    return technique == wanted or technique.startswith(f"{wanted}.")


async def firing_rules(context: Context) -> set[RuleKey]:
    """Return the rules that can fire, at least on a part of what they are for."""
    firing = await _firing(context)
    return {key for key, one in firing.items() if one.state in ("full", "partial")}


async def _firing(context: Context) -> Mapping[RuleKey, Firing]:
    try:
        return await context.read(context.site.workbench.firing)
    except TimeoutError:
        return {}


async def _hits(context: Context, span: timedelta) -> Mapping[str, int] | None:
    """Return the alerts of each rule id in a time until now, None if that takes too long."""
    since = datetime.fromtimestamp(context.now, UTC) - span
    try:
        found = await context.read(
            context.site.alerts.facets, AlertFilter(since=since), "rule", MAX_COUNTED
        )
    except (QueryTooWide, TimeoutError):
        return None
    return {one.value: one.count for one in found if one.value is not None}


PAGES = [
    Page(
        "/rules",
        show,
        "view",
        name="rules",
        table=rule_table,
        columns=COLUMNS,
        parameters=PARAMETERS,
    ),
    Page("/rules/{key}", show_one, "view", name="rule", record=record, record_type=RuleRef),
]
