"""How incidents look on a terminal. Event text is shown literally."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tocsin.cli.alerts import PIPED_WIDTH, STYLES, UNPROVEN, safe
from tocsin.model.alert import SEVERITIES, Alert, Severity, Technique
from tocsin.model.incident import Entity, Incident, IncidentEntry

_COLUMNS = ("id", "last activity", "severity", "state", "owner", "alerts", "title")
EVIDENCE_SHOWN = 10


def console() -> Console:
    """Return a console; not on a terminal nobody reads columns, but tools read lines."""
    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = PIPED_WIDTH
    return made


def table(found: Sequence[Incident]) -> Table:
    """Return incidents as a table."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for column in _COLUMNS:
        shown.add_column(column, overflow="fold", justify="right" if column == "alerts" else "left")
    for incident in found:
        shown.add_row(
            incident.id,
            _moment(incident.last_seen),
            _severity(incident),
            _state(incident),
            Text(safe(incident.owner or "-")),
            f"{incident.alerts:,}",
            Text(safe(incident.title)),
        )
    return shown


def page(
    incident: Incident, log: Sequence[IncidentEntry], alerts: Sequence[Alert]
) -> RenderableType:
    """Return what there is to tell of one incident; `alerts` are the first that are stored."""
    first = Text(f"{incident.id}  ").append(_severity(incident)).append("  ")
    first.append(Text(safe(incident.title), style="bold"))
    parts: list[RenderableType] = [
        first,
        Text(_standing(incident), style="dim"),
        Text(""),
        Text(safe(incident.story)),
        *_section("Timeline", [_timeline(incident)], _left_out(incident)),
        *_section("Techniques, in order of first use", map(_technique, incident.techniques)),
        *_section("Touched", map(_entity, incident.entities), _more(incident.entities_left_out)),
        *_section(
            "Who", [Text(safe(who)) for who in incident.actors], _more(incident.actors_left_out)
        ),
        *_section("Log", map(_entry, log)),
        *_section("Evidence: digests of the events", _evidence(alerts), _rest(incident, alerts)),
    ]
    return Group(*parts)


def _standing(incident: Incident) -> str:
    """Return the line with what people decided."""
    parts = [
        f"cluster {safe(incident.cluster)}",
        str(_state(incident)),
        f"owner {safe(incident.owner)}" if incident.owner else "nobody looks after it",
        f"{_moment(incident.first_seen)} to {_moment(incident.last_seen)}",
    ]
    return ", ".join(parts)


def _section(title: str, lines: Iterable[RenderableType], rest: str = "") -> list[RenderableType]:
    """Return a heading with indented lines, or nothing when there are none."""
    shown = [*lines, *([Text(rest, style="dim")] if rest else [])]
    return [Text(f"\n{title}", style="bold"), Padding(Group(*shown), (0, 0, 0, 2))] if shown else []


def _timeline(incident: Incident) -> Table:
    shown = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(4):
        shown.add_column(overflow="fold")
    for step in incident.steps:
        shown.add_row(
            _moment(step.time),
            Text(step.severity, style=STYLES[step.severity]),
            step.technique or "",
            Text(safe(step.text)),
        )
    return shown


def _severity(incident: Incident) -> Text:
    severity: Severity = incident.severity
    shown = Text(severity, style=STYLES[severity])
    return shown if incident.authenticated else shown.append(f" {UNPROVEN}", style="yellow")


def _state(incident: Incident) -> str:
    verdict = f", {incident.verdict}" if incident.verdict else ""
    return f"{incident.state}{verdict}{', pinned' if incident.pinned else ''}"


def _technique(technique: Technique) -> Text:
    return Text(" ".join(filter(None, (technique.technique, technique.name))))


def _entity(entity: Entity) -> Text:
    place = f"{entity.namespace}/" if entity.namespace else ""
    name = "(all)" if entity.name == "*" else entity.name
    return Text(safe(f"{entity.kind} {place}{name}"))


def _entry(entry: IncidentEntry) -> Text:
    time = datetime.fromtimestamp(entry.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
    text = f": {entry.text}" if entry.text else ""
    return Text(safe(f"{time} {entry.who} {entry.what}{text}"))


def _evidence(alerts: Sequence[Alert]) -> list[Text]:
    digests = dict.fromkeys(digest for alert in alerts for digest in alert.evidence)
    return [Text(safe(digest)) for digest in digests]


def _rest(incident: Incident, alerts: Sequence[Alert]) -> str:
    more = incident.alerts - len(alerts)
    if more <= 0:
        return ""
    return f"and those of {more:,} more alerts: `tocsin incidents export {incident.id}` has all"


def _left_out(incident: Incident) -> str:
    if not incident.steps_left_out:
        return ""
    counts = ", ".join(
        f"{incident.alert_counts[severity]:,} {severity}"
        for severity in reversed(SEVERITIES)
        if incident.alert_counts.get(severity)
    )
    return (
        f"and {incident.steps_left_out:,} alerts of the same rules ({counts} in all): "
        f"`tocsin incidents export {incident.id}` has all of them"
    )


def _more(count: int) -> str:
    return f"and {count:,} more" if count > 0 else ""


def _moment(time: str) -> str:
    return time[:19].replace("T", " ")
