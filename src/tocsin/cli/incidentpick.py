"""What the commands on incidents share: which incident is meant, where, and by whom."""

import os
import pwd
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from tocsin.cli.options import read_config
from tocsin.model.errors import TocsinError
from tocsin.runtime.config import Config
from tocsin.store.sqlite import SqliteStore

_CANDIDATES = 5
Name = TypeVar("Name", bound=str)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id, or its beginning.")]


def settings_of(context: typer.Context, config: Path | None, data: Path | None) -> Config:
    """Return the configuration; options may stand before the subcommand as well as after it."""
    former_config, former_data = context.obj
    return read_config(config or former_config, data or former_data)


def resolve(store: SqliteStore, beginning: str) -> str:
    """Return the id that begins with what was typed.

    Raises:
        TocsinError: none does, or several do.
    """
    found = store.incidents.matching(beginning, _CANDIDATES)
    if beginning in found or len(found) == 1:
        return beginning if beginning in found else found[0]
    if not found:
        raise unknown(beginning)
    message = f"{beginning!r} is the beginning of several incidents: {', '.join(found)}"
    raise TocsinError(message)


def unknown(incident_id: str) -> TocsinError:
    """Return the error that there is no such incident."""
    return TocsinError(f"there is no incident {incident_id!r}: `tocsin incidents` lists them")


def one_of(name: str, names: Sequence[Name], what: str) -> Name:
    """Return the name if it is one of `names`.

    Raises:
        TocsinError: it is none.
    """
    for known in names:
        if name == known:
            return known
    message = f"{what} {name!r} is not one of {', '.join(names)}"
    raise TocsinError(message)


def person() -> str:
    """Return who runs the command: the system's user, whatever the environment says."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
