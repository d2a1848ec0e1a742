"""`tocsin rules coverage`: which rules can never fire under an audit policy."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding

from tocsin.auditpolicy import RuleCoverage, State, correlated, coverage
from tocsin.cli.options import ConfigOption, JsonOption, read_config
from tocsin.connect.policy import read_policy
from tocsin.model.alert import SEVERITIES
from tocsin.normalize.fields import AUDIT
from tocsin.runtime.rules import rules_in_force

# In the order in which they are shown, the one that needs no deed last.
_TITLES: dict[State, str] = {
    "never": "can never fire under this policy",
    "partial": "see only a part of what they are for",
    "full": "see all that they are for",
}


def show_coverage(
    policy: Annotated[
        str,
        typer.Option(metavar="recommended|seed|FILE", help="The audit policy of the API servers."),
    ],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell which rules can never fire under an audit policy, and what they lack.

    Example: tocsin rules coverage --policy /etc/kubernetes/audit-policy.yaml
    """
    asked = read_policy(policy)
    loaded = rules_in_force(read_config(config))
    for fault in loaded.faults:
        typer.echo(str(fault), err=True)
    found = coverage(asked, loaded.rules, AUDIT)
    found += correlated(found, loaded.correlations)
    found.sort(key=lambda one: (-SEVERITIES.index(one.rule.severity), one.rule.title))
    if as_json:
        typer.echo(json.dumps({"policy": policy, "ignored": asked.ignored, "rules": data(found)}))
        return
    for field in asked.ignored:
        typer.echo(f"Note: the API server does not know {field} and goes on without it.")
    _print(found)


def data(found: Sequence[RuleCoverage]) -> list[dict[str, object]]:
    """Return what `--json` prints of each rule."""
    return [
        {
            "id": one.rule.id,
            "title": one.rule.title,
            "severity": one.rule.severity,
            "state": one.state,
            "why": one.why,
        }
        for one in found
    ]


def _print(found: Sequence[RuleCoverage]) -> None:
    console = Console(markup=False, highlight=False)
    for state, title in _TITLES.items():
        group = [one for one in found if one.state == state]
        if not group:
            continue
        console.print(f"\n{len(group)} of {len(found)} rules {title}:", style="bold")
        for one in group:
            console.print(f"  {one.rule.severity:8}  {one.rule.title}")
            if one.why:
                console.print(Padding(one.why, (0, 0, 0, 12)), style="dim")
