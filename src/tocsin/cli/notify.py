"""`tocsin notify`: find out whether notifications reach people, and which of them."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from tocsin.cli.options import ConfigOption, DataOption, JsonOption, read_config
from tocsin.model.alert import SEVERITIES, Alert, Severity
from tocsin.model.errors import TocsinError
from tocsin.model.incident import Incident
from tocsin.model.routes import Route, Routed, route
from tocsin.model.text import visible
from tocsin.notify import AnyChannelSettings, deliver_test, make_notifier
from tocsin.runtime.config import Config
from tocsin.store import read_store

notify_app = typer.Typer(no_args_is_help=True, help="Check the channels that people are told by.")


@notify_app.callback()
def _notify() -> None:
    """Check the channels that people are told by."""


@notify_app.command("test")
def send_test(
    channel: Annotated[
        str | None, typer.Argument(help="Name of the channel; without it, every channel.")
    ] = None,
    *,
    config: ConfigOption = None,
) -> None:
    """Send a test alert through the configured channels and say what came of it.

    Example: tocsin notify test ops --config tocsin.yaml
    """
    channels = _channels(read_config(config))
    if channel is not None and channel not in channels:
        message = f"there is no channel {channel!r}; there are: {', '.join(channels)}"
        raise TocsinError(message)
    console = Console(highlight=False)
    failed = 0
    for name in [channel] if channel is not None else channels:
        outcome = asyncio.run(deliver_test(make_notifier(name, channels[name]), time.time()))
        failed += not outcome.ok
        mark = "[green]delivered[/green]" if outcome.ok else "[bold red]failed[/bold red]"
        console.print(f"{name}: {mark}:", end=" ")
        console.print(outcome.detail, markup=False)
    raise typer.Exit(1 if failed else 0)


@notify_app.command("route")
def show_route(
    alert_id: Annotated[str, typer.Argument(help="Id of a stored alert.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who would be told about a stored alert now, and why. Nothing is sent.

    Example: tocsin notify route 0f3a9c --config tocsin.yaml
    """
    settings = read_config(config, data)
    _channels(settings)
    alert, incident = _find(settings, alert_id)
    worst = _worst(alert, incident)
    routed = route(alert, settings.lowest_severities, settings.routes, worst)
    if as_json:
        print(_as_json(alert, incident, worst, routed))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"alert {alert.id} [{alert.rule.severity}] {alert.rule.title}", markup=False)
    if incident is not None:
        title = visible(incident.title)
        console.print(f"of incident {incident.id} [{incident.severity}] {title}", markup=False)
        if worst != alert.rule.severity:
            console.print("the incident is worse than the alert, and told by its own severity")
    console.print(_routes_in_words(routed, settings.routes), markup=False)
    for name, lowest in settings.lowest_severities.items():
        console.print(f"  {name}: {_why(name, lowest, worst, routed)}", markup=False)


def _channels(config: Config) -> dict[str, AnyChannelSettings]:
    if not config.notify:
        message = "no channel is configured: name one under `notify` in the configuration"
        raise TocsinError(message)
    return config.channels


def _find(config: Config, alert_id: str) -> tuple[Alert, Incident | None]:
    with read_store(config.store_path) as store:
        stored = store.alert(alert_id)
        if stored is None:
            message = f"there is no alert {alert_id!r}: `tocsin alerts --json` shows their ids"
            raise TocsinError(message)
        incident = store.incidents.incident_of(alert_id)
        return stored.alert, store.incidents.incident(incident) if incident else None


def _worst(alert: Alert, incident: Incident | None) -> Severity:
    severities = [alert.rule.severity, *([incident.severity] if incident else [])]
    return max(severities, key=SEVERITIES.index)


def _routes_in_words(routed: Routed, routes: Sequence[Route]) -> str:
    if not routed.routes:
        why = "no route matches" if routes else "there are no routes"
        return f"{why}, so every channel is told that wants its severity:"
    numbers = ", ".join(f"routes[{number}]" for number in routed.routes)
    return f"{numbers} in the configuration {'match' if len(routed.routes) > 1 else 'matches'}:"


def _why(name: str, lowest: Severity, worst: Severity, routed: Routed) -> str:
    if name in routed.channels:
        return "told"
    if SEVERITIES.index(worst) < SEVERITIES.index(lowest):
        return f"not told: it wants {lowest} or worse"
    return "not told: the route does not name it"


def _as_json(alert: Alert, incident: Incident | None, worst: Severity, routed: Routed) -> str:
    found = {
        "alert": alert.id,
        "incident": incident.id if incident else None,
        "severity": worst,
        "routes": routed.routes,
        "channels": routed.channels,
    }
    return msgspec.json.encode(found).decode()
