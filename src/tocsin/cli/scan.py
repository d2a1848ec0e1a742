"""`tocsin scan`: the rules over what is already in a cluster."""

import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from tocsin.cli.alerts import table, wide_console
from tocsin.cli.cluster import ClusterOption, KubeconfigOption, inventory_of
from tocsin.cli.options import ConfigOption, DataOption, JsonOption, read_config
from tocsin.inventory.asevent import SHIPPED_SET
from tocsin.model.alert import SEVERITIES, Alert, Severity, to_json_line
from tocsin.model.errors import LoadError
from tocsin.model.ports import StoredAlert
from tocsin.runtime.config import Config
from tocsin.runtime.hiding import silenced
from tocsin.runtime.inventory import Inventory
from tocsin.runtime.rules import named_sets, rules_in_force
from tocsin.runtime.scan import scan as find
from tocsin.store.sqlite import join_store


def scan(  # noqa: PLR0913 - every option of the command is a parameter
    *,
    kubeconfig: KubeconfigOption = None,
    cluster: ClusterOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    severity: Annotated[Severity, typer.Option(help="Lowest severity to show.")] = "medium",
    record: Annotated[
        bool, typer.Option("--record", help="Keep what is found as alerts of a running Tocsin.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Hold the rules about pods, roles, webhooks and the like against what is there now.

    Only lists objects, no Secrets among them. `tocsin setup rbac --scan` prints the rights.

    Example: tocsin scan --kubeconfig ~/.kube/config --severity high
    """
    settings = read_config(config, data)
    loaded = rules_in_force(settings)
    if loaded.faults:
        raise LoadError(loaded.faults)
    name, inventory = inventory_of(settings, kubeconfig, cluster)
    shipped = frozenset(named_sets(settings.sets)[SHIPPED_SET])
    now = datetime.now(UTC)
    findings = find(inventory, loaded.rules, shipped, name, now)
    if record:
        _record(settings, findings)
    least = SEVERITIES.index(severity)
    shown = [one for one in findings if SEVERITIES.index(one.rule.severity) >= least]
    if as_json:
        for alert in shown:
            sys.stdout.buffer.write(to_json_line(alert))
        sys.stdout.buffer.flush()
    elif shown:
        wide_console().print(table([StoredAlert(0, alert) for alert in shown]))
    _summary(inventory, findings, len(shown), severity)


def _record(settings: Config, findings: list[Alert]) -> None:
    channels = settings.lowest_severities
    with join_store(settings.store_path, channels, settings.routes) as store:
        now = time.time()
        store.record(findings, {}, now, hidden=silenced(store, findings, now))


def _summary(inventory: Inventory, findings: list[Alert], shown: int, severity: str) -> None:
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    for kind, why in inventory.unknown.items():
        console.print(f"Unknown: {kind.resource}, {why}.", style="yellow")
    below = len(findings) - shown
    rest = f"; {below} more below {severity} (--severity info shows them)" if below else ""
    console.print(f"{inventory.count:,} objects, {shown} findings{rest}.")
