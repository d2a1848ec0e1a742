"""`tocsin setup`: make the files that connect a cluster, and say what to do with them."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.bundle import State, changes
from tocsin.connect.connection import UNNAMED_NODE, Connection, Sources
from tocsin.connect.guide import steps
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.names import check_cluster_name, check_node_name, parse_endpoint
from tocsin.connect.pki import Issued
from tocsin.connect.prepare import Prepared, prepare, write
from tocsin.model.errors import TocsinError


def setup(  # noqa: PLR0913 - every option of the command is a parameter
    *,
    advertise: Annotated[
        str,
        typer.Option(
            metavar="HOST[:PORT]",
            help="Where API servers reach Tocsin: an IP address or a name that the nodes resolve.",
        ),
    ],
    cluster: Annotated[str, typer.Option(help="Name of the cluster, shown on its alerts.")] = (
        "default"
    ),
    node: Annotated[
        list[str] | None,
        typer.Option(help="Name of a control-plane node; repeat it for each."),
    ] = None,
    policy: Annotated[
        str, typer.Option(metavar="recommended|seed|PATH", help="What the API server records.")
    ] = "recommended",
    credential: Annotated[
        Credential, typer.Option(help="How API servers show who they are.")
    ] = "certificate",
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Tocsin's data folder, that of `tocsin serve`.")
    ] = Path("tocsin-data"),
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the files go.", show_default="tocsin-setup/<cluster>"
        ),
    ] = None,
    remote_dir: Annotated[
        str, typer.Option(metavar="DIR", help="Where the files will lie on each node.")
    ] = NodePaths().config_dir,
    log_dir: Annotated[
        str, typer.Option(metavar="DIR", help="Where the audit log will lie on each node.")
    ] = NodePaths().log_dir,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A node's kube-apiserver.yaml: writes a changed copy and shows the difference.",
        ),
    ] = None,
    log_file: Annotated[
        bool,
        typer.Option(
            "--log-file/--no-log-file",
            help="Have the API server also write an audit log on the node (about 4 GB).",
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print data instead of text.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Replace files that exist with other content.")
    ] = False,
) -> None:
    """Make the files that connect a cluster; no cluster and no system file is touched.

    Example: tocsin setup --advertise 10.0.0.5:8080 --cluster prod --node cp-1 --node cp-2
    """
    connection = Connection(
        cluster=check_cluster_name(cluster),
        endpoint=parse_endpoint(advertise),
        named_nodes=tuple(dict.fromkeys(check_node_name(name) for name in node or ())),
        credential=credential,
        paths=NodePaths(config_dir=remote_dir, log_dir=log_dir),
        log_backend=log_file,
    )
    sources = Sources(
        data=data,
        out=out or Path("tocsin-setup") / cluster,
        policy=policy,
        manifest=manifest,
    )
    prepared = prepare(connection, sources)
    if not yes:
        _refuse_to_replace(prepared)
    states = write(prepared)
    if as_json:
        typer.echo(json.dumps(_as_data(prepared, states)))
    else:
        _print_summary(prepared, states)


def _refuse_to_replace(prepared: Prepared) -> None:
    """Show what would change in files that exist, and stop."""
    different = changes(prepared.sources.out, prepared.files)
    if different:
        for difference in different.values():
            typer.echo(difference, err=True)
        message = (
            f"{prepared.sources.out} has these files with other content: "
            f"{', '.join(different)}. Nothing was written there; see the difference above, "
            "then add --yes to replace them or --out to write elsewhere."
        )
        raise TocsinError(message)


def _notes(prepared: Prepared) -> list[str]:
    """Return what the user may not expect."""
    endpoint = prepared.connection.endpoint
    notes = []
    if endpoint.is_loopback:
        notes.append(f"{endpoint.host} is reached only by API servers on this machine.")
    if endpoint.is_cluster_service:
        notes.append(
            f"{endpoint.host} is a service of the cluster: API servers use the node's DNS, which "
            "usually does not know it. Give an IP address, a load balancer or a node port."
        )
    if not prepared.connection.named_nodes:
        notes.append(
            f"Without --node every API server is called {UNNAMED_NODE!r}; with several, name "
            "each to tell them apart."
        )
    return notes


def _as_data(prepared: Prepared, states: dict[str, State]) -> dict[str, Any]:
    connection, sources = prepared.connection, prepared.sources
    return {
        "cluster": connection.cluster,
        "urls": {node: connection.url(node) for node in connection.nodes},
        "credential": connection.credential,
        "data": str(sources.data),
        "out": str(sources.out),
        "files": states,
        "server_certificate": _certificate_data(prepared.server),
        "client_certificate": _certificate_data(prepared.client) if prepared.client else None,
        "flags": connection.flags,
        "manifest_diff": prepared.manifest_diff,
        "notes": _notes(prepared),
    }


def _certificate_data(issued: Issued) -> dict[str, str | None]:
    return {
        "serial": issued.serial,
        "expires": issued.expires.isoformat(),
        "new_because": issued.reason,
    }


def _print_summary(prepared: Prepared, states: dict[str, State]) -> None:
    """Print for a person: what was made, what to know, what to do next."""
    console = Console(markup=False, highlight=False, soft_wrap=True)
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
    console.print("\nNothing has been changed on a cluster. Next:", style="bold")
    next_steps = steps(connection, sources)
    for number, step in enumerate(next_steps, start=1):
        console.print(f"  {number}. {step.title}")
    console.print(f"The commands for each step, and the way back: {sources.out / 'README.txt'}")
