"""`tocsin clusters`: who may send events, and with which credentials."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tocsin.cli.alerts import PIPED_WIDTH
from tocsin.cli.clusterview import (
    as_data,
    called,
    day_text,
    heard,
    moment_text,
    stamp,
    table,
    warnings,
)
from tocsin.cli.options import (
    ConfigOption,
    DataOption,
    JsonOption,
    OutOption,
    read_config,
)
from tocsin.connect.apiserver import NodePaths
from tocsin.connect.bundle import State
from tocsin.connect.clusters import (
    Certificate,
    Cluster,
    Token,
    known_cluster,
    load_clusters,
)
from tocsin.connect.credentials import (
    SHOWN,
    Handed,
    Place,
    find_certificate,
    find_token,
    hand_out,
    revoke,
    revoke_one,
    rotate,
)
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.names import check_cluster_name, parse_endpoint
from tocsin.ingest.networks import OPEN_CLUSTER
from tocsin.model.errors import TocsinError
from tocsin.model.times import parse_duration
from tocsin.runtime.config import Config

# A running receiver looks at the list five times a second. No sender may show a new token
# before it is known, and where the folder is the API server's own it may at once.
SETTLE_SECONDS = 1.0

clusters_app = typer.Typer(
    no_args_is_help=True,
    help="Who may send events: certificates and tokens per cluster, their renewal and end.",
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the cluster.")]


@clusters_app.command()
def add(  # noqa: PLR0913 - every option of the command is a parameter
    name: NameArgument,
    *,
    credential: Annotated[
        Credential, typer.Option(help="How its senders show who they are.")
    ] = "certificate",
    out: OutOption = None,
    advertise: Annotated[
        str | None,
        typer.Option(
            metavar="HOST[:PORT]",
            help="Where senders reach Tocsin: puts the name into Tocsin's certificate.",
        ),
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a cluster known and write its credential; what it has and is still good is kept.

    For API servers and forwarders that are configured by hand; `tocsin setup` does more.

    Example: tocsin clusters add prod --credential token --advertise 10.0.0.5:8080
    """
    settings = read_config(config, data)
    _refuse_foreign(settings, credential)
    endpoint = parse_endpoint(advertise) if advertise else None
    handed = hand_out(
        _place(settings, name, out), credential, _now(), endpoint.host if endpoint else None
    )
    states = handed.write()
    if as_json:
        _print_handed(handed, states)
        return
    console = _console()
    console.print(f"Cluster {name!r} may send with this {handed.kind}.")
    _print_files(console, handed, states)
    where = endpoint.host_port if endpoint else "HOST:PORT"
    console.print(f"Post events to https://{where}/v1/audit/{name}/NODE, trusting ca.crt, with")
    console.print(
        "  client.crt and client.key as the client certificate"
        if handed.kind == "certificate"
        else "  the header 'Authorization: Bearer <content of the file token>'"
    )


