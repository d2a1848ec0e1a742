"""kubeadm: the API server is a static pod, whose manifest `kubeadm upgrade` writes anew.

For the upgrade to keep the change there are two forms, of which a cluster needs one: a part
of its ClusterConfiguration, or patches for the folder of `kubeadm upgrade --patches`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from tocsin.connect.apiserver import HostMount, NodePaths
from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.connection import Connection
from tocsin.connect.distributions import ssh
from tocsin.connect.distributions.base import Distribution, InPlace, Plan, Verified
from tocsin.connect.manifest import patch_manifest
from tocsin.connect.wording import Step, commands, text
from tocsin.connect.yamltext import dump_yaml
from tocsin.model.errors import TocsinError

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
_SAVED_MANIFEST = "/root/kube-apiserver.before-tocsin.yaml"
_HEADING = (
    "# Add this to the cluster's own ClusterConfiguration; it is not a whole one.\n"
    "# In a v1beta3 one (kubeadm before 1.31) extraArgs is a mapping: `name: value`.\n"
)


class Kubeadm(Distribution):
    """Clusters made by kubeadm, and whatever else keeps its API server in such a manifest."""

    name: ClassVar[str] = "kubeadm"
    title: ClassVar[str] = "kubeadm"
    verified: ClassVar[Verified] = "run live"
    checked: ClassVar[str] = (
        "The flags, the policy and the webhook kubeconfig are run live against a real "
        "kube-apiserver 1.36. The manifest, the ClusterConfiguration and the patches are put "
        "through kubeadm 1.36's own code; no kubelet ran the manifest."
    )
    paths: ClassVar[NodePaths] = NodePaths()

    @override
    def files(self, plan: Plan, contents: Mapping[str, bytes]) -> list[BundleFile]:
        flags, mounts = plan.connection.flags, plan.connection.mounts
        document = cluster_configuration(flags, mounts)
        texts = {"kubeadm/cluster-configuration.yaml": _HEADING + dump_yaml(document)}
        for name, entries in patches(flags, mounts).items():
            texts[f"kubeadm/patches/{name}"] = dump_yaml(entries)
        return [BundleFile(name, content.encode()) for name, content in texts.items()]

    @override
    def install(self, plan: Plan) -> list[Step]:
        return [
            ssh.copy_step(plan.connection),
            ssh.try_step(plan.connection),
            Step("Change the API server, one node at a time", _change(plan)),
        ]

    @override
    def next_commands(self, plan: Plan) -> list[str]:
        host = ssh.hosts(plan.connection)[0]
        return [
            ssh.copy_line(plan),
            f"scp root@{host}:{MANIFEST} {host}.yaml && {plan.command} --manifest {host}.yaml",
        ]

    @override
    def keep(self, plan: Plan) -> str:
        return text(
            "`kubeadm upgrade` writes the manifest anew. Add the entries of "
            "kubeadm/cluster-configuration.yaml to the cluster's own configuration, under "
            "apiServer, and it will contain them:",
            commands("kubectl -n kube-system edit configmap kubeadm-config"),
            "Or, if you upgrade with `--patches FOLDER` anyway: put the files of kubeadm/patches "
            "into that folder, on each node. One of the two, not both.",
        )

    @override
    def renewal(self, plan: Plan) -> str:
        return ssh.renewal(plan.connection)

    @override
    def way_back(self, plan: Plan) -> str:
        return text(
            "First take away what you added to the kubeadm configuration or the patches folder. "
            "Then put each manifest back. If the cluster was upgraded since, the saved manifest "
            "would bring the old version back: take the audit flags and what is named tocsin out "
            "of the present manifest instead.",
            commands(
                *(
                    f"ssh root@{host} cp {_SAVED_MANIFEST} {MANIFEST}"
                    for host in ssh.hosts(plan.connection)
                )
            ),
            "When the API servers answer, remove the files:",
            ssh.removal(plan.connection),
        )

    @override
    def in_place(self, connection: Connection) -> InPlace:
        def edit(before: str | None) -> str:
            if before is None:
                message = (
                    f"there is no {MANIFEST}: is this a control-plane node made by kubeadm? For "
                    "another one add --distribution"
                )
                raise TocsinError(message)
            return patch_manifest(before, connection.flags, connection.mounts, name=MANIFEST)

        return InPlace(MANIFEST, edit)

    @override
    def refuse_node(self, connection: Connection, root: Path) -> None:
        # A link would be replaced by a file, and what it points to would stay as it is.
        if (root / MANIFEST.lstrip("/")).is_symlink():
            message = f"{MANIFEST} is a link: edit what it points to by hand, or use --manifest"
            raise TocsinError(message)


def cluster_configuration(
    flags: Sequence[str], mounts: Sequence[HostMount], version: str = "v1beta4"
) -> dict[str, object]:
    """Return the `apiServer` part of a ClusterConfiguration, v1beta4 or v1beta3."""
    arguments = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    listed = [{"name": name, "value": value} for name, value in arguments.items()]
    return {
        "apiVersion": f"kubeadm.k8s.io/{version}",
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": arguments if version == "v1beta3" else listed,
            "extraVolumes": [
                {
                    "name": mount.name,
                    "hostPath": mount.path,
                    "mountPath": mount.path,
                    "readOnly": mount.read_only,
                    "pathType": mount.kind,
                }
                for mount in mounts
            ],
        },
    }


def patches(flags: Sequence[str], mounts: Sequence[HostMount]) -> dict[str, object]:
    """Return the files for kubeadm's patches folder by name (`target[suffix]+type.yaml`).

    A strategic merge replaces a list without merge key as a whole, and `command` is one: the
    API server would lose all its other flags. So flags are appended by a JSON patch.
    Volumes and mounts have merge keys, and merging does not add them a second time where the
    ClusterConfiguration has them already; two volumes of one name would stop the API server.
    """
    append = [
        {"op": "add", "path": "/spec/containers/0/command/-", "value": flag} for flag in flags
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "kube-apiserver", "namespace": "kube-system"},
        "spec": {
            "containers": [
                {
                    "name": "kube-apiserver",
                    "volumeMounts": [mount.volume_mount for mount in mounts],
                }
            ],
            "volumes": [mount.volume for mount in mounts],
        },
    }
    return {
        "kube-apiserver-tocsin+json.yaml": append,
        "kube-apiserver-tocsin+strategic.yaml": pod,
    }


def _change(plan: Plan) -> str:
    host = ssh.hosts(plan.connection)[0]
    manifest = f"{host}.yaml"
    return text(
        "kubeadm keeps the API server in a manifest on each node. Save it, fetch it, have Tocsin "
        "add what is missing, read the difference, and put it back. Manifests differ from node "
        "to node, so each node needs this with its own file:",
        commands(
            f"ssh root@{host} cp -n {MANIFEST} {_SAVED_MANIFEST}",
            f"scp root@{host}:{MANIFEST} {manifest}",
            f"{plan.command} --manifest {manifest}",
            f"scp kubeadm/manifests/{manifest} root@{host}:{MANIFEST}",
        ),
        "Where Tocsin itself runs on the node, the same command with --apply instead of "
        "--manifest does this and step 2: it shows the difference, asks, keeps a backup.",
        "Never keep a copy inside /etc/kubernetes/manifests: the kubelet would start that too. "
        "The API server restarts within a minute or so; until then kubectl is refused on this "
        "node. Go on to the next node when it answers again:",
        commands("kubectl get --raw /readyz"),
        "If it stays away for three minutes, put the saved manifest back (see the end), and "
        "read why on the node:",
        commands("crictl logs $(crictl ps -a --name kube-apiserver -q | head -1)"),
    )
