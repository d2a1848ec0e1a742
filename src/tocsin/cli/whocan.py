"""`tocsin who-can`: who may make a request, by RBAC."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tocsin.cli.alerts import safe, wide_console
from tocsin.cli.cluster import ClusterOption, KubeconfigOption, inventory_of
from tocsin.cli.options import ConfigOption, JsonOption, read_config
from tocsin.inventory.kinds import KINDS
from tocsin.inventory.rights import Holder, Question
from tocsin.model.rbac import RBAC

_RBAC_KINDS = tuple(kind for kind in KINDS if kind.group == RBAC)


def who_can(  # noqa: PLR0913 - every option of the command is a parameter
    verb: Annotated[str, typer.Argument(help="As in RBAC: get, list, create, impersonate, ...")],
    resource: Annotated[
        str, typer.Argument(help="pods, pods/exec, or with its group deployments.apps")
    ],
    *,
    name: Annotated[str | None, typer.Option(help="Of one object.")] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Where.", show_default="all, or none"),
    ] = None,
    kubeconfig: KubeconfigOption = None,
    cluster: ClusterOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who may make a request, and by which binding.

    Example: tocsin who-can create pods/exec -n payments --kubeconfig ~/.kube/config
    """
    plain, _, group = resource.partition(".")
    group, slash, subresource = group.partition("/")
    question = Question(verb, f"{plain}{slash}{subresource}", group, namespace, name)
    _, inventory = inventory_of(read_config(config), kubeconfig, cluster, _RBAC_KINDS)
    found = inventory.rights().who_can(question)
    if as_json:
        unknown = {kind.resource: why for kind, why in inventory.unknown.items()}
        typer.echo(json.dumps({"holders": list(map(_data, found)), "unknown": unknown}))
        return
    if found:
        wide_console().print(_table(found))
    told = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    for kind, why in inventory.unknown.items():
        told.print(f"Unknown: {kind.resource}, {why}.", style="yellow")
    told.print("Besides, the group system:masters may do everything, whatever RBAC says.")


def _data(holder: Holder) -> dict[str, object]:
    return {
        "kind": holder.subject.kind,
        "name": holder.subject.name,
        "subject_namespace": holder.subject.namespace,
        "binding": holder.binding,
        "role": holder.role,
        "namespace": holder.namespace,
    }


def _table(found: list[Holder]) -> Table:
    shown = Table("who", "by binding", "of role", "where", box=None, pad_edge=False)
    for one in found:
        where = one.namespace or "everywhere"
        texts = str(one.subject), one.binding, one.role, where
        shown.add_row(*(Text(safe(text), overflow="fold") for text in texts))
    return shown
