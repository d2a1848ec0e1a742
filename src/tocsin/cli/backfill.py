"""`tocsin backfill`: send audit logs to a running Tocsin after the fact."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tocsin.cli.alerts import parse_since
from tocsin.cli.options import ConfigOption, DataOption, read_config
from tocsin.cli.reading import read_with_progress
from tocsin.connect.kubeconfig import read_webhook
from tocsin.ingest.file import check_file
from tocsin.model.alert import SEVERITIES
from tocsin.model.errors import TocsinError
from tocsin.runtime.backfill import (
    SOURCE,
    Evaluation,
    Found,
    Sender,
    Tally,
    Window,
    batches,
    in_order,
)
from tocsin.runtime.config import Config
from tocsin.runtime.poster import Destination, Poster, own_receiver, webhook_receiver
from tocsin.store.sqlite import read_store


def backfill(  # noqa: PLR0913 - every option of the command is a parameter
    files: Annotated[
        list[str], typer.Argument(help="Audit logs (plain, .gz, .zst), or - for standard input.")
    ],
    *,
    cluster: Annotated[
        str | None, typer.Option(help="On Tocsin's machine: the cluster that the logs are of.")
    ] = None,
    node: Annotated[
        str | None, typer.Option(help="With --cluster: the control-plane node they are from.")
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    webhook: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="On a control-plane node: the API server's webhook kubeconfig."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only events from this age (2h, 3d) or time (RFC 3339) on."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only events before this.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary, no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Send audit logs to a running Tocsin, as after an outage; repeating it changes nothing.

    Example: tocsin backfill --webhook /etc/kubernetes/tocsin/webhook.yaml
    /var/log/kubernetes/audit/audit*.log --since 2h
    """
    now = datetime.now(UTC)
    window = Window(
        parse_since(since, now) if since else None,
        parse_since(until, now, "--until") if until else None,
    )
    for path in files:
        check_file(path)
    if webhook is not None:
        if cluster or node or config or data:
            message = "--webhook says where to send; leave --cluster, --node, --config, --data out"
            raise TocsinError(message)
        run = _Run(webhook_receiver(read_webhook(webhook)), window, quiet=quiet or as_json)
        summary = _Summary(asyncio.run(run.send(files)), len(files))
    elif cluster is not None:
        settings = read_config(config, data)
        to = own_receiver(settings.folder, cluster, node, settings.webhook)
        run = _Run(to, window, quiet=quiet or as_json)
        summary = asyncio.run(run.send_and_wait(files, settings, cluster))
    else:
        message = (
            "say where to: --cluster NAME on the machine of Tocsin, "
            "or --webhook FILE on a control-plane node"
        )
        raise TocsinError(message)
    if as_json:
        print(json.dumps(summary.as_json()))
    elif not quiet:
        summary.show()


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of the command."""

    to: Destination
    window: Window
    quiet: bool

    async def send(self, files: list[str]) -> Tally:
        tally = Tally()
        async with Poster(self.to, source=SOURCE) as poster:
            sender = Sender(poster)
            for chunks in read_with_progress(in_order(files), quiet=self.quiet):
                for body in batches(chunks, self.window, tally):
                    await self._send(sender, body, tally)
        return tally

    async def send_and_wait(self, files: list[str], config: Config, cluster: str) -> "_Summary":
        if not config.store_path.exists():
            message = f"no Tocsin has ever run with the data folder {config.folder}"
            raise TocsinError(message)
        with read_store(config.store_path) as store:
            evaluation = Evaluation(config, store, cluster)
            tally = await self.send(files)
            with self._status():
                return _Summary(tally, len(files), await evaluation.finish(tally))

    @staticmethod
    async def _send(sender: Sender, body: bytes, tally: Tally) -> None:
        try:
            await sender.send(body)
        except TocsinError as error:
            if not tally.posts:
                raise
            message = (
                f"{error}\n{tally.events:,} events were sent before; "
                "run the command again, what was sent already changes nothing"
            )
            raise TocsinError(message) from error
        tally.add(body)

    @contextlib.contextmanager
    def _status(self) -> Iterator[None]:
        if self.quiet:
            yield
            return
        with Console(stderr=True).status("waiting until they are evaluated"):
            yield


@dataclass(frozen=True, slots=True)
class _Summary:
    """What came of it; `found` is known on Tocsin's own machine only."""

    tally: Tally
    files: int
    found: Found | None = None

    def as_json(self) -> dict[str, object]:
        tally = self.tally
        return {
            "files": self.files,
            "events": tally.events,
            "rejected": tally.rejected,
            "outside_window": tally.outside,
            "posts": tally.posts,
            "first": tally.first or None,
            "last": tally.last or None,
            "evaluated": self.found.evaluated if self.found else None,
            "new_alerts": dict(self.found.severities) if self.found else None,
        }

    def show(self) -> None:
        tally = self.tally
        console = Console(highlight=False, soft_wrap=True)
        span = f", from {tally.first[:19]}Z to {tally.last[:19]}Z" if tally.first else ""
        files = "1 file" if self.files == 1 else f"{self.files} files"
        console.print(f"{tally.events:,} events of {files} sent{span}")
        if tally.outside:
            console.print(f"{tally.outside:,} lines lie outside of --since and --until")
        if tally.rejected:
            console.print(
                f"set aside, no proper audit events: {tally.rejected:,} "
                "(`tocsin quarantine list` on Tocsin's machine)"
            )
        if self.found is not None:
            console.print(_outcome(self.found))


def _outcome(found: Found) -> str:
    counts = found.severities
    listed = ", ".join(f"{counts[one]:,} {one}" for one in reversed(SEVERITIES) if counts[one])
    alerts = f"{counts.total():,} new alerts" + (f": {listed}" if listed else "")
    if found.evaluated:
        return f"all are evaluated: {alerts}"
    return (
        f"stored, but not evaluated yet ({alerts} so far): the detector has not moved for a "
        "minute; see /readyz"
    )
