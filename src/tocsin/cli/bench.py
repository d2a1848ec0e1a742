"""`tocsin bench`: how fast this machine decodes, matches and detects."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tocsin.model.errors import TocsinError


def bench(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the best of each counts.")] = 15,
    live: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Also run Tocsin and post 4,000 events/s to it for so long.",
        ),
    ] = 0,
    wazuh: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Measure Wazuh rules beside those of this folder, too."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Measure decode, match and detect beside `orjson.loads` of the same events.

    CPU time of one core, on the bundled recordings of a real API server, with the shipped
    rules and 150 more; and detection with nothing but four common Wazuh rules. Compare ratios
    within one run: machines differ and drift.

    Example: tocsin bench --live 30
    """
    try:
        from tocsin.runtime.bench import Bench  # noqa: PLC0415 - orjson is an extra
    except ImportError as error:
        message = "the yardstick is missing: install it with `pip install 'tocsin[bench]'`"
        raise TocsinError(message) from error
    from tocsin.runtime.benchlive import run_live  # noqa: PLC0415 - as above
    from tocsin.runtime.benchrules import bench_rules  # noqa: PLC0415 - as above
    from tocsin.runtime.benchwazuh import bench_wazuh  # noqa: PLC0415 - as above
    from tocsin.runtime.rules import load_rules  # noqa: PLC0415 - as above

    console = Console(stderr=True, highlight=False)
    contenders = Bench([*load_rules([]).rules, *bench_rules()], bench_wazuh(wazuh))
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("measuring", total=rounds)
        measured = contenders.run(rounds, lambda: progress.advance(task))
    result = {"hot_path": msgspec.to_builtins(measured)}
    if live:
        with console.status(f"posting 4,000 events/s for {live:.0f} s"):
            result["live"] = msgspec.to_builtins(asyncio.run(run_live(live)))
    if as_json:
        print(json.dumps(result, indent=2))
        return
    _show(result)


def _show(result: dict[str, dict[str, object]]) -> None:
    console = Console(highlight=False)
    hot = result["hot_path"]
    console.print(
        f"{hot['events']:,} events of {hot['bytes_per_event']:,} bytes, {hot['rules']} rules, "
        f"{hot['rules_per_event']:.1f} left per event after dispatch, {hot['alerts']} alerts"
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("stage", "µs/event", "events/s", "of orjson.loads"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage in hot["stages"]:  # type: ignore[attr-defined]
        table.add_row(
            stage["name"],
            f"{stage['microseconds']:.2f}",
            f"{stage['events_per_second']:,.0f}",
            f"{stage['ratio']:.0%}",
        )
    console.print(table)
    console.print(f"compiling for all kinds of request: {hot['cold_milliseconds']:.0f} ms")
    if live := result.get("live"):
        console.print(
            f"\n{live['events']:,} events over TLS at {live['events_per_second']:,.0f}/s: "
            f"acknowledged p50 {live['p50_ms']:.1f} ms, p99 {live['p99_ms']:.1f} ms; "
            f"all evaluated {live['lag_seconds']:.1f} s after the last; "
            f"memory {live['memory_mib']:.0f} MiB over all processes"
        )
