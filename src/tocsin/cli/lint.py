"""`tocsin rules lint`: what is wrong with rules of all dialects."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.alerts import safe
from tocsin.cli.options import ConfigOption, JsonOption, WazuhOption, read_config
from tocsin.dialects.wazuh import lint as wazuh_lint
from tocsin.dialects.wazuh.lint import Finding
from tocsin.model.errors import Fault, LoadError
from tocsin.normalize.fields import AUDIT
from tocsin.runtime.config import Config
from tocsin.runtime.rules import load_rules, rules_in_force
from tocsin.runtime.wazuh import Wazuh, load_wazuh_files
from tocsin.runtime.wazuhfiles import WazuhFiles

Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PATH]...", help="Rule files and folders, Wazuh's .xml among them."),
]


@dataclass(slots=True)
class _Report:
    """What was found, and in how many rules."""

    findings: list[Finding] = field(default_factory=list)
    rules: int = 0
    skipped: int = 0

    def add(self, faults: Iterable[Fault], warnings: Iterable[Fault] = ()) -> None:
        """Add what loading found."""
        for fault in faults:
            at_field = f" ({fault.field})" if fault.field else ""
            message = f"{fault.message}{at_field}"
            self.findings.append(Finding("load", message, fault.location, fault=True))
        for warning in warnings:
            self.findings.append(Finding("load", warning.message, warning.location))

    def add_wazuh(self, wazuh: Wazuh) -> None:
        """Add what is to say of an installation."""
        installation = wazuh.installation
        self.findings += wazuh_lint.lint(installation, AUDIT)
        self.rules += len(installation.tree.nodes)
        self.skipped += wazuh_lint.rules_for_other_logs(installation)

    @property
    def faults(self) -> int:
        """How many findings are faults."""
        return sum(found.fault for found in self.findings)


def lint(
    paths: Paths = None,
    *,
    wazuh: WazuhOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that rules can be loaded and can match; without PATH, those that are in force.

    Exit code 1 if a rule is faulty; warnings do not count.

    Example: tocsin rules lint --wazuh /var/ossec/etc
    """
    report = _report(paths or [], wazuh, read_config(config))
    if as_json:
        typer.echo(json.dumps([_as_data(found) for found in report.findings]))
    else:
        _print(report)
    if report.faults:
        raise typer.Exit(1)


def _report(paths: list[Path], folder: Path | None, config: Config) -> _Report:
    report = _Report()
    named = [WazuhFiles(folder=str(folder))] if folder is not None else []
    named += [_wazuh_files(path) for path in paths if _is_wazuh(path)]
    others = [path for path in paths if not _is_wazuh(path)]
    if others:
        loaded = load_rules(others, config.sets, builtin=False)
        report.add(loaded.faults, loaded.warnings)
        report.rules, report.skipped = len(loaded.rules), loaded.skipped
    elif not named:
        _add_in_force(report, config)
    for files in named:
        try:
            report.add_wazuh(load_wazuh_files(files))
        except LoadError as error:
            report.add(error.faults)
    return report


def _add_in_force(report: _Report, config: Config) -> None:
    loaded = rules_in_force(config)
    told = {warning for one in loaded.wazuh for warning in one.installation.warnings}
    report.add(loaded.faults, (warning for warning in loaded.warnings if warning not in told))
    report.rules, report.skipped = len(loaded.rules), loaded.skipped
    for one in loaded.wazuh:
        report.add_wazuh(one)


def _is_wazuh(path: Path) -> bool:
    """Whether a file is Wazuh's, or a folder holds such files and no others."""
    if not path.is_dir():
        return path.suffix == ".xml"
    return any(path.rglob("*.xml")) and not any(path.rglob("*.y*ml"))


def _wazuh_files(path: Path) -> WazuhFiles:
    return WazuhFiles(folder=str(path)) if path.is_dir() else WazuhFiles(rules=(str(path),))


def _print(report: _Report) -> None:
    for found in report.findings:
        kind = "" if found.fault else "warning: "
        typer.echo(f"{safe(str(found.at))}: {kind}{safe(found.message)}")
        if found.instead is not None:
            typer.echo("    the same, from fields, which no further key defeats:")
            for line in found.instead.splitlines():
                typer.echo(f"      {safe(line)}")
    warnings = len(report.findings) - report.faults
    typer.echo(
        f"{report.rules} rules, {report.faults} faults, {warnings} warnings, "
        f"{report.skipped} skipped (for other log sources)"
    )


def _as_data(found: Finding) -> dict[str, object]:
    return {
        "check": found.check,
        "fault": found.fault,
        "message": found.message,
        "source": str(found.at),
        "instead": found.instead,
    }
