"""`tocsin incidents`: what belongs together, as one story; and what people make of it."""

import json
import time
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from tocsin.cli.alerts import parse_since
from tocsin.cli.incidentchange import CHANGES
from tocsin.cli.incidentpick import IdArgument, one_of, person, resolve, settings_of, unknown
from tocsin.cli.incidentview import EVIDENCE_SHOWN, console, page, table
from tocsin.cli.options import ConfigOption, DataOption, read_config
from tocsin.model.alert import SEVERITIES
from tocsin.model.bundle import Bundle, bundle_of
from tocsin.model.incident import STATES, Incident, IncidentFilter, State
from tocsin.store.sqlite import SqliteStore, read_store

_NOT_CLOSED: tuple[State, ...] = ("open", "acknowledged", "contained")

incidents_app = typer.Typer()

JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


@incidents_app.callback(invoke_without_command=True)
def incidents(  # noqa: PLR0913 - every option of the command is a parameter
    context: typer.Context,
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    severity: Annotated[
        str, typer.Option(metavar="|".join(SEVERITIES), help="Lowest severity to show.")
    ] = "low",
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="|".join(STATES), help="Only this state; repeat it for several."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Active since (30m, 24h, 7d, or a time in RFC 3339).")
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    user: Annotated[str | None, typer.Option(help="Only those this user has part in.")] = None,
    text: Annotated[str | None, typer.Option(help="Only incidents that contain this text.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")] = False,
) -> None:
    """Show incidents that are not closed, the one with the latest activity last.

    Example: tocsin incidents --since 24h --severity high
    """
    context.obj = (config, data)
    if context.invoked_subcommand is not None:
        return
    where = IncidentFilter(
        since=parse_since(since, datetime.now(UTC)) if since else None,
        states=tuple(one_of(name, STATES, "state") for name in state or ()) or _NOT_CLOSED,
        min_severity=one_of(severity, SEVERITIES, "severity"),
        cluster=cluster,
        actor=user,
        text=text,
    )
    with read_store(read_config(config, data).store_path) as store:
        found = store.incidents.incidents(where, limit)[::-1]
        if as_json:
            for incident in found:
                _print_json(incident)
            return
        if found:
            console().print(table(found))
        for line in _left_out(store, where, len(found)):
            Console(stderr=True, highlight=False, soft_wrap=True).print(line)


@incidents_app.command()
def show(
    context: typer.Context,
    incident_id: IdArgument,
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell one incident: its story, timeline, techniques, what was touched, and the evidence.

    Example: tocsin incidents show 5a0b85
    """
    with read_store(settings_of(context, config, data).store_path) as store:
        found = store.incidents.incident(resolve(store, incident_id))
        if found is None:  # it was pruned since it was looked up
            raise unknown(incident_id)
        log = store.incidents.log_of(found.id)
        alerts = store.incidents.alerts_of(found.id, EVIDENCE_SHOWN)
    if as_json:
        _print_json(found)
    else:
        console().print(page(found, log, [stored.alert for stored in alerts]))


@incidents_app.command()
def export(
    context: typer.Context,
    incident_id: IdArgument,
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print an incident with its log, all its alerts and the digests of their events as JSON.

    Example: tocsin incidents export 5a0b85 > incident.json
    """
    with read_store(settings_of(context, config, data).store_path) as store:
        now = time.time()
        _print_json(bundle_of(store.incidents, resolve(store, incident_id), person(), now))


def _left_out(store: SqliteStore, where: IncidentFilter, shown: int) -> list[str]:
    """Return what to say of incidents that are not shown, or why there are none."""
    lines = []
    everything = msgspec.structs.replace(where, states=())
    closed = store.incidents.count(everything) - store.incidents.count(where)
    if where.states == _NOT_CLOSED and closed:
        lines.append(f"{closed:,} closed not shown: --state closed shows them.")
    more = store.incidents.count(where) - shown
    if more > 0:
        lines.append(f"{more:,} older not shown: --limit shows more.")
    if not shown and not lines:
        lines.append(_why_empty(store))
    return lines


def _why_empty(store: SqliteStore) -> str:
    if store.incidents.count(IncidentFilter()):
        return "No incident matches. Try --severity info, an earlier --since, or fewer filters."
    waiting = store.incidents.grouping.waiting()
    if waiting:
        return f"No incidents yet: {waiting:,} alerts wait to be looked at by `tocsin serve`."
    return (
        "No incidents: nothing above info was found. `tocsin sources` tells whether events "
        "arrive; `tocsin demo` shows what incidents look like."
    )


def _print_json(value: Incident | Bundle) -> None:
    print(json.dumps(msgspec.to_builtins(value), separators=(",", ":")))


for _change in CHANGES:
    incidents_app.command()(_change)
