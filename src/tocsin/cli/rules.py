"""`tocsin rules`: list, show, lint and test detection rules, and hold them against a policy."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tocsin.cli.coverage import show_coverage
from tocsin.cli.lint import lint
from tocsin.cli.options import ConfigOption, JsonOption, read_config
from tocsin.model.alert import SEVERITIES, RuleRef, Severity
from tocsin.model.errors import TocsinError
from tocsin.runtime.rules import content_folder, rules_in_force, source_path
from tocsin.runtime.ruletest import run_tests

rules_app = typer.Typer(
    help="Look at detection rules, check them and test them.", no_args_is_help=True
)
rules_app.command("coverage")(show_coverage)
rules_app.command()(lint)

Paths = Annotated[
    list[Path] | None, typer.Argument(metavar="[PATH]...", help="Rule files and folders.")
]


@rules_app.command("list")
def list_rules(
    paths: Paths = None,
    *,
    config: ConfigOption = None,
    severity: Annotated[
        Severity, typer.Option(help="Leave out rules of a lower severity.")
    ] = "info",
    as_json: JsonOption = False,
) -> None:
    """List the rules that are in force, and those in PATH besides.

    Example: tocsin rules list --severity high
    """
    loaded = rules_in_force(read_config(config), paths or [])
    for fault in loaded.faults:
        typer.echo(str(fault), err=True)
    least = SEVERITIES.index(severity)
    rules = [rule for rule in loaded.references() if SEVERITIES.index(rule.severity) >= least]
    rules.sort(key=lambda rule: (-SEVERITIES.index(rule.severity), rule.title))
    if as_json:
        typer.echo(json.dumps([_as_data(rule) for rule in rules]))
    else:
        _print_table(rules)


@rules_app.command()
def show(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the rule, or its start.")],
    paths: Paths = None,
    *,
    config: ConfigOption = None,
) -> None:
    """Show one rule: what it is for, and the text of its file.

    Example: tocsin rules show 9a3c
    """
    loaded = rules_in_force(read_config(config), paths or [])
    rules = loaded.references()
    found = [rule for rule in rules if rule.id == rule_id] or [
        rule for rule in rules if rule.id.startswith(rule_id)
    ]
    if len(found) != 1:
        problem = "several rules have" if found else "no rule has"
        message = f"{problem} an id that starts with {rule_id!r}; see `tocsin rules list`"
        raise TocsinError(message)
    rule = found[0]
    typer.echo(f"{rule.title}\nseverity {rule.severity}, {_techniques(rule) or 'no ATT&CK id'}")
    typer.echo(f"{rule.source}\n\n{_source(rule)}", nl=False)


@rules_app.command("test")
def run_rule_tests(paths: Paths = None, *, config: ConfigOption = None) -> None:
    """Run the tests beside rule files; without PATH, those that ship with Tocsin.

    The tests of rule.yml stand in rule.test.yml. Exit code 1 if a test fails.

    Example: tocsin rules test my-rules/
    """
    sets = read_config(config).sets
    report = run_tests(paths or [content_folder() / "sigma"], sets)
    for fault in (*report.faults, *report.failures):
        typer.echo(str(fault))
    untested = f", {len(report.untested)} rule files without tests" if report.untested else ""
    typer.echo(f"{report.total} tests, {len(report.failures)} failed{untested}")
    if report.faults or report.failures:
        raise typer.Exit(1)


def _source(rule: RuleRef) -> str:
    """Return the text of a rule: its file, or its element of a file of many."""
    path, _, line = rule.source.rpartition(":")
    text = source_path(path).read_text(encoding="utf-8", errors="replace")
    if rule.dialect != "wazuh":
        return text
    before, end, _ = "".join(text.splitlines(keepends=True)[int(line) - 1 :]).partition("</rule>")
    return f"{before}{end}\n"


def _techniques(rule: RuleRef) -> str:
    return ", ".join(technique.technique for technique in rule.attack)


def _as_data(rule: RuleRef) -> dict[str, object]:
    return {
        "id": rule.id,
        "title": rule.title,
        "dialect": rule.dialect,
        "severity": rule.severity,
        "level": rule.level,
        "attack": [technique.technique for technique in rule.attack],
        "tags": rule.tags,
        "source": rule.source,
    }


def _print_table(rules: list[RuleRef]) -> None:
    table = Table("Severity", "Rule", "ATT&CK", "Id", box=None, pad_edge=False)
    for rule in rules:
        table.add_row(rule.severity, rule.title, _techniques(rule), rule.id[:8])
    Console(markup=False, highlight=False).print(table)
    typer.echo(f"{len(rules)} rules")