@clusters_app.command("list")
def list_clusters(
    *, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show who may send, with which credentials, and until when.

    Example: tocsin clusters list
    """
    settings = read_config(config, data)
    known = load_clusters(settings.folder).clusters
    networks = settings.webhook.allow_unauthenticated_from
    sources, now = heard(settings), _now()
    if as_json:
        shown = [as_data(name, known[name], sources, now) for name in sorted(known)]
        print(json.dumps({"clusters": shown, "unauthenticated_from": list(networks)}))
        return
    console = _console()
    console.print(
        table(known, sources, now) if known else "No cluster is known: run `tocsin setup`."
    )
    for warning in warnings(settings, sources, now):
        console.print(f"! {warning}", style="yellow")


@clusters_app.command("rotate")
def rotate_credential(  # noqa: PLR0913 - every option of the command is a parameter
    name: NameArgument,
    *,
    credential: Annotated[
        Credential | None, typer.Option(help="Which, where the cluster has both kinds.")
    ] = None,
    grace: Annotated[
        str, typer.Option(help="How long the old one stays good (30m, 24h, 7d); 0: not at all.")
    ] = "24h",
    out: OutOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a new certificate or token; the old one stays good while you copy the new one.

    Example: tocsin clusters rotate prod --grace 24h
    """
    settings = read_config(config, data)
    _refuse_foreign(settings, credential)
    place = _place(settings, name, out)
    handed = rotate(place, credential, parse_duration(grace, "--grace"), _now())
    if handed.kind == "token":
        time.sleep(SETTLE_SECONDS)
    states = handed.write()
    if as_json:
        _print_handed(handed, states)
        return
    console = _console()
    console.print(f"Cluster {name!r} has a new {handed.kind}.")
    _print_files(console, handed, states)
    secret = "client.crt client.key" if handed.kind == "certificate" else "token"
    old = ", ".join(identity[:SHOWN] for identity in handed.replaced) or "none"
    console.print(
        f"Refused from {moment_text(handed.ends)} on: {old}. Copy the new one to every "
        "control-plane node (and forwarder) before then:"
        if parse_duration(grace, "--grace")
        else f"Refused from now on: {old}. Events are lost until every sender has the new one:"
    )
    console.print(f"  cd {place.out} && scp {secret} root@NODE:{NodePaths().config_dir}/")
    if (place.out / "README.txt").exists():
        console.print(f"Your nodes may need it elsewhere: see {place.out / 'README.txt'}.")
    within = "five minutes" if handed.kind == "certificate" else "a minute or two"
    console.print(f"API servers read it again by themselves, within {within}.")


@clusters_app.command("revoke")
def revoke_cluster(
    name: NameArgument,
    *,
    serial: Annotated[
        str | None, typer.Option(metavar="HEX", help="Only the certificate with this number.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="PREFIX", help="Only the token whose SHA-256 begins like this."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Refuse a cluster, or one credential of it, within a second, on open connections too.

    `tocsin clusters add` makes a revoked cluster good again, with new credentials only.

    Example: tocsin clusters revoke prod
    """
    if serial and token:
        message = "give --serial or --token, not both"
        raise TocsinError(message)
    settings = read_config(config, data)
    cluster = _to_be_revoked(settings, name)
    chosen = _chosen(cluster, serial, token)
    what = f"{called(chosen)} of cluster {name!r}" if chosen else f"cluster {name!r}"
    if not yes:
        _confirm(f"Refuse {what} from now on, and with it the events that it sends?")
    if chosen:
        revoke_one(settings.folder, name, chosen, _now())
    else:
        revoke(settings.folder, name, _now())
    print(f"{what} is revoked: a running Tocsin refuses it within a second.")


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _console() -> Console:
    console = Console(markup=False, highlight=False)
    # Not on a terminal nobody reads columns, but tools read lines.
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console


def _place(settings: Config, name: str, out: Path | None) -> Place:
    cluster = check_cluster_name(name)
    return Place(cluster, settings.folder, out or Path("tocsin-setup") / cluster)


def _refuse_foreign(settings: Config, credential: Credential | None) -> None:
    """Do not make certificates that the receiver would not trust."""
    authority = settings.webhook.tls.client_ca
    if credential == "certificate" and Path(authority) != settings.folder / "pki" / "ca.crt":
        message = (
            f"client certificates come from your own authority {authority}: have it issue one "
            "with the subject O=tocsin:cluster, CN=<cluster>, or use --credential token"
        )
        raise TocsinError(message)


def _to_be_revoked(settings: Config, name: str) -> Cluster:
    """Return a cluster; the one that senders without a credential use need not be listed."""
    if name == OPEN_CLUSTER and settings.webhook.allow_unauthenticated_from:
        return load_clusters(settings.folder).clusters.get(name, Cluster())
    return known_cluster(settings.folder, name)


def _chosen(cluster: Cluster, serial: str | None, token: str | None) -> Certificate | Token | None:
    if serial:
        return find_certificate(cluster, serial)
    return find_token(cluster, token) if token else None


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        message = "nothing was revoked: there is nobody to ask here, say --yes"
        raise TocsinError(message)
    if not typer.confirm(question):
        raise typer.Exit(1)


def _print_handed(handed: Handed, states: dict[str, State]) -> None:
    shown = {
        "cluster": handed.place.cluster,
        "kind": handed.kind,
        "id": handed.identity,
        "expires": stamp(handed.expires),
        "replaced": list(handed.replaced),
        "replaced_refused_from": stamp(handed.ends),
        "out": str(handed.place.out),
        "files": states,
    }
    print(json.dumps(shown))


def _print_files(console: Console, handed: Handed, states: dict[str, State]) -> None:
    for name, state in states.items():
        console.print(f"  {handed.place.out / name}  {state}")
    if handed.expires:
        console.print(f"It is good until {day_text(handed.expires)}.")
