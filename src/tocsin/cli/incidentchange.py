"""What people make of incidents: `tocsin incidents ack`, `close`, `assign` and so on."""

import time
from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.incidentpick import IdArgument, one_of, person, resolve, settings_of
from tocsin.cli.options import ConfigOption, DataOption
from tocsin.model.incident import VERDICTS, Change
from tocsin.store.sqlite import SqliteStore, join_store

NoteOption = Annotated[str | None, typer.Option(help="Something to say about it, for the log.")]


def ack(
    context: typer.Context,
    incident_id: IdArgument,
    *,
    note: NoteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Acknowledge an incident: you look after it. It becomes yours if it is nobody's.

    Example: tocsin incidents ack 5a0b85 --note "looking at it"
    """
    with _opened(context, config, data) as store:
        known = store.incidents.incident(resolve(store, incident_id))
        owner = None if known is None or known.owner else person()
        change = Change(state="acknowledged", owner=owner, note=note)
        _change(store, incident_id, change, "acknowledged")


def contain(
    context: typer.Context,
    incident_id: IdArgument,
    *,
    note: NoteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say that an incident is contained: it cannot go further, but is not cleaned up.

    Example: tocsin incidents contain 5a0b85 --note "token revoked"
    """
    with _opened(context, config, data) as store:
        _change(store, incident_id, Change(state="contained", note=note), "contained")


def close(
    context: typer.Context,
    incident_id: IdArgument,
    *,
    verdict: Annotated[
        str, typer.Option(metavar="|".join(VERDICTS), help="What it was, in the end.")
    ],
    note: NoteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Close an incident with a verdict. New evidence opens it again.

    Example: tocsin incidents close 5a0b85 --verdict benign --note "a drill"
    """
    change = Change(state="closed", verdict=one_of(verdict, VERDICTS, "verdict"), note=note)
    with _opened(context, config, data) as store:
        _change(store, incident_id, change, "closed")


def reopen(
    context: typer.Context,
    incident_id: IdArgument,
    *,
    note: NoteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Open an incident again.

    Example: tocsin incidents reopen 5a0b85 --note "it was not over"
    """
    with _opened(context, config, data) as store:
        _change(store, incident_id, Change(state="open", note=note), "opened again")


def assign(
    context: typer.Context,
    incident_id: IdArgument,
    owner: Annotated[str, typer.Argument(help="Who looks after it; '' for nobody.")],
    *,
    note: NoteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say who looks after an incident.

    Example: tocsin incidents assign 5a0b85 bob
    """
    with _opened(context, config, data) as store:
        _change(store, incident_id, Change(owner=owner, note=note), "assigned")


def note(
    context: typer.Context,
    incident_id: IdArgument,
    text: Annotated[str, typer.Argument(help="The note.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Add a note to the log of an incident.

    Example: tocsin incidents note 5a0b85 "asked the team about the token"
    """
    with _opened(context, config, data) as store:
        _change(store, incident_id, Change(note=text), "noted")


def pin(
    context: typer.Context,
    incident_id: IdArgument,
    *,
    off: Annotated[bool, typer.Option("--off", help="Do not keep it any longer.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Keep an incident and its alerts, however old they get.

    Example: tocsin incidents pin 5a0b85
    """
    with _opened(context, config, data) as store:
        _change(store, incident_id, Change(pinned=not off), "unpinned" if off else "pinned")


def _opened(context: typer.Context, config: Path | None, data: Path | None) -> SqliteStore:
    return join_store(settings_of(context, config, data).store_path)


def _change(store: SqliteStore, incident_id: str, change: Change, done: str) -> None:
    """Apply a change and note who made it."""
    who, now = person(), time.time()
    incident = store.incidents.change(resolve(store, incident_id), change, who, now)
    store.people.note(who, f"incident {done}", incident.id, now)
    print(f"{incident.id} {done}")


CHANGES = (ack, contain, close, reopen, assign, note, pin)
