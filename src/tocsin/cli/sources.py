"""`tocsin sources`: what was last heard of each API server, and by which way."""

import json
import time
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tocsin.cli.alerts import safe
from tocsin.cli.options import ConfigOption, DataOption, read_config
from tocsin.lifeline import health
from tocsin.lifeline.conditions import stamp
from tocsin.lifeline.words import state_of
from tocsin.model.ports import HealthFinding, SourceState
from tocsin.store.sqlite import read_store

PIPED_WIDTH = 250
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def sources(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")] = False,
) -> None:
    """Show what was last heard of each API server, and what is wrong with the line.

    Example: tocsin sources
    """
    with read_store(read_config(config, data).store_path) as store:
        states = store.sources.sources()
        findings = [one for one in store.health.findings() if one.kind == health.KIND]
    if as_json:
        for state in states:
            print(json.dumps(msgspec.to_builtins(state) | {"state": state_of(state, findings)}))
        return
    console = Console(highlight=False, soft_wrap=True)
    if not states:
        console.print(
            "Nothing was received yet. `tocsin setup` connects a cluster, `tocsin doctor` finds "
            "out why nothing comes."
        )
    elif not console.is_terminal:
        # Not on a terminal nobody reads columns, but tools read lines.
        console.width = PIPED_WIDTH
    if states:
        console.print(_table(states, findings, time.time()))
    for finding in findings:
        console.print(Text(f"\n{safe(finding.message)}"))


def _table(states: list[SourceState], findings: list[HealthFinding], now: float) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("cluster", "node", "way", "last heard", "newest event", "events", "state"):
        shown.add_column(column, overflow="fold", justify="right" if column == "events" else "left")
    for state in states:
        word = state_of(state, findings)
        shown.add_row(
            Text(state.cluster),
            Text(state.node or "-"),
            state.source,
            f"{_length(now - state.last_received)} ago",
            stamp(state.last_event) if state.last_event else "-",
            f"{state.events:,}",
            Text(word, style="" if word == "ok" else "bold red"),
        )
    return shown


def _length(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
