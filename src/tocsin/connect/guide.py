"""The next steps after `tocsin setup`, in plain words and with commands to copy."""

import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tocsin.connect.bundle import BundleFile
from tocsin.connect.connection import Connection, Sources
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.policy import SHIPPED_POLICIES

# Stands in commands where no --node named one.
_SOME_NODE = "NODE"
_MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
_SAVED_MANIFEST = "/root/kube-apiserver.before-tocsin.yaml"
_RENEW_TITLES: dict[Credential, str] = {
    "certificate": "Renew the certificate within a year",
    "token": "Change the token when somebody may have seen it",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its title, and paragraphs; a paragraph of commands is indented by four."""

    title: str
    body: str


def readme(connection: Connection, sources: Sources) -> BundleFile:
    """Return README.txt of the bundle."""
    title = f"Connect the cluster {connection.cluster!r} to Tocsin"
    parts = [f"{title}\n{'=' * len(title)}\n", _introduction(connection, sources)]
    for number, step in enumerate(steps(connection, sources), start=1):
        parts.append(f"{number}. {step.title}\n\n{step.body}")
    parts.append(f"The way back\n\n{_way_back(connection)}")
    return BundleFile("README.txt", "\n".join(parts).encode())


def steps(connection: Connection, sources: Sources) -> list[Step]:
    """Return what a person does next, in order."""
    return [
        Step("Start Tocsin", _start(connection, sources)),
        Step("Copy the files to every control-plane node", _copy(connection)),
        Step("Try the connection from a node", _try_out(connection)),
        Step("Change the API server, one node at a time", _change(connection, sources)),
        Step("See that events arrive", _look()),
        Step("Keep the change through upgrades", _keep()),
        Step(_RENEW_TITLES[connection.credential], _renew(connection, sources)),
    ]


def _hosts(connection: Connection) -> tuple[str, ...]:
    return connection.named_nodes or (_SOME_NODE,)


def _command_line(connection: Connection, sources: Sources) -> str:
    """Return the command line that makes the same bundle from any working folder."""
    policy = sources.policy
    if policy not in SHIPPED_POLICIES:
        policy = str(Path(policy).resolve())
    words = ["tocsin", "setup", "--advertise", connection.endpoint.host_port]
    words += ["--cluster", connection.cluster]
    for node in connection.named_nodes:
        words += ["--node", node]
    words += ["--policy", policy, "--credential", connection.credential]
    words += ["--data", str(sources.data.resolve()), "--out", str(sources.out.resolve())]
    words += ["--remote-dir", connection.paths.config_dir]
    words += ["--log-dir", connection.paths.log_dir]
    if not connection.log_backend:
        words.append("--no-log-file")
    return shlex.join(words)


def _text(*paragraphs: str) -> str:
    """Join paragraphs; wrap those that are not commands."""
    return "".join(
        f"{p.rstrip()}\n\n"
        if p.startswith("    ")
        else f"{textwrap.fill(p, 78, break_long_words=False, break_on_hyphens=False)}\n\n"
        for p in paragraphs
    )


def _commands(*lines: str) -> str:
    return "".join(f"    {line}\n" for line in lines)


def _introduction(connection: Connection, sources: Sources) -> str:
    credential = "client.key" if connection.credential == "certificate" else "token"
    return _text(
        f"With these files the API servers of {connection.cluster!r} send their audit events "
        f"to https://{connection.endpoint.host_port}. Making them has changed nothing but this "
        f"folder and Tocsin's data folder, {sources.data.resolve()}.",
        f"{credential} is a secret: whoever has it can send events in the name of this cluster. "
        "Run the commands below in this folder.",
        "If Tocsin is ever down, the API servers keep working. They try again for about three "
        "minutes and then give those events up"
        + ("; the audit log on the node still has them." if connection.log_backend else "."),
    )


def _start(connection: Connection, sources: Sources) -> str:
    return _text(
        _commands(
            f"tocsin serve --data {sources.data.resolve()} --host 0.0.0.0 "
            f"--port {connection.endpoint.port}"
        ),
        "By default the webhook listens on 127.0.0.1 only; give an address that the "
        "control-plane nodes reach, or 0.0.0.0 for all. A Tocsin that is running already needs "
        "no restart: it notices new clusters and certificates by itself.",
    )


def _copy(connection: Connection) -> str:
    folder = connection.paths.config_dir
    secret = "token" if connection.credential == "token" else "client.crt client.key"
    lines: list[str] = []
    for node, host in zip(connection.nodes, _hosts(connection), strict=True):
        lines += [
            f"ssh root@{host} install -d -m 0700 {folder}",
            f"scp policy.yaml ca.crt {secret} root@{host}:{folder}/",
            f"scp {connection.kubeconfig_name(node)} root@{host}:{connection.paths.webhook}",
        ]
    unnamed = f"Put the address of your control-plane node in place of {_SOME_NODE}."
    return _text(*([] if connection.named_nodes else [unnamed]), _commands(*lines))


def _try_out(connection: Connection) -> str:
    folder = connection.paths.config_dir
    credential = (
        f'--header "Authorization: Bearer $(cat {folder}/token)"'
        if connection.credential == "token"
        else f"--cert {folder}/client.crt --key {folder}/client.key"
    )
    return _text(
        "On the node, before the API server is touched; it must print 200:",
        _commands(
            f"curl --cacert {folder}/ca.crt {credential} \\",
            "  --header 'Content-Type: application/json' \\",
            '  --data \'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[]}\' \\',
            "  --write-out '%{http_code}\\n' \\",
            f"  {connection.url(connection.nodes[0])}",
        ),
        "401 or 403: Tocsin does not know this credential, it runs on another data folder. A "
        "certificate problem: the name in the URL is not in Tocsin's certificate, run setup "
        "with that name. No connection: a firewall, or Tocsin listens on 127.0.0.1 only.",
    )


def _change(connection: Connection, sources: Sources) -> str:
    host = _hosts(connection)[0]
    manifest = f"{host}.yaml"
    return _text(
        "kubeadm keeps the API server in a manifest on each node. Save it, fetch it, have Tocsin "
        "add what is missing, read the difference, and put it back. Manifests differ from node "
        "to node, so each node needs this with its own file:",
        _commands(
            f"ssh root@{host} cp -n {_MANIFEST} {_SAVED_MANIFEST}",
            f"scp root@{host}:{_MANIFEST} {manifest}",
            f"{_command_line(connection, sources)} --manifest {manifest}",
            f"scp kubeadm/manifests/{manifest} root@{host}:{_MANIFEST}",
        ),
        "Never keep a copy inside /etc/kubernetes/manifests: the kubelet would start that too. "
        "The API server restarts within a minute or so; until then kubectl is refused on this "
        "node. Go on to the next node when it answers again:",
        _commands("kubectl get --raw /readyz"),
        "If it stays away for three minutes, put the saved manifest back (see the end), and "
        "read why on the node:",
        _commands("crictl logs $(crictl ps -a --name kube-apiserver -q | head -1)"),
        "Any other distribution (k3s, RKE2, Talos): give the API server the flags in "
        "apiserver-flags.txt in that distribution's own way.",
    )


def _look() -> str:
    return _text(
        _commands("kubectl get --raw /metrics | grep -E 'apiserver_audit_(event|error)_total'"),
        "event_total grows with each call. error_total has no line, or 0 for the plugin webhook: "
        "nothing was lost.",
    )


def _keep() -> str:
    return _text(
        "`kubeadm upgrade` writes the manifest anew. Add the entries of "
        "kubeadm/cluster-configuration.yaml to the cluster's own configuration, under apiServer, "
        "and it will contain them:",
        _commands("kubectl -n kube-system edit configmap kubeadm-config"),
        "Or, if you upgrade with `--patches FOLDER` anyway: put the files of kubeadm/patches "
        "into that folder, on each node. One of the two, not both.",
    )


def _renew(connection: Connection, sources: Sources) -> str:
    command = _commands(f"{_command_line(connection, sources)} --yes")
    clusters_file = sources.data.resolve() / "clusters.yaml"
    if connection.credential == "token":
        return _text(
            "A token does not expire. To change it, remove the file token here, make a new one, "
            "and copy it to every node as in step 2; the API servers read it again by themselves:",
            command,
            f"The old one stays good until you take its SHA-256 out of {clusters_file}: the first "
            "in the list of this cluster.",
        )
    return _text(
        "The certificate is good for a year. In its last 30 days this makes a new one; copy "
        "client.crt and client.key to every node as in step 2. The API servers read them again "
        "by themselves:",
        _commands("openssl x509 -in client.crt -noout -enddate") + command,
    )


def _way_back(connection: Connection) -> str:
    folder = connection.paths.config_dir
    return _text(
        "First take away what you added to the kubeadm configuration or the patches folder. "
        "Then put each manifest back. If the cluster was upgraded since, the saved manifest "
        "would bring the old version back: take the audit flags and what is named tocsin out of "
        "the present manifest instead.",
        _commands(
            *(f"ssh root@{host} cp {_SAVED_MANIFEST} {_MANIFEST}" for host in _hosts(connection)),
        ),
        "When the API servers answer, remove the files:",
        _commands(*(f"ssh root@{host} rm -r {folder}" for host in _hosts(connection))),
    )
