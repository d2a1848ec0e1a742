"""Which API server a command asks: the one of a kubeconfig, or a cluster of the configuration."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tocsin.inventory.kinds import KINDS, Kind
from tocsin.model.errors import TocsinError
from tocsin.runtime.apiserver import ApiServer
from tocsin.runtime.config import Config
from tocsin.runtime.inventory import Inventory, read_inventory

KubeconfigOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Access to the API server; its current context is used."),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        help="Name of the cluster: one of `api_servers` in the configuration, or with"
        " --kubeconfig the name to show.",
        show_default="the only one there, or default",
    ),
]


def inventory_of(
    config: Config, kubeconfig: Path | None, cluster: str | None, kinds: tuple[Kind, ...] = KINDS
) -> tuple[str, Inventory]:
    """Return the name of the cluster that is meant, and what is in it.

    Raises:
        TocsinError: it is not clear which is meant, or it cannot be asked.
    """
    name, path = _chosen(config, kubeconfig, cluster)
    server = ApiServer.from_kubeconfig(path)
    columns = (
        TextColumn("reading"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[kind]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(kinds), kind="")

        def tell(kind: Kind, number: int) -> None:
            progress.update(task, completed=number, kind=kind.resource)

        return name, read_inventory(server, tell, kinds)


def _chosen(config: Config, kubeconfig: Path | None, cluster: str | None) -> tuple[str, Path]:
    if kubeconfig is not None:
        return cluster or "default", kubeconfig
    known = config.api_servers
    if cluster is None and len(known) == 1:
        cluster = next(iter(known))
    if cluster in known:
        return cluster, known[cluster].kubeconfig_path
    named = (
        f"`api_servers` of the configuration names: {', '.join(known)}"
        if known
        else ("the configuration has no `api_servers`")
    )
    message = f"say which cluster is meant, by --kubeconfig FILE or --cluster NAME; {named}"
    raise TocsinError(message)
