"""`tocsin respond`: what was done to clusters, what waits for a person, and the kill switch."""

import json
import time
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from tocsin.cli.incidentpick import one_of, person
from tocsin.cli.incidentview import console
from tocsin.cli.options import ConfigOption, DataOption, JsonOption, read_config
from tocsin.cli.respondorder import ORDERS, ResponseArgument, find
from tocsin.cli.respondplan import plan
from tocsin.cli.respondview import page, table
from tocsin.ingest.seal import load_or_create_key
from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoreUnavailable
from tocsin.model.response import STATES, ResponseFilter
from tocsin.respond.journal import journal_key
from tocsin.respond.journal import verify as verify_journal
from tocsin.runtime.config import Config
from tocsin.runtime.responding import FolderSwitch, journal_path
from tocsin.store.sqlite import join_store, read_store

respond_app = typer.Typer(no_args_is_help=True)


@respond_app.callback()
def respond() -> None:
    """Look at responses, approve and undo them, and stop them all."""


@respond_app.command("list")
def list_responses(  # noqa: PLR0913 - every option of the command is a parameter
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="Only this state; repeat it for several."),
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action.")] = None,
    alert: Annotated[str | None, typer.Option(help="Only responses to this alert.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")] = False,
) -> None:
    """Show responses, the one with the latest change last.

    Example: tocsin respond list --state awaiting-approval
    """
    where = ResponseFilter(
        states=tuple(one_of(name, STATES, "state") for name in state or ()),
        cluster=cluster,
        action=action,
        alerts=(alert,) if alert else (),
    )
    settings = read_config(config, data)
    with read_store(settings.store_path) as store:
        found = store.responses.responses(where, limit)[::-1]
        more = store.responses.count(where) - len(found)
        known = store.responses.count(ResponseFilter())
    if as_json:
        for response in found:
            _print_json(response)
        return
    if found:
        console().print(table(found))
    _say_rest(settings, len(found), more, known)


@respond_app.command()
def show(
    response_id: ResponseArgument,
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell one response from the event that caused it to the proof that it was done.

    Example: tocsin respond show 5a0b85
    """
    with read_store(read_config(config, data).store_path) as store:
        found = find(store, response_id)
        entries = store.responses.entries(found.plan.id)
        stored = store.alert(found.plan.alert_id)
    if as_json:
        alert = stored.alert if stored else None
        _print_json({"response": found, "alert": alert, "journal": entries})
    else:
        console().print(page(found, entries, stored))


@respond_app.command()
def stop(
    *,
    why: Annotated[str, typer.Option(help="The reason, for those who find it stopped.")] = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Stop all responses at once, and keep them stopped, also after a restart.

    Example: tocsin respond stop --why "it deletes what it should not"
    """
    settings = read_config(config, data)
    folder = settings.responses_folder
    FolderSwitch(folder, time.time).stop(person(), why)
    print(f"responses are stopped by {folder / 'stopped'}; `tocsin respond start` starts them")
    _note(settings, "responses stopped", why)


@respond_app.command()
def start(*, config: ConfigOption = None, data: DataOption = None) -> None:
    """Let responses run again. What was refused meanwhile stays refused.

    Example: tocsin respond start
    """
    settings = read_config(config, data)
    switch = FolderSwitch(settings.responses_folder, time.time)
    was = switch.stopped()
    switch.start(person())
    print("responses run again" if was else "responses were not stopped")
    if not settings.respond.enabled:
        _warn("respond.enabled is false in the configuration, so nothing runs all the same.")
    _note(settings, "responses started", "")


@respond_app.command()
def verify(*, config: ConfigOption = None, data: DataOption = None) -> None:
    """Check that no line of the journal was changed, taken out, moved or added by another hand.

    Exit code 1 says that one was, and the output where.

    Example: tocsin respond verify
    """
    settings = read_config(config, data)
    path = journal_path(settings)
    if not settings.key_path.exists():
        message = f"{settings.key_path}: the key is not there, so nothing can be checked"
        raise TocsinError(message)
    key = journal_key(load_or_create_key(settings.key_path))
    head = _head(settings)
    try:
        faults = verify_journal(path, key, head)
    except OSError as error:
        message = f"{path}: the journal cannot be read: {error.strerror}"
        raise TocsinError(message) from error
    for fault in faults:
        print(f"{path}: {fault.kind}: {fault}")
    if any(fault.kind != "torn" for fault in faults):
        raise typer.Exit(1)
    if head is None and not path.exists():
        print(f"{path}: there is no journal yet")
        return
    known = f", up to line {head[0]:,} as the store knows it" if head else ""
    print(f"{path}: every line is as it was written{known}")


def _head(settings: Config) -> tuple[int, str] | None:
    """Return the last line that the store knows; without the store, that is not checked."""
    try:
        with read_store(settings.store_path) as store:
            return store.responses.head()
    except (TocsinError, StoreUnavailable) as error:
        _warn(f"lines missing at the end cannot be told: {error}")
        return None


def _note(settings: Config, what: str, detail: str) -> None:
    """Note what somebody did; the switch works without a store as well."""
    try:
        with join_store(settings.store_path) as store:
            store.people.note(person(), what, detail, time.time())
    except (TocsinError, StoreUnavailable) as error:
        _warn(f"this is not noted under what people did: {error}")


def _say_rest(settings: Config, shown: int, more: int, known: int) -> None:
    """Say what the table leaves out, or why there is none, and whether anything can run."""
    if more > 0:
        _warn(f"{more:,} older not shown: --limit shows more.")
    if not shown:
        _warn(
            "No response matches; try fewer filters."
            if known
            else "No responses yet: an alert that a response rule is for makes one, also a dry run."
        )
    stop = FolderSwitch(settings.responses_folder, time.time).stopped()
    if stop:
        console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        why = f": {json.dumps(stop.why)}" if stop.why else ""
        console.print(f"! Responses are STOPPED by {json.dumps(stop.who)}{why}", style="bold red")


def _warn(line: str) -> None:
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(line)


def _print_json(value: object) -> None:
    print(json.dumps(msgspec.to_builtins(value), separators=(",", ":")))


respond_app.command()(plan)
for _order in ORDERS:
    respond_app.command()(_order)
