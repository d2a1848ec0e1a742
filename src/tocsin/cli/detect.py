"""`tocsin detect`: evaluate events from files and print alerts."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from tocsin.ingest.file import STDIN, Chunk, read_files
from tocsin.model.alert import SEVERITIES, Alert, to_json_line
from tocsin.model.errors import LoadError, TocsinError
from tocsin.runtime.pipeline import Outcome, Pipeline, fold_stages
from tocsin.runtime.rules import load_rules

# A request's stages may lie apart in a file; alerts wait here for them before they are printed.
MAX_HELD = 10_000
# How many rejected events are told one by one; all are counted.
MAX_SHOWN_REJECTS = 10


def detect(
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
    loaded = load_rules(rules or [], builtin=builtin)
    if loaded.faults:
        raise LoadError(loaded.faults)
    for path in files:
        if path != STDIN and not Path(path).is_file():
            message = f"{path}: no such file"
            raise TocsinError(message)
    summary = _Summary(len(loaded.rules))
    pipeline = Pipeline(loaded.rules)
    try:
        for alert in _alerts(_with_progress(files, quiet=quiet), pipeline, cluster, summary):
            summary.alert(alert)
            sys.stdout.buffer.write(to_json_line(alert))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader of our output has seen enough (`| head`).
        sys.stderr.close()
        return
    if not quiet:
        summary.show(Console(stderr=True))


def _alerts(
    chunks: Iterable[Chunk], pipeline: Pipeline, cluster: str, summary: "_Summary"
) -> Iterator[Alert]:
    """Yield the alerts of all chunks, the stages of a request folded into one alert."""
    held: list[Alert] = []
    for chunk in chunks:
        outcome = pipeline.process(chunk.data, cluster)
        summary.chunk(chunk, outcome)
        held.extend(outcome.alerts)
        if len(held) > MAX_HELD or (chunk.path == STDIN and held):
            yield from fold_stages(held)
            held = []
    yield from fold_stages(held)


def _with_progress(files: list[str], *, quiet: bool) -> Iterator[Chunk]:
    """Yield the files' chunks; on a terminal, with a bar of the bytes read."""
    if quiet or not sys.stderr.isatty() or STDIN in files:
        yield from read_files(files)
        return
    columns = TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for path in files:
            task = progress.add_task(path, total=Path(path).stat().st_size)
            for chunk in read_files([path]):
                yield chunk
                progress.advance(task, len(chunk.data))


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
        self.rejects += len(outcome.rejects)
        for reject in outcome.rejects[: MAX_SHOWN_REJECTS - len(self.shown)]:
            self.shown.append(f"{chunk.path}:{chunk.line}+: {reject.reason}")

    def alert(self, alert: Alert) -> None:
        self.severities[alert.rule.severity] += 1

    def show(self, console: Console) -> None:
        alerts = sum(self.severities.values())
        by_severity = ", ".join(
            f"{self.severities[severity]} {severity}"
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
