"""`tocsin wazuh`: Tocsin beside a Wazuh that is still running."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tocsin.cli.alerts import safe
from tocsin.cli.options import (
    ConfigOption,
    JsonOption,
    StrictOption,
    WazuhOption,
    read_config,
    wazuh_files,
)
from tocsin.cli.reading import read_with_progress
from tocsin.dialects.wazuh.compare import Comparison, Difference, Key, Said, compare
from tocsin.ingest.file import check_file, documents
from tocsin.model.errors import TocsinError
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.wazuh import Wazuh, load_wazuh_files

wazuh_app = typer.Typer(help="Come from Wazuh 4: compare both, side by side.", no_args_is_help=True)

# Differences that are told one by one in the text; `--json` has all.
MAX_SHOWN = 20
_TITLES = {
    "only-there": "only in Wazuh",
    "only-here": "only in Tocsin",
    "level": "another level",
    "description": "another description",
}


@wazuh_app.callback()
def _group() -> None:
    """Keep `compare` a command of its own while it is the only one."""


@wazuh_app.command("compare")
def compare_alerts(
    alerts_json: Annotated[Path, typer.Argument(help="The alerts.json of a real Wazuh.")],
    files: Annotated[
        list[str],
        typer.Argument(metavar="EVENTS...", help="The same events (plain, .gz, .zst), or -."),
    ],
    *,
    wazuh: WazuhOption = None,
    strict: StrictOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the alerts of a real Wazuh with those of Tocsin for the same events and rules.

    Alerts are joined by rule id, auditID and stage. Exit code 1 if they differ.
    Without --wazuh, the Wazuh rules of the configuration are used.

    Example: tocsin wazuh compare alerts.json --wazuh /var/ossec/etc audit.log
    """
    named = wazuh_files(wazuh, strict=strict) or read_config(config).wazuh
    if not named:
        message = "name the folder of your Wazuh files by --wazuh DIR, or a configuration by -c"
        raise TocsinError(message)
    loaded = [load_wazuh_files(one) for one in named]
    for path in files:
        check_file(path)
    here = _ours(loaded, files, quiet=as_json)
    rules = frozenset(str(rule.id) for one in loaded for rule in one.installation.tree.rules())
    found = compare(_lines(alerts_json), here, rules)
    if as_json:
        typer.echo(json.dumps(_as_data(found)))
    else:
        _print(found)
    if found.differences:
        raise typer.Exit(1)


def _ours(loaded: list[Wazuh], files: list[str], *, quiet: bool) -> dict[tuple[str, Key], Said]:
    """Return what our rules say of each event that they alert on."""
    pipeline = Pipeline([], loaded)
    said: dict[tuple[str, Key], Said] = {}
    for chunks in read_with_progress(files, quiet=quiet):
        for chunk in documents(chunks):
            for hit in pipeline.process(chunk.data, "default").wazuh:
                rule, event = hit.result.rule, hit.alert.event
                if rule is not None and event is not None:
                    key = (event.audit_id, event.stage or "")
                    said[str(rule.id), key] = Said(rule.level, hit.result.description)
    return said


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        message = f"cannot read {path}: {os.strerror(error.errno or 0)}"
        raise TocsinError(message) from error


def _print(found: Comparison) -> None:
    kinds = Counter((one.rule, one.kind) for one in found.differences)
    table = Table("Rule", "same", *_TITLES.values(), box=None, pad_edge=False)
    for rule in sorted({*found.same, *(one.rule for one in found.differences)}):
        counts = (found.same[rule], *(kinds[rule, kind] for kind in _TITLES))
        table.add_row(rule, *(f"{count:,}" for count in counts))
    if table.row_count:
        Console(markup=False, highlight=False).print(table)
    for one in found.differences[:MAX_SHOWN]:
        typer.echo(_told(one))
    if len(found.differences) > MAX_SHOWN:
        typer.echo(f"... and {len(found.differences) - MAX_SHOWN:,} more; --json tells all")
    typer.echo(_summary(found))


def _told(one: Difference) -> str:
    audit_id, stage = one.key
    lines = [f"rule {one.rule}, {_TITLES[one.kind]}: {safe(audit_id)} {safe(stage)}"]
    for name, said in (("Wazuh", one.there), ("Tocsin", one.here)):
        if said is not None:
            lines.append(f"  {name}: level {said.level}, {safe(said.description)}")
    return "\n".join(lines)


def _summary(found: Comparison) -> str:
    parts = [f"{found.same.total():,} the same, {len(found.differences):,} different"]
    aside = (
        (found.other_rules.total(), "of rules that are not loaded here"),
        (found.other_logs, "about logs that are no audit events"),
        (found.unreadable, "lines that are no alerts"),
    )
    parts += [f"{count:,} {what}" for count, what in aside if count]
    return "; left aside: ".join((parts[0], ", ".join(parts[1:]))) if parts[1:] else parts[0]


def _as_data(found: Comparison) -> dict[str, object]:
    return {
        "same": dict(found.same),
        "differences": [
            {
                "rule": one.rule,
                "kind": one.kind,
                "audit_id": one.key[0],
                "stage": one.key[1],
                "there": _as_object(one.there),
                "here": _as_object(one.here),
            }
            for one in found.differences
        ],
        "other_rules": dict(found.other_rules),
        "other_logs": found.other_logs,
        "unreadable": found.unreadable,
    }


def _as_object(said: Said | None) -> dict[str, object] | None:
    return None if said is None else said._asdict()
