"""`tocsin detect`: evaluate events from files and print alerts."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.console import Console

from tocsin.cli.options import (
    BuiltinOption,
    ConfigOption,
    StrictOption,
    WazuhOption,
    read_config,
    wazuh_files,
)
from tocsin.cli.reading import read_with_progress
from tocsin.cli.wazuhwarnings import tell_wazuh_warnings
from tocsin.detect.engine import fold_stages
from tocsin.ingest.file import STDIN, Chunk, check_file, documents
from tocsin.model.alert import SEVERITIES, Alert, to_json_line
from tocsin.model.errors import LoadError, TocsinError
from tocsin.runtime.alertlogs import WazuhLines
from tocsin.runtime.pipeline import Outcome, Pipeline, not_evaluated, settle
from tocsin.runtime.rules import rules_in_force
from tocsin.runtime.wazuhnode import WazuhHit

FORMATS = ("tocsin", "wazuh")
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
    wazuh: WazuhOption = None,
    strict: StrictOption = False,
    builtin: BuiltinOption = True,
    cluster: Annotated[str, typer.Option(help="Name of the cluster, shown on alerts.")] = "default",
    config: ConfigOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary, no progress.")] = False,
    output_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="tocsin|wazuh",
            help="JSON lines of our own, or as in Wazuh's alerts.json.",
        ),
    ] = "tocsin",
) -> None:
    """Evaluate audit events and print alerts as JSON lines; a summary goes to stderr.

    Example: tocsin detect audit.log | jq -r '.rule.severity + "  " + .description'
    """
    if output_format not in FORMATS:
        message = f"format {output_format!r} is not supported; there are: {', '.join(FORMATS)}"
        raise TocsinError(message)
    loaded = rules_in_force(
        read_config(config),
        rules or [],
        wazuh=wazuh_files(wazuh, strict=strict),
        builtin=builtin,
    )
    if loaded.faults:
        raise LoadError(loaded.faults)
    for path in files:
        check_file(path)
    if not quiet:
        tell_wazuh_warnings(loaded.wazuh)
    summary = _Summary(loaded.count)
    pipeline = Pipeline(loaded.rules, loaded.wazuh, loaded.correlations)
    lines = WazuhLines() if output_format == "wazuh" else _OwnLines()
    settle()
    try:
        chunks = read_with_progress(files, quiet=quiet)
        for alert in _alerts(chunks, pipeline, cluster, summary, lines):
            summary.alert(alert)
            sys.stdout.buffer.write(lines.line(alert))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader of our output has seen enough (`| head`). What is left goes nowhere, or
        # Python would fail on it again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if not quiet:
        summary.show(Console(stderr=True))


def _alerts(
    files: Iterable[Iterator[Chunk]],
    pipeline: Pipeline,
    cluster: str,
    summary: "_Summary",
    lines: "_Lines",
) -> Iterator[Alert]:
    """Yield the alerts of all files, the stages of a request folded into one alert."""
    held: list[Alert] = []
    for chunks in files:
        for chunk in documents(chunks):
            outcome = pipeline.process(chunk.data, cluster)
            summary.chunk(chunk, outcome)
            lines.note(outcome.wazuh)
            held.extend(outcome.alerts)
            if len(held) > MAX_HELD or (chunk.path == STDIN and held):
                yield from fold_stages(held)
                held = []
    yield from fold_stages(held)


class _Lines(Protocol):
    """Alerts as lines of a format."""

    def note(self, hits: Sequence[WazuhHit]) -> None:
        """Take note of hits whose alerts will be asked for."""
        ...

    def line(self, alert: Alert) -> bytes:
        """Return the line of an alert."""
        ...


class _OwnLines:
    """Alerts as they are."""

    def note(self, hits: Sequence[WazuhHit]) -> None:
        """Need no more than the alert itself."""

    def line(self, alert: Alert) -> bytes:
        """Return the line of an alert."""
        return to_json_line(alert)


@dataclass(slots=True)
class _Summary:
    """Counts for the person at the terminal."""

    rules: int
    events: int = 0
    rejects: int = 0
    shown: list[str] = field(default_factory=list)
    severities: Counter[str] = field(default_factory=Counter)
    unevaluated: Counter[str] = field(default_factory=Counter)

    def chunk(self, chunk: Chunk, outcome: Outcome) -> None:
        self.events += outcome.events
        self.rejects += sum(reject.count for reject in outcome.rejects)
        self.unevaluated.update(outcome.unevaluated)
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
        for line in not_evaluated(self.unevaluated):
            console.print(line, highlight=False, markup=False)
        if self.rejects:
            console.print(f"{self.rejects:,} rejected: no proper audit events", highlight=False)
            for line in self.shown:
                console.print(f"  {line}", highlight=False, markup=False)
