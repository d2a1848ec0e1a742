"""`tocsin setup adopt`: say what is wrong with the files somebody has, and write better ones."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from tocsin.cli import setup_report
from tocsin.cli.doctor import print_findings
from tocsin.cli.options import DistributionOption, JsonOption, NodeOption, OutOption, OwnDataOption
from tocsin.cli.setup import refuse_to_replace, setup_app
from tocsin.cli.setup_options import Options
from tocsin.connect.prepare import prepare, write
from tocsin.ingest.networks import OPEN_CLUSTER, parse_network
from tocsin.model.text import visible
from tocsin.runtime.adopt.files import Brought, read_files
from tocsin.runtime.adopt.plan import Judgement, differences, judge
from tocsin.runtime.rules import load_rules

# No network on purpose: Tocsin refuses it until somebody puts an address there.
_SOME_NETWORK = "ADDRESS-OF-THE-CONTROL-PLANE/32"


@setup_app.command()
def adopt(  # noqa: PLR0913 - every option of the command is a parameter
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="A webhook kubeconfig, an audit policy, or both."),
    ],
    *,
    advertise: Annotated[
        str | None,
        typer.Option(
            metavar="HOST[:PORT]",
            help="Where API servers reach Tocsin.",
            show_default="the kubeconfig's",
        ),
    ] = None,
    distribution: DistributionOption = None,
    cluster: Annotated[str, typer.Option(help="Name of the cluster, shown on its alerts.")] = (
        OPEN_CLUSTER
    ),
    node: NodeOption = None,
    keep_policy: Annotated[
        bool, typer.Option("--keep-policy", help="Take your policy over instead of Tocsin's.")
    ] = False,
    sender: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR", help="Network of the API servers, for the time until then; repeat it."
        ),
    ] = None,
    data: OwnDataOption = Path("tocsin-data"),
    out: OutOption = None,
    as_json: JsonOption = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Replace files that exist with other content.")
    ] = False,
) -> None:
    """Take over a webhook kubeconfig and an audit policy made for another receiver.

    Says what is wrong with them, writes better ones, and how to receive until those are
    installed. Your files stay as they are.

    Example: tocsin setup adopt audit-webhook.yaml audit-policy.yaml --cluster prod
    """
    networks = [_network(text) for text in sender or ()]
    brought = read_files(files)
    if keep_policy and brought.policy is None:
        message = "--keep-policy needs an audit policy among the files"
        raise typer.BadParameter(message)
    judgement = judge(brought, load_rules([]).rules)
    policy = str(brought.policy.path) if keep_policy and brought.policy else "recommended"
    options = Options(
        advertise=advertise or judgement.endpoint.host_port,
        distribution=distribution,
        cluster=cluster,
        nodes=tuple(node or ()),
        credential=None,
        policy=policy,
        data=data,
        out=out,
        remote_dir=None,
        log_dir=None,
        log_file=None,
        manifest=None,
    )
    prepared = prepare(options.connection, options.sources)
    if not yes:
        refuse_to_replace(prepared)
    states = write(prepared)
    if as_json:
        report = {
            "findings": msgspec.to_builtins(judgement.findings),
            "differences": differences(brought, judgement, prepared),
            "until_installed": _until_installed(judgement, networks),
            "setup": setup_report.as_data(prepared, states, None),
        }
        typer.echo(json.dumps(report))
        return
    console = Console(markup=False, highlight=False, soft_wrap=True)
    _print_findings(console, brought, judgement)
    _print_differences(console, differences(brought, judgement, prepared))
    if judgement.policy and judgement.policy.covered and not keep_policy:
        console.print(f"\nWith the new policy: {judgement.policy.gain}")
    console.print()
    setup_report.print_summary(console, prepared, states, None)
    _print_until_installed(console, judgement, networks, cluster)


def _print_differences(console: Console, changed: Mapping[str, str]) -> None:
    for name, difference in changed.items():
        console.print(f"\nYours, and the new {name}:", style="bold")
        for line in difference.splitlines():
            console.print(f"  {visible(line)}")


def _network(text: str) -> str:
    try:
        return str(parse_network(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _print_findings(console: Console, brought: Brought, judgement: Judgement) -> None:
    names = [str(one.path) for one in (brought.kubeconfig, brought.policy) if one]
    if not judgement.findings:
        console.print(f"Nothing is wrong with {' and '.join(names)}.", style="bold")
        return
    console.print(f"What is wrong with {' and '.join(names)}:", style="bold")
    print_findings(judgement.findings)


def _until_installed(judgement: Judgement, networks: Sequence[str]) -> dict[str, object] | None:
    """Return the configuration that lets the senders in as they are, None if none can."""
    if judgement.kubeconfig is None or not judgement.kubeconfig.arrives:
        return None
    return {"webhook": {"allow_unauthenticated_from": list(networks) or [_SOME_NETWORK]}}


def _print_until_installed(
    console: Console, judgement: Judgement, networks: Sequence[str], cluster: str
) -> None:
    configuration = _until_installed(judgement, networks)
    console.print("\nUntil they are installed:", style="bold")
    if configuration is None or judgement.kubeconfig is None:
        console.print("  Nothing can arrive the way your API servers are set up now.")
        return
    endpoint = judgement.kubeconfig.endpoint
    console.print("  Put this into tocsin.yaml, and start Tocsin anew:\n")
    console.print(_indented(msgspec.yaml.encode(configuration).decode()))
    console.print(
        f"  Whoever sends from there to {endpoint.host_port if endpoint else 'Tocsin'} is let in "
        f"without proof, as cluster {OPEN_CLUSTER!r}: forged events cannot be told from real ones. "
        "A banner says so everywhere, and responses are off for this cluster. Take it out again "
        "when the new files are installed."
    )
    if cluster != OPEN_CLUSTER:
        console.print(
            f"  Alerts are of cluster {OPEN_CLUSTER!r} until then, and of {cluster!r} afterwards."
        )


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())
