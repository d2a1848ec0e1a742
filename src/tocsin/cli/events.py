"""`tocsin events`: list, filter and follow what arrived, also what no rule matched."""

import json
import os
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tocsin.cli.alerts import PIPED_WIDTH, UNPROVEN, safe
from tocsin.cli.options import ConfigOption, DataOption, read_config
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import SpoolHistory
from tocsin.model.errors import TocsinError
from tocsin.model.eventrow import event_row, key_text
from tocsin.model.events import EventFilter, EventLog, FoundEvent, Progress
from tocsin.model.times import parse_moment
from tocsin.runtime.config import Config
from tocsin.runtime.eventlog.log import SpoolEventLog

FOLLOW_SECONDS = 0.5
# What receives and evaluates events goes first.
NICE = 10


def events(  # noqa: PLR0913 - every option of the command is a parameter
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    since: Annotated[
        str | None, typer.Option(help="Received since (30m, 24h, or a time in RFC 3339).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Received before, likewise.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    user: Annotated[
        str | None, typer.Option(help="Only this user, asking or impersonated.")
    ] = None,
    verb: Annotated[str | None, typer.Option(help="Only this verb.")] = None,
    resource: Annotated[
        str | None, typer.Option(help="Only this resource: pods, or pods/exec.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only this namespace.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Only objects of this name.")] = None,
    code: Annotated[int | None, typer.Option(help="Only answers with this HTTP status.")] = None,
    audit_id: Annotated[str | None, typer.Option(help="Only this Audit-ID.")] = None,
    text: Annotated[str | None, typer.Option(help="Only events that contain this text.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new events.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, whole events.")] = False,
) -> None:
    """Show the events that are still kept, the newest last. Secrets are taken out.

    Example: tocsin events --since 1h --user alice --resource secrets
    """
    now = datetime.now(UTC)
    where = EventFilter(
        since=parse_moment(since, now, "--since") if since else None,
        until=parse_moment(until, now, "--until") if until else None,
        cluster=cluster,
        verb=verb.lower() if verb else None,
        resource=resource,
        namespace=namespace,
        name=name,
        user=user,
        code=code,
        audit_id=audit_id,
        text=text,
    )
    log = _open(read_config(config, data))
    os.nice(NICE)
    try:
        found, last = _newest(log, where, limit)
        _show(found, as_json=as_json)
        _tell(found, last, as_json=as_json or follow)
        if follow:
            _follow(log, where, found[-1].key.post if found else 0, as_json=as_json)
    except KeyboardInterrupt:
        return


def _open(config: Config) -> EventLog:
    if not config.key_path.exists():
        message = f"there is no key at {config.key_path}: name the data folder of `tocsin serve`"
        raise TocsinError(message)
    sealer = Sealer(load_or_create_key(config.key_path))
    return SpoolEventLog(SpoolHistory(config.spool_folder, sealer))


def _newest(log: EventLog, where: EventFilter, limit: int) -> tuple[list[FoundEvent], Progress]:
    """Return the newest events, oldest first; on a terminal, tell how far the search is."""
    console = Console(stderr=True)
    found: list[FoundEvent] = []
    last: Progress | None = None
    with console.status("looking at the newest events") as status:
        for item in log.search(where):
            if isinstance(item, FoundEvent):
                found.append(item)
            else:
                last = item
                status.update(f"{len(found)} found, looked back to {_moment(item.looked_back_to)}")
            if len(found) >= limit:
                break
    return found[::-1], last or Progress(found[-1].key, None, 0, 0, 0)


def _follow(log: EventLog, where: EventFilter, after: int, *, as_json: bool) -> None:
    while True:
        found: list[FoundEvent] = []
        newest = after
        for item in log.search(where, after=after):
            if isinstance(item, FoundEvent):
                found.append(item)
            elif not item.finished:
                newest = max(newest, item.at.post)
        after = newest
        _show(found[::-1], as_json=as_json)
        sys.stdout.flush()
        if not found:
            time.sleep(FOLLOW_SECONDS)


def _show(found: Iterable[FoundEvent], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            print(_json_line(one))
        return
    rows = [event_row(one) for one in found]
    if not rows:
        return
    shown = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
    for column in ("received", "id", "who", "verb", "resource", "namespace/name", "status", "from"):
        shown.add_column(column, overflow="fold")
    for row in rows:
        who = safe(row.user or "-") + (f" as {safe(row.impersonated)}" if row.impersonated else "")
        shown.add_row(
            _moment(row.received),
            Text(row.id).append("" if row.authenticated else f" {UNPROVEN}", style="yellow"),
            Text(who),
            Text(safe(row.verb or "-")),
            Text(safe(row.resource or row.request_uri or "-")),
            Text(safe("/".join(filter(None, (row.namespace, row.name))) or "-")),
            Text(safe(row.code or "-")),
            Text(safe(" ".join(row.source_ips) or "-")),
        )
    console = Console(highlight=False)
    # Not on a terminal nobody reads columns, but tools read lines.
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    console.print(shown)


def _json_line(found: FoundEvent) -> str:
    """Return an event with where it came from, as one line of ASCII."""
    line = {
        "id": key_text(found.key),
        "received": datetime.fromtimestamp(found.received, UTC).isoformat(),
        "cluster": found.cluster,
        "node": found.node,
        "source": found.source,
        "digest": found.digest,
        "event": found.shown,
    }
    document = msgspec.json.encode(line)
    text = document.decode()
    if not text.isascii():
        text = json.dumps(json.loads(document, parse_float=float), separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")


def _tell(found: list[FoundEvent], last: Progress, *, as_json: bool) -> None:
    """Say on standard error what a list does not show."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if last.unreadable:
        console.print(f"! {last.unreadable} stored posts cannot be read.", style="yellow")
    if found or as_json:
        return
    if last.looked_back_to is None:
        console.print(
            "No events are kept. `tocsin doctor` tells whether API servers send any; "
            "`spool.retain_hours` says how long they are kept."
        )
    else:
        console.print(
            f"No event matches; looked back to {_moment(last.looked_back_to)}. Fields are compared "
            "as a whole; --text finds parts."
        )


def _moment(seconds: float | None) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}" if seconds else "now"
