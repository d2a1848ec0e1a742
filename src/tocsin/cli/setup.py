"""`tocsin setup`: make the files that connect a cluster, and say what to do with them."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tocsin.cli import setup_report
from tocsin.cli.options import DistributionOption, JsonOption, NodeOption, OutOption, OwnDataOption
from tocsin.cli.setup_options import Options
from tocsin.cli.setup_questions import ask
from tocsin.connect.apply import Application, apply, plan_application, plan_edit
from tocsin.connect.bundle import changes
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.prepare import Prepared, prepare, write
from tocsin.model.errors import TocsinError

setup_app = typer.Typer(invoke_without_command=True)


@setup_app.callback()
def setup(  # noqa: PLR0913 - every option of the command is a parameter
    context: typer.Context,
    *,
    advertise: Annotated[
        str | None,
        typer.Option(
            metavar="HOST[:PORT]",
            help="Where API servers reach Tocsin: an IP address or a name that the nodes resolve. "
            "Without it, on a terminal, you are asked.",
        ),
    ] = None,
    distribution: DistributionOption = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Name of the cluster, shown on its alerts.", show_default="default"),
    ] = None,
    node: NodeOption = None,
    policy: Annotated[
        str, typer.Option(metavar="recommended|seed|PATH", help="What the API server records.")
    ] = "recommended",
    credential: Annotated[
        Credential | None,
        typer.Option(help="How API servers show who they are.", show_default="certificate"),
    ] = None,
    data: OwnDataOption = Path("tocsin-data"),
    out: OutOption = None,
    remote_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Where the files will lie on each node.",
            show_default="as the distribution has it",
        ),
    ] = None,
    log_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Where the audit log will lie on each node.",
            show_default="as the distribution has it",
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A node's kube-apiserver.yaml: writes a changed copy and shows the difference.",
        ),
    ] = None,
    log_file: Annotated[
        bool | None,
        typer.Option(
            "--log-file/--no-log-file",
            help="Have the API server also write an audit log on the node (about 4 GB).",
            show_default="where the distribution can",
        ),
    ] = None,
    apply_here: Annotated[
        bool,
        typer.Option(
            "--apply",
            help="This machine is the control-plane node: show what changes, ask, change it.",
        ),
    ] = False,
    root: Annotated[
        Path,
        typer.Option(metavar="DIR", help="With --apply: the folder that is the node's /."),
    ] = Path("/"),
    as_json: JsonOption = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Ask nothing; replace files that exist with other content."),
    ] = False,
) -> None:
    """Make the files that connect a cluster; without --apply no cluster and no node is touched.

    Example: tocsin setup --advertise 10.0.0.5:8080 --cluster prod --node cp-1 --node cp-2
    """
    if context.invoked_subcommand is not None:
        return
    options = Options(
        advertise=advertise,
        distribution=distribution,
        cluster=cluster,
        nodes=tuple(node or ()),
        credential=credential,
        policy=policy,
        data=data,
        out=out,
        remote_dir=remote_dir,
        log_dir=log_dir,
        log_file=log_file,
        manifest=manifest,
    )
    console = Console(markup=False, highlight=False, soft_wrap=True)
    asks = not yes and not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    if apply_here and not (asks or yes):
        message = "--apply changes this machine: without a terminal to ask on, add --yes"
        raise typer.BadParameter(message)
    if apply_here and manifest is not None:
        message = "--apply edits this node's own manifest: leave --manifest away"
        raise typer.BadParameter(message)
    if advertise is None:
        if not asks:
            message = "missing --advertise HOST[:PORT], where API servers reach Tocsin"
            raise typer.BadParameter(message)
        options = ask(console, options)
    _run(console, options, root if apply_here else None, as_json=as_json, yes=yes)


def _run(
    console: Console, options: Options, node_root: Path | None, *, as_json: bool, yes: bool
) -> None:
    """Make the files, and change the node whose files are below `node_root`."""
    connection, sources = options.connection, options.sources
    edit = None if node_root is None else plan_edit(connection, node_root)
    prepared = prepare(connection, sources)
    application = None
    if node_root is not None and edit is not None:
        application = plan_application(prepared, edit, node_root, datetime.now(UTC))
    if not yes:
        refuse_to_replace(prepared)
        if application is not None:
            _ask_leave(console, application)
    states = write(prepared)
    if application is not None:
        apply(application)
    if as_json:
        typer.echo(json.dumps(setup_report.as_data(prepared, states, application)))
    else:
        setup_report.print_summary(console, prepared, states, application)


def refuse_to_replace(prepared: Prepared) -> None:
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


def _ask_leave(console: Console, application: Application) -> None:
    """Show what would change on this machine, and ask."""
    if not application.changes:
        return
    setup_report.print_changes(console, application)
    if not typer.confirm("Change this machine?"):
        message = "nothing was changed"
        raise TocsinError(message)
