"""`tocsin setup rbac`: the account that responses are made with, and its rights."""

import json
from typing import Annotated

import typer

from tocsin.cli.options import JsonOption
from tocsin.cli.setup import setup_app
from tocsin.connect.names import check_node_name
from tocsin.connect.yamltext import dump_yaml
from tocsin.inventory import rbac as reader
from tocsin.model.errors import TocsinError
from tocsin.respond import rbac
from tocsin.respond.actions.registry import ACTIONS


@setup_app.command(name="rbac")
def print_rbac(
    *,
    actions: Annotated[
        list[str] | None,
        typer.Option(
            "--actions", metavar="NAME", help="An action to allow; repeat it.", show_default="all"
        ),
    ] = None,
    namespace: Annotated[
        str, typer.Option(help="Namespace of the responder's service account.")
    ] = "tocsin",
    undo_bindings: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE",
            help="A role whose deleted bindings Tocsin may create again; repeat it. With it,"
            " whoever holds the responder's token can give that role to anybody.",
        ),
    ] = None,
    scan: Annotated[
        bool, typer.Option("--scan", help="The rights for `tocsin scan` instead: to list.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the ServiceAccount and the ClusterRole for responses; no cluster is touched.

    Example: tocsin setup rbac --actions delete_pod --actions isolate_pod | kubectl apply -f -
    """
    check_node_name(namespace)
    if scan:
        where = "`tocsin scan --kubeconfig`"
        introduction = _introduction("tocsin scan", reader.NAME, namespace, where)
        _print(reader.objects(namespace), introduction, as_json=as_json)
        return
    chosen = sorted({name for text in actions or ACTIONS for name in text.split(",")})
    if unknown := [name for name in chosen if name not in ACTIONS]:
        message = f"there is no action {unknown[0]!r}; there are: {', '.join(sorted(ACTIONS))}"
        raise TocsinError(message)
    wanted = [ACTIONS[name] for name in chosen]
    objects = rbac.objects(wanted, namespace, undo_bindings or ())
    where = "`respond.clusters`"
    introduction = _introduction(", ".join(chosen), rbac.NAME, namespace, where)
    _print(objects, introduction, as_json=as_json)


def _print(objects: list[dict[str, object]], introduction: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        return
    typer.echo(introduction)
    typer.echo("---\n".join(dump_yaml(one) for one in objects), nl=False)


def _introduction(purpose: str, account: str, namespace: str, where: str) -> str:
    return (
        f"# Rights for: {purpose}.\n"
        f"# The namespace has to be there: kubectl create namespace {namespace}\n"
        f"# A token: kubectl create token {account} -n {namespace} --duration 24h\n"
        "# Renew it before it ends; put its file under tokenFile of the kubeconfig that\n"
        f"# {where} names, and its authority under certificate-authority."
    )
