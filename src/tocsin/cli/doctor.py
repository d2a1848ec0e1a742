"""`tocsin doctor`: find out why nothing is heard, and what to do about it."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from tocsin.cli.options import ConfigOption, DataOption, JsonOption, read_config
from tocsin.connect.distributions import DISTRIBUTIONS
from tocsin.connect.distributions.kubeadm import MANIFEST
from tocsin.model.errors import TocsinError
from tocsin.model.text import visible
from tocsin.runtime.config import Config
from tocsin.runtime.doctor.examine import CHECKS, Plan, examine
from tocsin.runtime.doctor.finding import Finding, State

# Where setup has them put on a node, by the distributions.
_USUAL_WEBHOOKS = tuple(dict.fromkeys(each.paths.webhook for each in DISTRIBUTIONS.values()))
_STYLES: dict[State, str] = {
    "ok": "green",
    "warning": "yellow",
    "fault": "bold red",
    "skipped": "dim",
}
_STATE_WIDTH = max(map(len, _STYLES))
_CHECK_WIDTH = max(map(len, CHECKS))
_INDENT = " " * (_STATE_WIDTH + _CHECK_WIDTH + 4)


def doctor(  # noqa: PLR0913 - every option of the command is a parameter
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    webhook: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Webhook kubeconfig of an API server.",
            show_default="where setup has it put on a node",
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Audit policy.", show_default="the API server's"),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The API server's static-pod manifest.",
            show_default="kubeadm's, if it is there",
        ),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Access to an API server, to read its /metrics."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHECK", help=f"Make only this check; repeatable: {', '.join(CHECKS)}."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the line from an API server to an alert; say what is wrong and what mends it.

    Run it on Tocsin's machine, on a control-plane node, or both. It posts one empty batch, and
    changes nothing. Exit code 1 if there is a fault; warnings do not count.

    Example: tocsin doctor --webhook /etc/kubernetes/tocsin/webhook.yaml
    """
    unknown = sorted(set(only or ()) - set(CHECKS))
    if unknown:
        message = f"there is no check {', '.join(unknown)}; there are: {', '.join(CHECKS)}"
        raise TocsinError(message)
    plan = Plan(
        config=_own_config(config, data),
        webhook=webhook or _first_there(_USUAL_WEBHOOKS),
        policy=policy,
        manifest=manifest or _first_there([MANIFEST]),
        access=kubeconfig,
        only=frozenset(only or ()),
    )
    if not any((plan.config, plan.webhook, plan.policy, plan.manifest, plan.access)):
        message = (
            "there is nothing to look at here: no data folder (name it with --data or --config) "
            f"and none of {', '.join(_USUAL_WEBHOOKS)} (name another with --webhook)"
        )
        raise TocsinError(message)
    found = examine(plan)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
    else:
        print_findings(found)
    if any(finding.state == "fault" for finding in found):
        raise typer.Exit(1)


def _own_config(config: Path | None, data: Path | None) -> Config | None:
    """Return the configuration if this is Tocsin's machine."""
    settings = read_config(config, data)
    if settings.folder.is_dir():
        return settings
    if config is None and data is None:
        return None
    message = f"there is no data folder {settings.folder}: name that of `tocsin serve`"
    raise TocsinError(message)


def _first_there(places: Sequence[str]) -> Path | None:
    """Return the first file that is there, or lies in a folder that is closed to us."""
    for place in map(Path, places):
        try:
            if place.exists():
                return place
        except PermissionError:
            return place
    return None


def print_findings(found: Sequence[Finding]) -> None:
    """Print findings for a person, and how many there are of each kind."""
    console = Console(markup=False, highlight=False, soft_wrap=True)
    for finding in found:
        console.print(f"{finding.state:{_STATE_WIDTH}}", style=_STYLES[finding.state], end="  ")
        console.print(f"{finding.check:{_CHECK_WIDTH}}  {visible(finding.what)}")
        for name, text in (("why", finding.why), ("mend", finding.mend)):
            if text:
                console.print(f"{_INDENT}{name}: {visible(text)}")
    console.print(_summary(found))


def _summary(found: Sequence[Finding]) -> str:
    counts = Counter(finding.state for finding in found)
    parts = [
        f"{counts['fault']} fault{'s' * (counts['fault'] != 1)}",
        f"{counts['warning']} warning{'s' * (counts['warning'] != 1)}",
        f"{counts['ok']} ok",
    ]
    return ", ".join(parts) + (f", {counts['skipped']} skipped" if counts["skipped"] else "")
