"""How responses look on a terminal. Text of the cluster is shown literally."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tocsin.cli.alerts import STYLES, UNPROVEN, safe
from tocsin.model.ports import StoredAlert
from tocsin.model.response import Call, Entry, Response, State

_COLUMNS = ("id", "last change", "state", "response", "cluster", "asked by", "what became of it")
_COLOURS: dict[State, str] = {
    "awaiting-approval": "yellow",
    "started": "yellow",
    "undoing": "yellow",
    "failed": "bold red",
    "unknown": "bold white on red",
    "done": "green",
    "verified": "green",
}
# What the journal holds of a step, with the words for it.
_DETAILS = (
    ("audit_id", "Audit-ID"),
    ("audit_ids", "Audit-IDs"),
    ("call", "call"),
    ("answer", "answer"),
    ("error", "error"),
    ("argv", "arguments"),
    ("exit_code", "exit code"),
    ("evidence", "evidence"),
)


def table(found: Sequence[Response]) -> Table:
    """Return responses as a table."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for column in _COLUMNS:
        shown.add_column(column, overflow="fold")
    for response in found:
        plan = response.plan
        shown.add_row(
            plan.id[:12],
            moment(response.updated),
            _state(response.state),
            Text(safe(f"{plan.action} {plan.target.words}")),
            Text(safe(plan.cluster)),
            Text(safe(plan.asked_by)),
            Text(safe(response.text)),
        )
    return shown


def page(
    response: Response, entries: Sequence[Entry], stored: StoredAlert | None
) -> RenderableType:
    """Return what there is to tell of one response, from its event to its proof."""
    plan = response.plan
    first = Text(f"{plan.id}  ").append(_state(response.state)).append("  ")
    first.append(Text(safe(f"{plan.action} {plan.target.words}"), style="bold"))
    latest: dict[str, object] = {}
    for entry in entries:
        latest |= entry.data
    prepared = latest.get("prepared")
    prepared = prepared if isinstance(prepared, Mapping) else {}
    notes = prepared.get("notes")
    return Group(
        first,
        Text(safe(response.text)),
        *_section("Event", _event(stored)),
        *_section("Alert", _alert(response, stored)),
        *_section("Plan", _plan(response)),
        *_section("To know", [_line(str(note)) for note in _list(notes)]),
        *_section("Changes asked for", map(_call, response.calls)),
        *_section("Before", _json(prepared.get("before"))),
        *_section("After", _json(latest.get("after"))),
        *_section("Journal", _journal(entries)),
        *_section("Proof", [_line(_proof(response))]),
    )


def moment(time: float) -> str:
    """Return a time for people, in UTC to the second."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _event(stored: StoredAlert | None) -> list[Text]:
    alert = stored.alert if stored else None
    if alert is None or alert.event is None:
        return [_line("not kept any more")]
    user, event, target = alert.actor.user or "-", alert.event, alert.target
    place = "/".join(filter(None, (target.namespace, target.name)))
    time = alert.time[:19].replace("T", " ")
    return [
        _line(f"{time} {user} {target.verb} {target.resource} {place}"),
        _line(f"Audit-ID {event.audit_id}, answered with {event.code}"),
        *(_line(f"digest {digest}") for digest in alert.evidence),
    ]


def _alert(response: Response, stored: StoredAlert | None) -> list[Text]:
    if stored is None:
        return [_line(f"{response.plan.alert_id or 'none'}, not kept any more")]
    rule = stored.alert.rule
    line = Text(f"{safe(stored.alert.id)}  ").append(Text(rule.severity, STYLES[rule.severity]))
    line.append(f"  {safe(rule.title)}")
    return [line if stored.authenticated else line.append(f" {UNPROVEN}", style="yellow")]


def _plan(response: Response) -> list[Text]:
    plan = response.plan
    parameters = json.dumps(msgspec.to_builtins(plan.parameters))
    facts = [
        f"{plan.action} {parameters} on {plan.target.words}, uid {plan.target.uid or 'not known'}",
        f"cluster {plan.cluster}, against {plan.user or '-'}",
        f"asked by {plan.asked_by} at {moment(plan.asked_at)}, response rule {plan.rule}, "
        f"mode {plan.mode}",
        response.effect,
        "can be undone" if plan.reversible else "cannot be undone",
    ]
    if response.digest:
        facts.append(f"digest {response.digest}")
    if response.expires and response.state == "awaiting-approval":
        facts.append(f"can be approved until {moment(response.expires)}")
    if response.undo_at:
        facts.append(f"undone by itself at {moment(response.undo_at)}")
    return [_line(fact) for fact in facts if fact]


def _call(call: Call) -> Text:
    subresource = f"/{call.subresource}" if call.subresource else ""
    body = f" {json.dumps(msgspec.to_builtins(call.body))}" if call.body is not None else ""
    title = f"{call.title}: " if call.title else ""
    return _line(f"{title}{call.verb} {call.target.words}{subresource}{body}")


def _journal(entries: Sequence[Entry]) -> Iterable[Text]:
    for entry in entries:
        who = "" if entry.who == "tocsin" else f" ({entry.who})"
        state = f"{entry.state}: " if entry.state else ""
        yield _line(f"{entry.seq:>5} {moment(entry.time)} {state}{entry.text}{who}")
        for key, name in _DETAILS:
            if key in entry.data:
                yield Text(safe(f"      {name} {json.dumps(entry.data[key])}"), style="dim")


def _proof(response: Response) -> str:
    if not response.calls:
        return "nothing was asked of the API server"
    of = f"{response.proved} of {len(response.calls)} changes"
    return f"{of} are in the API server's audit log, under our signed Audit-IDs"


def _json(value: object) -> list[Text]:
    return [Text(json.dumps(value, indent=2))] if value else []


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _section(title: str, lines: Iterable[RenderableType]) -> list[RenderableType]:
    """Return a heading with indented lines, or nothing when there are none."""
    shown = list(lines)
    return [Text(f"\n{title}", style="bold"), Padding(Group(*shown), (0, 0, 0, 2))] if shown else []


def _state(state: State) -> Text:
    return Text(state, style=_COLOURS.get(state, ""))


def _line(text: str) -> Text:
    return Text(safe(text))
