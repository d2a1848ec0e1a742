"""`tocsin setup kubectl`: whether commands can use kubectl, and what to do if not."""

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tocsin.cli.doctor import print_findings
from tocsin.cli.options import JsonOption
from tocsin.cli.setup import setup_app
from tocsin.respond.command.run import SYSTEM_PATH
from tocsin.runtime.doctor.commands import look


@setup_app.command(name="kubectl")
def check_kubectl(
    *,
    executable: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="The program that responses run.")
    ] = "kubectl",
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The responder's kubeconfig, to ask for its rights as well."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for kubectl where responses look for it; say where to get it. Nothing is changed.

    Exit code 1 if it is not there.

    Example: tocsin setup kubectl --kubeconfig responder.yaml
    """
    access = {} if kubeconfig is None else {kubeconfig.name: kubeconfig.absolute()}
    found = look(executable, SYSTEM_PATH.split(":"), access)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
    else:
        print_findings(found)
    if any(finding.state == "fault" for finding in found):
        raise typer.Exit(1)
