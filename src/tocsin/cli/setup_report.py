"""What `tocsin setup` prints: for a person, and as data."""

from typing import Any

from rich.console import Console

from tocsin.connect.apply import Application
from tocsin.connect.bundle import State
from tocsin.connect.connection import UNNAMED_NODE
from tocsin.connect.distributions import DISTRIBUTIONS
from tocsin.connect.guide import next_commands, steps
from tocsin.connect.pki import Issued
from tocsin.connect.prepare import Prepared

# On their nodes 127.0.0.1 is the node, even where it runs on this machine.
_IN_CONTAINERS = frozenset({"kind", "minikube"})


def as_data(
    prepared: Prepared, states: dict[str, State], application: Application | None
) -> dict[str, Any]:
    """Return everything as plain data."""
    connection, sources = prepared.connection, prepared.sources
    distribution = DISTRIBUTIONS[connection.distribution]
    return {
        "cluster": connection.cluster,
        "distribution": distribution.name,
        "verified": distribution.verified,
        "urls": {node: connection.url(node) for node in connection.nodes},
        "credential": connection.credential,
        "data": str(sources.data),
        "out": str(sources.out),
        "files": states,
        "server_certificate": _certificate_data(prepared.server),
        "client_certificate": _certificate_data(prepared.client) if prepared.client else None,
        "flags": distribution.flags(connection),
        "manifest_diff": prepared.manifest_diff,
        "applied": None if application is None else _application_data(application),
        "notes": _notes(prepared),
        "next": next_commands(connection, sources),
    }


def print_changes(console: Console, application: Application) -> None:
    """Show what will be replaced or added on this machine."""
    console.print("\nThis will change on this machine:", style="bold")
    for change in application.changes:
        if change.before is None and change.path != application.target:
            console.print(f"  {change.path}: new")
        else:
            console.print(f"\n{change.difference}", end="")


def print_summary(
    console: Console,
    prepared: Prepared,
    states: dict[str, State],
    application: Application | None,
) -> None:
    """Print for a person: what was made, what to know, what to do next."""
    connection, sources = prepared.connection, prepared.sources
    console.print(f"Cluster {connection.cluster!r} is ready to be connected.\n", style="bold")
    for node in connection.nodes:
        console.print(f"  {node} will send to {connection.url(node)}")
    for title, issued in (("Tocsin's", prepared.server), ("the cluster's", prepared.client)):
        if issued:
            made = f"made ({issued.reason})" if issued.reason else "kept"
            console.print(f"  {title} certificate: {made}, good until {issued.expires:%Y-%m-%d}")
    console.print(f"\nFiles in {sources.out}:")
    width = max(len(name) for name in states)
    for name, state in states.items():
        console.print(f"  {name:{width}}  {state}")
    if prepared.manifest_diff is not None:
        unchanged = "(nothing to change)\n"
        console.print(f"\nChange in {sources.manifest}:\n{prepared.manifest_diff or unchanged}")
    for note in _notes(prepared):
        console.print(f"Note: {note}", style="yellow")
    if application is None:
        console.print("\nNothing has been changed on a cluster. Next:", style="bold")
        _print_next(console, prepared)
    else:
        _print_application(console, application)
        console.print(f"What an upgrade needs, and all else: {sources.out / 'README.txt'}")


def _print_next(console: Console, prepared: Prepared) -> None:
    connection, sources = prepared.connection, prepared.sources
    for number, step in enumerate(steps(connection, sources), start=1):
        console.print(f"  {number}. {step.title}")
    console.print(f"The commands for each step, and the way back: {sources.out / 'README.txt'}")
    console.print("\nBegin with:", style="bold")
    for command in next_commands(connection, sources):
        console.print(f"  {command}")


def _print_application(console: Console, application: Application) -> None:
    if not application.changes:
        console.print("\nThis machine has it all already; nothing was changed.", style="bold")
        return
    console.print("\nThis machine was changed:", style="bold")
    for change in application.changes:
        saved = "" if change.before is None else f", as it was: {change.backup}"
        console.print(f"  {change.path}{saved}")
    if not application.edits_target:
        console.print("The API server reads these again by itself, webhook.yaml at its next start.")
        return
    if application.restart:
        console.print(f"\nFor the API server to send, restart it:\n  {application.restart}")
    else:
        console.print("\nThe kubelet restarts the API server within a minute or so.")
    console.print("It must answer again within three minutes:\n  kubectl get --raw /readyz")
    console.print("The way back, if it does not:", style="bold")
    for command in application.way_back:
        console.print(f"  {command}")


def _application_data(application: Application) -> dict[str, Any]:
    return {
        "changed": [str(change.path) for change in application.changes],
        "backups": [
            str(change.backup) for change in application.changes if change.before is not None
        ],
        "restart": application.restart if application.edits_target else None,
        "way_back": application.way_back,
    }


def _notes(prepared: Prepared) -> list[str]:
    """Return what the user may not expect."""
    connection = prepared.connection
    endpoint, distribution = connection.endpoint, DISTRIBUTIONS[connection.distribution]
    notes = []
    if endpoint.is_loopback and distribution.name in _IN_CONTAINERS:
        notes.append(
            f"{endpoint.host} is the node itself for an API server of {distribution.title}: give "
            "the address by which the node reaches this machine (README.txt says how to find it)."
        )
    elif endpoint.is_loopback:
        notes.append(f"{endpoint.host} is reached only by API servers on this machine.")
    if endpoint.is_cluster_service:
        notes.append(
            f"{endpoint.host} is a service of the cluster: API servers use the node's DNS, which "
            "usually does not know it. Give an IP address, a load balancer or a node port."
        )
    if not connection.named_nodes:
        notes.append(
            f"Without --node every API server is called {UNNAMED_NODE!r}; with several, name "
            "each to tell them apart."
        )
    if distribution.verified != "run live":
        notes.append(f"{distribution.title}: {distribution.verified}. {distribution.checked}")
    return notes


def _certificate_data(issued: Issued) -> dict[str, str | None]:
    return {
        "serial": issued.serial,
        "expires": issued.expires.isoformat(),
        "new_because": issued.reason,
    }
