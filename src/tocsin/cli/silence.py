"""`tocsin silence`: alerts that nobody wants to be told of for a while."""

import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tocsin.cli.alerts import PIPED_WIDTH, safe
from tocsin.cli.incidentpick import person
from tocsin.cli.options import ConfigOption, DataOption, JsonOption, read_config
from tocsin.model.alert import SEVERITIES
from tocsin.model.errors import TocsinError
from tocsin.model.matcher import matcher_of
from tocsin.model.silence import Silence, new_silence
from tocsin.model.times import parse_duration
from tocsin.store.sqlite import join_store, read_store

silence_app = typer.Typer(
    name="silence",
    help="Hide alerts from lists and notifications for a while; they are kept and counted.",
    no_args_is_help=True,
)

IdArgument = Annotated[int, typer.Argument(metavar="ID", help="The silence's number.")]


@silence_app.command("add")
def add(  # noqa: PLR0913 - every option of the command is a parameter
    *,
    reason: Annotated[str, typer.Option(help="Why these alerts may be hidden.")],
    rule: Annotated[str | None, typer.Option(help="The rule's id.")] = None,
    cluster: Annotated[str | None, typer.Option(help="The cluster.")] = None,
    user: Annotated[str | None, typer.Option(help="The user.")] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="The namespace.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The object's name.")] = None,
    resource: Annotated[str | None, typer.Option(help="The resource, such as pods/exec.")] = None,
    verb: Annotated[str | None, typer.Option(help="The verb.")] = None,
    network: Annotated[
        str | None, typer.Option(help="A network that all addresses lie in: 10.0.0.0/8.")
    ] = None,
    severity: Annotated[
        str | None,
        typer.Option(metavar="|".join(SEVERITIES), help="The highest severity to hide."),
    ] = None,
    lasts: Annotated[str, typer.Option("--for", help="For how long, at most 90d.")] = "24h",
    owner: Annotated[
        str | None, typer.Option(help="Who answers for it.", show_default="you")
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hide the alerts that match all of what is given; `*` stands for any text.

    Critical alerts, and those about Tocsin itself, are hidden only where --rule names the id in
    full.

    Example: tocsin silence add --user 'ci-*' --namespace build --for 2h --reason "load test"
    """
    parts = {
        "rule": rule,
        "cluster": cluster,
        "user": user,
        "namespace": namespace,
        "name": name,
        "resource": resource,
        "verb": verb,
        "network": network,
        "severity": severity,
    }
    now, who = time.time(), person()
    seconds = parse_duration(lasts, "--for").total_seconds()
    silence = new_silence(matcher_of(parts), owner or who, reason, now, seconds)
    with join_store(read_config(config, data).store_path) as store:
        added = store.silences.add(silence)
        store.people.note(who, "silence added", f"{added.id}: {added.matcher.words}", now)
    if as_json:
        _print_json(added)
    else:
        words = safe(added.matcher.words)
        print(f"Silence {added.id} hides alerts where {words}, until {_stamp(added.expires)} UTC.")


@silence_app.command("list")
def list_silences(
    *,
    show_all: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List silences, the newest first, with how many alerts each has hidden.

    Example: tocsin silence list --all
    """
    now = time.time()
    with read_store(read_config(config, data).store_path) as store:
        known = store.silences.silences()
    found = [one for one in known if show_all or one.state(now) == "active"]
    if as_json:
        for one in found:
            _print_json(one)
    elif found:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = PIPED_WIDTH
        console.print(_table(found, now))
    else:
        over = f" {len(known)} are over: --all shows them." if known else ""
        print(f"No silence is active.{over}", file=sys.stderr)


@silence_app.command("end")
def end(number: IdArgument, *, config: ConfigOption = None, data: DataOption = None) -> None:
    """End a silence now. What it hid stays hidden, and can be shown.

    Example: tocsin silence end 12
    """
    now, who = time.time(), person()
    with join_store(read_config(config, data).store_path) as store:
        before = store.silences.silence(number)
        if before is not None and before.state(now) != "active":
            message = f"silence {number} is over already"
            raise TocsinError(message)
        ended = store.silences.end(number, who, now)
        store.people.note(who, "silence ended", f"{ended.id}: {ended.matcher.words}", now)
    print(f"Silence {ended.id} is over; it hid {ended.hidden:,} alerts.")


def _table(silences: list[Silence], now: float) -> Table:
    shown = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
    for column in ("id", "state", "until", "hid", "owner", "hides alerts where", "reason"):
        shown.add_column(column, overflow="fold")
    for one in silences:
        shown.add_row(
            str(one.id),
            one.state(now),
            _stamp(one.ended or one.expires),
            f"{one.hidden:,}",
            Text(safe(one.owner)),
            Text(safe(one.matcher.words)),
            Text(safe(one.reason)),
        )
    return shown


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")


def _print_json(silence: Silence) -> None:
    sys.stdout.write(msgspec.json.encode(silence).decode() + "\n")
