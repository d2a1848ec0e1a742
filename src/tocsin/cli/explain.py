"""`tocsin explain`: why an alert fired, or why a rule did not fire on an event."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from tocsin.cli.alerts import STYLES, UNPROVEN, safe
from tocsin.cli.options import ConfigOption, DataOption, JsonOption, read_config
from tocsin.ingest.file import check_file, documents, read_files
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import SpoolHistory
from tocsin.model.alert import Alert, RuleRef
from tocsin.model.errors import LoadError, TocsinError
from tocsin.model.event import AuditEvent
from tocsin.model.events import FoundEvent
from tocsin.model.ports import StoredAlert
from tocsin.normalize.decode import decode
from tocsin.rules.explain import Node, deciding
from tocsin.runtime.config import Config
from tocsin.runtime.eventlog.log import SpoolEventLog
from tocsin.runtime.explaining import (
    explain_alert,
    explain_correlation,
    explain_event,
    explain_wazuh,
    request_of,
)
from tocsin.runtime.rules import InForce, rules_in_force
from tocsin.runtime.wazuh import Wazuh
from tocsin.store.sqlite import read_store

# Of the events of a file, those explained one by one; all are evaluated and counted.
MAX_EXPLAINED = 10
# Events of a file are of no cluster that has a name.
CLUSTER = "default"


def explain(  # noqa: PLR0913 - every option of the command is a parameter
    alert_id: Annotated[
        str | None, typer.Argument(metavar="[ALERT_ID]", help="Id of a stored alert.")
    ] = None,
    *,
    event: Annotated[
        str | None,
        typer.Option("--event", metavar="FILE", help="Audit events (or - for stdin), with --rule."),
    ] = None,
    rule: Annotated[
        str | None, typer.Option("--rule", metavar="ID", help="Id of a rule, or its start.")
    ] = None,
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", help="Rule file or folder besides those in force; repeatable."),
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show why an alert fired, or why a rule does not fire on an event.

    Each condition is shown with the values that the event has there.

    Example: tocsin explain --event event.json --rule 9a3c
    """
    settings = read_config(config, data)
    if alert_id is not None and event is None and rule is None:
        _explain_alert(settings, alert_id, as_json=as_json)
    elif alert_id is None and event is not None and rule is not None:
        _explain_events(_asked(rules_in_force(settings, rules or []), rule), event, as_json=as_json)
    else:
        message = (
            "name an ALERT_ID (see `tocsin alerts --json`), or give --event FILE and --rule ID"
        )
        raise TocsinError(message)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The rule that is asked about, of whatever dialect."""

    rule: RuleRef
    explain: Callable[[AuditEvent, bytes], Node | None]


def _asked(loaded: InForce, start: str) -> _Asked:
    found = [rule for rule in loaded.references() if rule.id.startswith(start)]
    exact = [rule for rule in found if rule.id == start] or found
    if len(exact) != 1:
        # What keeps a rule out of force is the likeliest reason why it is not there.
        if loaded.faults:
            raise LoadError(loaded.faults)
        problem = "several rules have" if exact else "no rule has"
        message = f"{problem} an id that starts with {start!r}; see `tocsin rules list`"
        raise TocsinError(message)
    rule = exact[0]
    if rule.dialect == "wazuh":
        return _Asked(rule, partial(_explain_wazuh, loaded.wazuh, int(rule.id)))
    correlation = next((one for one in loaded.correlations if one.id == rule.id), None)
    if correlation is not None:
        return _Asked(rule, lambda event, _: explain_correlation(correlation, loaded, event).root)
    own = next(one for one in loaded.rules if one.id == rule.id)
    return _Asked(rule, lambda event, _: explain_event(own, event))


def _explain_wazuh(
    installations: list[Wazuh], rule_id: int, event: AuditEvent, raw: bytes
) -> Node | None:
    trees = (explain_wazuh(one, rule_id, event, raw, CLUSTER, fired=False) for one in installations)
    return next((tree for tree in trees if tree is not None), None)


def _explain_alert(settings: Config, alert_id: str, *, as_json: bool) -> None:
    with read_store(settings.store_path) as store:
        stored = store.alert(alert_id)
    if stored is None:
        message = f"there is no alert {alert_id!r}; see `tocsin alerts --json`"
        raise TocsinError(message)
    alert = stored.alert
    explanation = explain_alert(alert, rules_in_force(settings), _event_of(settings, alert))
    if as_json:
        shown = {"alert": alert, "note": explanation.note, "tree": explanation.root}
        typer.echo(json.dumps(msgspec.to_builtins(shown)))
        return
    console = Console(highlight=False, markup=False)
    console.print(_heading(stored))
    if explanation.note:
        console.print(Text(explanation.note, style="yellow"))
    if explanation.root is not None:
        _show(console, explanation.root)


def _event_of(settings: Config, alert: Alert) -> FoundEvent | None:
    """Return the event of an alert, if the spool still has it."""
    if alert.event is None or not alert.evidence or not settings.key_path.exists():
        return None
    sealer = Sealer(load_or_create_key(settings.key_path))
    log = SpoolEventLog(SpoolHistory(settings.spool_folder, sealer))
    around = datetime.fromisoformat(alert.time)
    return log.find(alert.cluster, alert.evidence[0], around, alert.event.audit_id)


def _heading(stored: StoredAlert) -> Text:
    alert = stored.alert
    rule = alert.rule
    text = Text(rule.severity, style=STYLES[rule.severity])
    text.append("" if stored.authenticated else f" {UNPROVEN}", style="yellow")
    text.append(f"  {safe(alert.description)}\n", style="bold")
    when = alert.time[:19].replace("T", " ")
    text.append(f"{when} UTC, cluster {safe(alert.cluster)}\n", style="default")
    text.append(f"rule {safe(rule.title)} ({rule.dialect} {safe(rule.id)}), {safe(rule.source)}\n")
    return text


def _explain_events(asked: _Asked, path: str, *, as_json: bool) -> None:
    check_file(path)
    console = Console(highlight=False, markup=False)
    total = fired = 0
    for event, raw in _events(path):
        root = asked.explain(event, raw)
        if root is None:
            continue
        total += 1
        fired += root.holds
        if as_json:
            shown = {"event": total, "request": request_of(event), "fires": root.holds}
            typer.echo(json.dumps(shown | {"tree": msgspec.to_builtins(root)}))
        elif total <= MAX_EXPLAINED:
            verdict = "fires" if root.holds else "does not fire"
            console.print(Text(f"event {total}: {safe(request_of(event))}", style="bold"))
            console.print(f"{safe(asked.rule.title)!r} {verdict}.")
            _show(console, root)
    if not total:
        message = f"{path} holds no audit event"
        raise TocsinError(message)
    if not as_json and total > 1:
        more = f" (the first {MAX_EXPLAINED} are shown)" if total > MAX_EXPLAINED else ""
        console.print(f"{total:,} events, the rule fires on {fired:,}{more}.")


def _events(path: str) -> Iterator[tuple[AuditEvent, bytes]]:
    for chunk in documents(read_files([path])):
        batch = decode(chunk.data)
        for reject in batch.rejects:
            typer.echo(f"{path}:{chunk.line}+: no audit event: {safe(reject.reason)}", err=True)
        yield from ((event, batch.raw(index)) for index, event in enumerate(batch.events))


def _show(console: Console, root: Node) -> None:
    console.print(_tree(root))
    if not root.holds:
        console.print(Text("What kept it from firing:", style="bold"))
        for node in deciding(root):
            place = f"  ({safe(node.at)})" if node.at else ""
            console.print(Text(f"  {safe(node.text)}, {_seen(node)}{place}"))
    console.print()


def _tree(node: Node) -> Tree:
    tree = Tree(_label(node), guide_style="dim")
    for child in node.children:
        tree.children.append(_tree(child))
    if node.kind == "each" and node.more:
        tree.add(Text(f"{node.more} more elements are not shown", style="dim"))
    return tree


def _label(node: Node) -> Text:
    text = Text("yes  " if node.holds else "no   ", style="green" if node.holds else "red")
    text.append(safe(node.text), style="default")
    if node.kind in ("test", "element"):
        text.append(f"   {_seen(node)}", style="cyan")
    return text


def _seen(node: Node) -> str:
    if not node.values:
        return "" if node.kind == "element" else "the event has nothing there"
    more = f" and {node.more} more" if node.more else ""
    values = ", ".join(safe(value) for value in node.values)
    return f"({values})" if node.kind == "element" else f"seen: {values}{more}"
