"""`tocsin respond plan`: what would have been done about alerts of the past, and to what."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from tocsin.cli.alerts import safe
from tocsin.cli.incidentview import console
from tocsin.cli.options import ConfigOption, DataOption, JsonOption, read_config
from tocsin.ingest.file import check_file, read_files
from tocsin.model.alert import Alert
from tocsin.model.errors import TocsinError
from tocsin.runtime.rehearsal import Rehearsal, Rehearsed
from tocsin.runtime.responding import actions_of, asking

_COLUMNS = ("time", "alert", "response", "action", "on", "verdict", "why")
_COLOURS = {"run": "bold red", "needs-approval": "yellow"}
# The verdicts, with what each would have meant.
_MEANING = {
    "run": "would have been done at once",
    "needs-approval": "would have waited for a person",
    "simulate": "dry run: would only have been said",
    "refused": "refused by the guard",
    "skipped": "do not apply",
}

_decoder = msgspec.json.Decoder(Alert)


def plan(
    *,
    alerts: Annotated[
        str,
        typer.Option(metavar="FILE", help="Alerts as JSON lines, or - for standard input."),
    ],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what the responses of the configuration would have done to alerts of the past.

    No cluster is asked. What only the live object tells, such as its owner, its priority class
    or the subjects of a binding, is taken to allow it; every sender is taken for proven.

    Example: tocsin respond plan --alerts alerts.jsonl
    """
    settings = read_config(config, data)
    check_file(alerts)
    rehearsal = Rehearsal(asking(settings), actions_of(settings), settings.respond)
    counts: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    shown = _table()
    for one in rehearsal.take(_read(alerts, heard)):
        counts[one.verdict] += 1
        if as_json:
            print(json.dumps(msgspec.to_builtins(one), separators=(",", ":")))
        else:
            _add(shown, one)
    if as_json:
        return
    if shown.row_count:
        console().print(shown)
    print(f"{heard['alerts']:,} alerts ask for {counts.total():,} responses")
    for verdict, meaning in _MEANING.items():
        if counts[verdict]:
            print(f"{counts[verdict]:>7,} {meaning}")


def _read(path: str, heard: Counter[str]) -> Iterator[Alert]:
    """Yield the alerts of a file, and count them.

    Raises:
        TocsinError: a line is no alert; the message says which.
    """
    for chunk in read_files([path]):
        for number, line in enumerate(chunk.data.splitlines(), chunk.line):
            if not line.strip():
                continue
            try:
                alert = _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                message = f"{path}:{number}: this is no alert: {error}"
                raise TocsinError(message) from error
            heard["alerts"] += 1
            yield alert


def _table() -> Table:
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for column in _COLUMNS:
        shown.add_column(column, overflow="fold")
    return shown


def _add(shown: Table, one: Rehearsed) -> None:
    shown.add_row(
        one.time[:19].replace("T", " "),
        Text(safe(one.title)),
        Text(safe(one.response)),
        Text(safe(one.action)),
        Text(safe(one.target)),
        Text(one.verdict, style=_COLOURS.get(one.verdict, "")),
        Text(safe(one.reason)),
    )
