"""`tocsin quarantine`: look at what was set aside because it is no proper audit event."""

import json
import sys
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tocsin.cli.alerts import safe
from tocsin.cli.options import ConfigOption, DataOption, read_config
from tocsin.ingest.quarantine import Quarantine
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.model.errors import TocsinError
from tocsin.runtime.config import Config

quarantine_app = typer.Typer(
    no_args_is_help=True, help="Look at what was set aside because it is no proper audit event."
)


@quarantine_app.command("list")
def list_records(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")] = False,
) -> None:
    """List what is in quarantine, with the reasons.

    Example: tocsin quarantine list
    """
    records = list(enumerate(_open(read_config(config, data)).records()))[-limit:]
    if as_json:
        for number, record in records:
            line = {"number": number} | msgspec.to_builtins(record)
            del line["sealed"]
            print(json.dumps(line))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("number", "time", "cluster", "bytes", "reason"):
        table.add_column(column, overflow="fold")
    for number, record in records:
        reason = Text(safe(record.reason))
        table.add_row(str(number), record.time[:19], record.cluster, str(record.length), reason)
    Console(highlight=False).print(table if records else "Nothing is in quarantine.")


@quarantine_app.command()
def show(
    number: Annotated[int, typer.Argument(help="Number from `tocsin quarantine list`.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write the bytes of one record to standard output. They may hold secrets.

    Example: tocsin quarantine show 3 | jq .
    """
    quarantine = _open(read_config(config, data))
    for known, record in enumerate(quarantine.records()):
        if known == number:
            sys.stdout.buffer.write(quarantine.raw(record))
            return
    message = f"there is no record {number}; see `tocsin quarantine list`"
    raise TocsinError(message)


def _open(config: Config) -> Quarantine:
    folder = config.quarantine_folder
    if not config.key_path.exists():
        message = f"there is no key at {config.key_path}: name the data folder of `tocsin serve`"
        raise TocsinError(message)
    return Quarantine(folder, Sealer(load_or_create_key(config.key_path)))
