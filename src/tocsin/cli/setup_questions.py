"""What `tocsin setup` asks a person on a terminal who did not say where Tocsin is reached."""

import contextlib
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

from rich.console import Console
from rich.prompt import Confirm, Prompt

from tocsin.cli.setup_options import Options
from tocsin.connect.distributions import DISTRIBUTIONS, DistributionName
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.names import DEFAULT_PORT, check_cluster_name, check_node_name, parse_endpoint
from tocsin.model.errors import TocsinError

_T = TypeVar("_T")

# Addresses for documentation, which nobody has; nothing is sent to them.
_FAR_AWAY = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def ask(console: Console, options: Options) -> Options:
    """Return the options with answers for those that were left open.

    Raises:
        TocsinError: the person says no at the end.
    """
    console.print("Connect a cluster to Tocsin. Enter takes what stands in brackets.\n")
    distribution = options.distribution or _ask_distribution(console)
    advertise = options.advertise or _ask_advertise(console)
    cluster = options.cluster or _ask(
        console, "Name of the cluster, shown on its alerts", "default", check_cluster_name
    )
    nodes = options.nodes or _ask(
        console,
        "Names of its control-plane nodes, as `kubectl get nodes` shows them (may be left empty)",
        "",
        lambda answer: tuple(check_node_name(name) for name in answer.replace(",", " ").split()),
    )
    credential = options.credential or _ask_credential(console)
    answered = replace(
        options,
        distribution=distribution,
        advertise=advertise,
        cluster=cluster,
        nodes=nodes,
        credential=credential,
    )
    console.print(f"\n{answered.intention}")
    if not Confirm.ask("Go on?", console=console, default=True):
        message = "nothing was made"
        raise TocsinError(message)
    return answered


def outbound_address() -> str | None:
    """Return this machine's address towards other networks; None if it has no way there."""
    for family, address in _FAR_AWAY:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Connecting a datagram socket only asks for the route.
            probe.connect((address, DEFAULT_PORT))
            return str(probe.getsockname()[0])
    return None


def _ask(console: Console, question: str, default: str, check: Callable[[str], _T]) -> _T:
    """Ask until the answer passes `check`, which returns what it means."""
    while True:
        answer = Prompt.ask(question, console=console, default=default, show_default=bool(default))
        try:
            return check(answer.strip())
        except TocsinError as error:
            console.print(str(error), style="red")


def _ask_distribution(console: Console) -> DistributionName:
    for name, distribution in DISTRIBUTIONS.items():
        console.print(f"  {name:10} {distribution.verified}")
    answer = Prompt.ask(
        "Which distribution made the cluster",
        console=console,
        choices=list(DISTRIBUTIONS),
        default="kubeadm",
        show_choices=False,
    )
    return cast("DistributionName", answer)


def _ask_advertise(console: Console) -> str:
    def check(answer: str) -> str:
        return parse_endpoint(answer).host_port

    address = outbound_address()
    default = "" if address is None else parse_endpoint(address).host_port
    question = "Where do its API servers reach Tocsin, HOST[:PORT]"
    return _ask(console, question, default, check)


def _ask_credential(console: Console) -> Credential:
    answer = Prompt.ask(
        "How do its API servers show who they are: by a client certificate, or by a token",
        console=console,
        choices=["certificate", "token"],
        default="certificate",
        show_choices=False,
    )
    return cast("Credential", answer)
