"""`tocsin alerts`: list, filter and follow what was found."""

import contextlib
import json
import sys
import time
from datetime import UTC, datetime
from typing import Annotated, get_args

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tocsin.cli.incidentpick import one_of
from tocsin.cli.options import ConfigOption, DataOption, read_config
from tocsin.ingest.networks import banner
from tocsin.model.alert import SEVERITIES, Severity, to_json_line
from tocsin.model.errors import TocsinError
from tocsin.model.ports import AlertFilter, Hidden, StoredAlert
from tocsin.model.queries import QueryTooWide
from tocsin.model.times import parse_moment
from tocsin.runtime.config import Config
from tocsin.store.sqlite import SqliteStore, read_store

FOLLOW_SECONDS = 0.5
PIPED_WIDTH = 250
UNPROVEN = "unproven"
HIDDEN: tuple[Hidden, ...] = get_args(Hidden)

STYLES = {
    "info": "dim",
    "low": "",
    "medium": "yellow",
    "high": "bold red",
    "critical": "bold white on red",
}


def alerts(  # noqa: PLR0913 - every option of the command is a parameter
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    severity: Annotated[
        str, typer.Option(metavar="|".join(SEVERITIES), help="Lowest severity to show.")
    ] = "low",
    since: Annotated[
        str | None, typer.Option(help="How far back (30m, 24h, 7d), or a time (RFC 3339).")
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Only this cluster.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule id.")] = None,
    user: Annotated[str | None, typer.Option(help="Only this user.")] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only this namespace.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Only alerts that contain this text.")] = None,
    hidden: Annotated[
        str, typer.Option(metavar="|".join(HIDDEN), help="Show alerts that are hidden.")
    ] = "without",
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new alerts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")] = False,
) -> None:
    """Show stored alerts, the newest last.

    Example: tocsin alerts --since 24h --severity medium --follow
    """
    if severity not in SEVERITIES:
        message = f"severity {severity!r} is not one of {', '.join(SEVERITIES)}"
        raise TocsinError(message)
    where = AlertFilter(
        since=parse_since(since, datetime.now(UTC)) if since else None,
        min_severity=severity,
        cluster=cluster,
        rule_id=rule,
        user=user,
        namespace=namespace,
        text=text,
        hidden=one_of(hidden, HIDDEN, "--hidden"),
    )
    settings = read_config(config, data)
    with read_store(settings.store_path) as store:
        found = store.alerts(where, limit)[::-1]
        _show(found, as_json=as_json)
        _warn(settings, found)
        _tell_hidden(store, where)
        if follow:
            # By time the last need not be the one that was stored last.
            after = max((stored.seq for stored in found), default=0)
            _follow(store, where, after, as_json=as_json)
        elif not found and not as_json:
            Console(stderr=True).print(_why_empty(store, settings.health.port))


def parse_since(text: str, now: datetime, option: str = "--since") -> datetime:
    """Return the time that `30m`, `24h`, `7d`, `2w` or an RFC 3339 time means.

    Raises:
        TocsinError: it is none of these.
    """
    return parse_moment(text, now, option)


def _follow(store: SqliteStore, where: AlertFilter, after: int, *, as_json: bool) -> None:
    try:
        while True:
            found = store.follow(after, 500, where)
            _show(found, as_json=as_json)
            sys.stdout.flush()
            after = found[-1].seq if found else after
            if not found:
                time.sleep(FOLLOW_SECONDS)
    except KeyboardInterrupt:
        return


def _warn(settings: Config, found: list[StoredAlert]) -> None:
    """Say on standard error what may be forged, and who could forge it."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    count = sum(not stored.authenticated for stored in found)
    if count:
        console.print(
            f"! Alerts that may be forged, because their senders proved nothing: {count} of "
            f"{len(found)} (marked {UNPROVEN!r} in the table).",
            style="yellow",
        )
    if warning := banner(settings.webhook.allow_unauthenticated_from):
        console.print(f"! {warning}.", style="yellow")


def _tell_hidden(store: SqliteStore, where: AlertFilter) -> None:
    """Say on standard error how many alerts are not shown as something hides them."""
    if where.hidden != "without":
        return
    with contextlib.suppress(QueryTooWide):
        count = store.count(msgspec.structs.replace(where, hidden="only"))
        if count:
            alerts = "alert is" if count == 1 else "alerts are"
            print(f"{count:,} {alerts} hidden: --hidden with shows them.", file=sys.stderr)


def _show(found: list[StoredAlert], *, as_json: bool) -> None:
    if as_json:
        for stored in found:
            sys.stdout.buffer.write(to_json_line(stored.alert))
        sys.stdout.buffer.flush()
    elif found:
        wide_console().print(table(found))


def wide_console() -> Console:
    """Return a console for tables: not on a terminal nobody reads columns, but tools lines."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console


def table(found: list[StoredAlert]) -> Table:
    """Return alerts as a table for a terminal; event text is shown literally."""
    shown = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
    for column in ("time", "severity", "who", "what", "ATT&CK"):
        shown.add_column(column, overflow="fold")
    for stored in found:
        alert = stored.alert
        severity: Severity = alert.rule.severity
        marks = [UNPROVEN] * (not stored.authenticated) + [stored.hidden_by or ""]
        mark = " ".join(["", *filter(None, marks)])
        shown.add_row(
            alert.time[:19].replace("T", " "),
            Text(severity, style=STYLES[severity]).append(mark, style="yellow"),
            Text(safe(alert.actor.user or "-")),
            Text(safe(alert.description)),
            " ".join(technique.technique for technique in alert.rule.attack),
        )
    return shown


def safe(text: str) -> str:
    """Return event text that cannot move a terminal's cursor or reorder its line."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _why_empty(store: SqliteStore, health_port: int) -> str:
    if store.count():
        return "No alert matches. Try --severity info, an earlier --since, or fewer filters."
    return (
        f"No alerts yet. `curl -s localhost:{health_port}/metrics | grep events` tells whether "
        "events arrive; `tocsin demo` shows what alerts look like."
    )
