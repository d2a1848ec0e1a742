"""`tocsin detect`: evaluate events from files and print alerts."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tocsin.cli.options import ConfigOption, read_config
from tocsin.cli.reading import read_with_progress
from tocsin.detect.engine import fold_stages
from tocsin.ingest.file import STDIN, Chunk, check_file, documents
from tocsin.model.alert import SEVERITIES, Alert, to_json_line
from tocsin.model.errors import LoadError, TocsinError
from tocsin.runtime.pipeline import Outcome, Pipeline, settle
from tocsin.runtime.rules import rules_in_force

# A request's stages may lie apart in a file; alerts wait here for them before they are printed.
MAX_HELD = 10_000
# How many rejected events are told one by one; all are counted.
MAX_SHOWN_REJECTS = 10


def detect(  # noqa: PLR0913 - every option of the command is a parameter
    files: Annotated[
        list[str], typer.Argument(help="Files of audit events (plain, .gz, .zst), or - for stdin.")
    ],
    *,
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", help="Rule file or folder; repeat it for more."),
    ] = None,
    builtin: Annotated[
        bool, typer.Option("--builtin/--no-builtin", help="Use the rules that ship with Tocsin.")
    ] = True,
    cluster: Annotated[str, typer.Option(help="Name of the cluster, shown on alerts.")] = "default",
    config: ConfigOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary, no progress.")] = False,
    output_format: Annotated[
        str, typer.Option("--format", help="Format of the alerts: tocsin (JSON lines).")
    ] = "tocsin",
) -> None:
    """Evaluate audit events and print alerts as JSON lines; a summary goes to stderr.

    Example: tocsin detect audit.log | jq -r '.rule.severity + "  " + .description'
    """
    if output_format != "tocsin":
        message = f"format {output_format!r} is not supported; there is: tocsin"
        raise TocsinError(message)
    loaded = rules_in_force(read_config(config), rules or [], builtin=builtin)
    if loaded.faults:
        raise LoadError(loaded.faults)
    for path in files:
        check_file(path)
    summary = _Summary(len(loaded.rules))
    pipeline = Pipeline(loaded.rules)
    settle()
    try:
        for alert in _alerts(read_with_progress(files, quiet=quiet), pipeline, cluster, summary):
            summary.alert(alert)
            sys.stdout.buffer.write(to_json_line(alert))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader of our output has seen enough (`| head`). What is left goes nowhere, or
        # Python would fail on it again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if not quiet:
        summary.show(Console(stderr=True))


def _alerts(
    files: Iterable[Iterator[Chunk]], pipeline: Pipeline, cluster: str, summary: "_Summary"
) -> Iterator[Alert]:
    """Yield the alerts of all files, the stages of a request folded into one alert."""
    held: list[Alert] = []
    for chunks in files:
        for chunk in documents(chunks):
            outcome = pipeline.process(chunk.data, cluster)
            summary.chunk(chunk, outcome)
            held.extend(outcome.alerts)
            if len(held) > MAX_HELD or (chunk.path == STDIN and held):
                yield from fold_stages(held)
                held = []
    yield from fold_stages(held)


@dataclass(slots=True)
class _Summary:
    """Counts for the person at the terminal."""

    rules: int
    events: int = 0
    rejects: int = 0
    shown: list[str] = field(default_factory=list)
    severities: Counter[str] = field(default_factory=Counter)

    def chunk(self, chunk: Chunk, outcome: Outcome) -> None:
        self.events += outcome.events
        self.rejects += sum(reject.count for reject in outcome.rejects)
        for reject in outcome.rejects[: MAX_SHOWN_REJECTS - len(self.shown)]:
            self.shown.append(f"{chunk.path}:{chunk.line}+: {reject.reason}")

    def alert(self, alert: Alert) -> None:
        self.severities[alert.rule.severity] += 1

    def show(self, console: Console) -> None:
        alerts = sum(self.severities.values())
        by_severity = ", ".join(
            f"{self.severities[severity]:,} {severity}"
            for severity in reversed(SEVERITIES)
            if self.severities[severity]
        )
        console.print(
            f"{self.events:,} events, {self.rules} rules, {alerts:,} alerts"
            + (f" ({by_severity})" if alerts else ""),
            highlight=False,
        )
        if self.rejects:
            console.print(f"{self.rejects:,} rejected: no proper audit events", highlight=False)
            for line in self.shown:
                console.print(f"  {line}", highlight=False, markup=False)
