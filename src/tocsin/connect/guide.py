"""The next steps after `tocsin setup`, in plain words and with commands to copy."""

import shlex
from pathlib import Path

from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.connection import Connection, Sources
from tocsin.connect.distributions import DISTRIBUTIONS
from tocsin.connect.distributions.base import Distribution, Plan
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.policy import SHIPPED_POLICIES
from tocsin.connect.wording import Step, commands, text

_RENEW_TITLES: dict[Credential, str] = {
    "certificate": "Renew the certificate within a year",
    "token": "Change the token when somebody may have seen it",
}


def plan_of(connection: Connection, sources: Sources) -> tuple[Distribution, Plan]:
    """Return the distribution of a connection, and what its texts are made of."""
    command = _command_line(connection, sources)
    return DISTRIBUTIONS[connection.distribution], Plan(connection, sources, command)


def readme(connection: Connection, sources: Sources) -> BundleFile:
    """Return README.txt of the bundle."""
    distribution, plan = plan_of(connection, sources)
    title = f"Connect the cluster {connection.cluster!r} ({distribution.title}) to Tocsin"
    parts = [f"{title}\n{'=' * len(title)}\n", _introduction(distribution, plan)]
    for number, step in enumerate(steps(connection, sources), start=1):
        parts.append(f"{number}. {step.title}\n\n{step.body}")
    parts.append(f"The way back\n\n{distribution.way_back(plan)}")
    return BundleFile("README.txt", "\n".join(parts).encode())


def steps(connection: Connection, sources: Sources) -> list[Step]:
    """Return what a person does next, in order."""
    distribution, plan = plan_of(connection, sources)
    renewing = _renew(plan) + distribution.renewal(plan)
    return [
        Step("Start Tocsin", _start(plan)),
        *distribution.install(plan),
        Step("See that events arrive", _look(plan)),
        Step("Keep the change through upgrades", distribution.keep(plan)),
        Step(_RENEW_TITLES[connection.credential], renewing),
    ]


def next_commands(connection: Connection, sources: Sources) -> list[str]:
    """Return the three commands to begin with, each on one line, for any folder."""
    distribution, plan = plan_of(connection, sources)
    return [_serve(plan), *distribution.next_commands(plan), _doctor(plan)][:3]


def _command_line(connection: Connection, sources: Sources) -> str:
    """Return the command line that makes the same bundle from any working folder."""
    distribution, paths = DISTRIBUTIONS[connection.distribution], connection.paths
    words = ["tocsin", "setup", "--advertise", connection.endpoint.host_port]
    words += ["--distribution", distribution.name, "--cluster", connection.cluster]
    for node in connection.named_nodes:
        words += ["--node", node]
    if sources.policy in SHIPPED_POLICIES:
        words += ["--policy", sources.policy]
    else:
        words += ["--policy", str(Path(sources.policy).resolve())]
    words += ["--credential", connection.credential]
    words += ["--data", str(sources.data.resolve()), "--out", str(sources.out.resolve())]
    if paths.config_dir != distribution.paths.config_dir:
        words += ["--remote-dir", paths.config_dir]
    if paths.log_dir != distribution.paths.log_dir:
        words += ["--log-dir", paths.log_dir]
    if distribution.writes_log and not connection.log_backend:
        words.append("--no-log-file")
    return shlex.join(words)


def _introduction(distribution: Distribution, plan: Plan) -> str:
    connection, data = plan.connection, plan.sources.data.resolve()
    secret = connection.credential_files[-1]
    return text(
        f"With these files the API servers of {connection.cluster!r} send their audit events "
        f"to https://{connection.endpoint.host_port}. Making them has changed nothing but this "
        f"folder and Tocsin's data folder, {data}. This makes the same again:",
        commands(plan.command),
        f"{secret} is a secret: whoever has it can send events in the name of this cluster. "
        "Run the commands below in this folder.",
        "If Tocsin is ever down, the API servers keep working. They try again for about three "
        "minutes and then give those events up"
        + ("; the audit log on the node still has them." if connection.log_backend else "."),
        f"How far this way was tried: {distribution.verified}. {distribution.checked}",
    )


def _serve(plan: Plan) -> str:
    return (
        f"tocsin serve --data {shlex.quote(str(plan.sources.data.resolve()))} --host 0.0.0.0 "
        f"--port {plan.connection.endpoint.port}"
    )


def _doctor(plan: Plan) -> str:
    return f"tocsin doctor --data {shlex.quote(str(plan.sources.data.resolve()))}"


def _start(plan: Plan) -> str:
    return text(
        commands(_serve(plan)),
        "By default the webhook listens on 127.0.0.1 only; give an address that the "
        "control-plane nodes reach, or 0.0.0.0 for all. A Tocsin that is running already needs "
        "no restart: it notices new clusters and certificates by itself.",
    )


def _look(plan: Plan) -> str:
    return text(
        commands(
            _doctor(plan),
            "kubectl get --raw /metrics | grep -E 'apiserver_audit_(event|error)_total'",
        ),
        "event_total grows with each call. error_total has no line, or 0 for the plugin webhook: "
        "nothing was lost.",
    )


def _renew(plan: Plan) -> str:
    connection, sources = plan.connection, plan.sources
    folders = ["--data", str(sources.data.resolve()), "--out", str(sources.out.resolve())]
    rotate = shlex.join(["tocsin", "clusters", "rotate", connection.cluster, *folders])
    if connection.credential == "token":
        return text(
            "A token does not expire. This makes a new one, while the old one stays good for "
            "another day:",
            commands(rotate),
        )
    return text(
        "The certificate is good for a year. This makes a new one, while the old one stays good "
        "for another day:",
        commands("openssl x509 -in client.crt -noout -enddate", rotate),
    )
