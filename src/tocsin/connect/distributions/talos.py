"""Talos: a node has no shell and is what its machine configuration says.

Talos writes the audit policy and an audit log by itself; the webhook is added. Its API server
does not run as root, so the files must be readable for others: on a node that nobody logs in
to. The patch has them inside, hence is a secret.
"""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.connection import Connection
from tocsin.connect.distributions import ssh
from tocsin.connect.distributions.base import Distribution, Plan, Verified
from tocsin.connect.wording import Step, commands, text
from tocsin.connect.yamltext import dump_yaml, parse_mapping
from tocsin.model.errors import TocsinError

_LOG_DIR = "/var/log/audit/kube"
_READABLE = 0o444


class Talos(Distribution):
    """Control-plane nodes of Talos, one patch of the machine configuration each."""

    name: ClassVar[str] = "talos"
    title: ClassVar[str] = "Talos"
    verified: ClassVar[Verified] = "schema-checked only"
    checked: ClassVar[str] = (
        "The patch is put through the patcher and the validation of Talos 1.11's own machinery. "
        "No node ran it. From 1.14 on Talos calls cluster.apiServer deprecated; that was not "
        "checked."
    )
    paths: ClassVar[NodePaths] = NodePaths("/var/lib/tocsin", _LOG_DIR, "kube-apiserver.log")

    @override
    def check(self, connection: Connection) -> None:
        if not connection.paths.config_dir.startswith("/var/"):
            message = "Talos writes files in /var only: choose a --remote-dir in there"
            raise TocsinError(message)
        if not connection.log_backend or connection.paths.log_dir != _LOG_DIR:
            message = (
                f"Talos itself writes the audit log, {self.paths.log}: leave "
                "--log-dir and --no-log-file away"
            )
            raise TocsinError(message)

    @override
    def flags(self, connection: Connection) -> list[str]:
        return [flag for flag in connection.flags if flag.startswith("--audit-webhook-")]

    @override
    def files(self, plan: Plan, contents: Mapping[str, bytes]) -> list[BundleFile]:
        return [
            BundleFile(
                patch_name(plan.connection, node),
                dump_yaml(self._patch(plan.connection, node, contents)).encode(),
                secret=True,
            )
            for node in plan.connection.nodes
        ]

    @override
    def install(self, plan: Plan) -> list[Step]:
        connection = plan.connection
        return [
            Step(
                "Try the connection",
                text(
                    "A node of Talos has no shell. From a machine in the same network, in this "
                    "folder; it must print 200:",
                    ssh.post_command(connection, "."),
                    ssh.ANSWERS,
                ),
            ),
            Step("Change the API server, one node at a time", _change(connection)),
        ]

    @override
    def next_commands(self, plan: Plan) -> list[str]:
        connection = plan.connection
        fetch, patch, *_ = _change_commands(
            connection, connection.nodes[0], ssh.hosts(connection)[0]
        )
        return [f"cd {plan.sources.out.resolve()}", f"{fetch} && {patch}"]

    @override
    def keep(self, plan: Plan) -> str:
        return text(
            "The machine configuration stays through upgrades of Talos and of Kubernetes, and the "
            "files are written again at each boot: there is nothing to do."
        )

    @override
    def renewal(self, plan: Plan) -> str:
        return text(
            "The credential stands in the patch: make it again, and change the nodes as above. "
            "Begin with a configuration that does not have the patch, such as NODE.before.yaml: "
            "patching adds to lists, and a mount that is there twice stops the API server.",
            commands(f"{plan.command} --yes"),
        )

    @override
    def way_back(self, plan: Plan) -> str:
        return text(
            "Put the saved configuration of each node back:",
            commands(
                *(
                    f"talosctl -n {host} apply-config --file {host}.before.yaml --mode reboot"
                    for host in ssh.hosts(plan.connection)
                )
            ),
            f"The files stay in {plan.connection.paths.config_dir}, and harm nothing there.",
        )

    def _patch(
        self, connection: Connection, node: str, contents: Mapping[str, bytes]
    ) -> dict[str, object]:
        folder = connection.paths.config_dir
        files = {
            "webhook.yaml": contents[connection.kubeconfig_name(node)],
            **{name: contents[name] for name in ("ca.crt", *connection.credential_files)},
        }
        return {
            "machine": {
                "files": [
                    {
                        "path": f"{folder}/{name}",
                        "op": "create",
                        "permissions": _READABLE,
                        "content": content.decode(),
                    }
                    for name, content in files.items()
                ]
            },
            "cluster": {
                "apiServer": {
                    "auditPolicy": parse_mapping(contents["policy.yaml"], "policy.yaml"),
                    "extraArgs": dict(flag[2:].split("=", 1) for flag in self.flags(connection)),
                    "extraVolumes": [{"hostPath": folder, "mountPath": folder, "readonly": True}],
                }
            },
        }


def patch_name(connection: Connection, node: str) -> str:
    """Return the file in the bundle that has the patch of a node."""
    return "talos/patch.yaml" if len(connection.nodes) == 1 else f"talos/patch-{node}.yaml"


def _change(connection: Connection) -> str:
    unnamed = f"Put the address of your control-plane node in place of {ssh.SOME_NODE}."
    lines = [
        line
        for node, host in zip(connection.nodes, ssh.hosts(connection), strict=True)
        for line in _change_commands(connection, node, host)
    ]
    return text(
        "Save the node's configuration, patch a copy, read the difference, and apply it. The "
        "node reboots, because files are written at boot. The patch is a secret, since the "
        "credential stands in it; what is saved has all secrets of the cluster. Go on to the next "
        "node when this one answers again.",
        "" if connection.named_nodes else unnamed,
        commands(*lines),
        "If the API server does not come up, put the saved configuration back (see the end), and "
        "read why:",
        commands(f"talosctl -n {ssh.hosts(connection)[0]} containers -k"),
    )


def _change_commands(connection: Connection, node: str, host: str) -> list[str]:
    patch = patch_name(connection, node)
    return [
        f"talosctl -n {host} get mc v1alpha1 -o jsonpath='{{.spec}}' > {host}.before.yaml",
        f"talosctl machineconfig patch {host}.before.yaml --patch @{patch} --output {host}.yaml",
        f"diff -u {host}.before.yaml {host}.yaml",
        f"talosctl -n {host} apply-config --file {host}.yaml --mode reboot",
    ]
