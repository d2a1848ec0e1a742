"""kind: nodes are containers, made from one file and never changed afterwards.

The folder of the bundle is mounted into the node, and from there into the API server's pod
by a patch of the configuration that kind hands to kubeadm.
"""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.connection import Connection
from tocsin.connect.distributions import ssh
from tocsin.connect.distributions.base import Distribution, Plan, Verified
from tocsin.connect.distributions.kubeadm import cluster_configuration
from tocsin.connect.wording import Step, commands, text
from tocsin.connect.yamltext import dump_yaml
from tocsin.model.errors import TocsinError

_CONFIG = "kind/cluster.yaml"
# kind gives kubeadm a v1beta4 configuration for Kubernetes 1.36 and newer, else v1beta3. A patch
# that names its version is applied to that version only.
_VERSIONS = ("v1beta3", "v1beta4")


class Kind(Distribution):
    """New clusters of kind; their API servers share one webhook kubeconfig."""

    name: ClassVar[str] = "kind"
    title: ClassVar[str] = "kind"
    verified: ClassVar[Verified] = "schema-checked only"
    checked: ClassVar[str] = (
        "kind/cluster.yaml is put through kind 0.33's and kubeadm 1.36's own code, up to the "
        "manifest of the API server. No cluster was made from it."
    )
    paths: ClassVar[NodePaths] = NodePaths()

    @override
    def check(self, connection: Connection) -> None:
        if len(connection.named_nodes) > 1:
            message = (
                "all API servers of a kind cluster send under one name: give --node once, or "
                "not at all"
            )
            raise TocsinError(message)

    @override
    def files(self, plan: Plan, contents: Mapping[str, bytes]) -> list[BundleFile]:
        connection = plan.connection
        mount = {
            "hostPath": str(plan.sources.out.resolve()),
            "containerPath": connection.paths.config_dir,
            "readOnly": True,
        }
        document = {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "name": connection.cluster,
            "kubeadmConfigPatches": [
                dump_yaml(cluster_configuration(connection.flags, connection.mounts, version))
                for version in _VERSIONS
            ],
            "nodes": [{"role": "control-plane", "extraMounts": [mount]}],
        }
        return [BundleFile(_CONFIG, dump_yaml(document).encode())]

    @override
    def install(self, plan: Plan) -> list[Step]:
        connection = plan.connection
        return [
            Step(
                "Make the cluster",
                text(
                    "kind cannot change a cluster that exists: the file makes a new one. Add what "
                    "your cluster needs besides (workers, images); each further control-plane "
                    "node needs the same extraMounts.",
                    commands(f"kind create cluster --config {_CONFIG}"),
                    "The node reads this folder for as long as it lives: do not move it. On "
                    "macOS and Windows it must be one that Docker shares with its machine.",
                ),
            ),
            Step(
                "Try the connection from the node",
                text(
                    "127.0.0.1 is the node itself there. An address that it reaches your machine "
                    "by is the gateway of kind's network:",
                    commands("docker network inspect kind --format '{{json .IPAM.Config}}'"),
                    f"In the node (`docker exec -it {connection.cluster}-control-plane bash`) "
                    "this must print 200:",
                    ssh.post_command(connection, connection.paths.config_dir),
                    ssh.ANSWERS,
                ),
            ),
        ]

    @override
    def next_commands(self, plan: Plan) -> list[str]:
        return [f"kind create cluster --config {plan.sources.out.resolve()}/{_CONFIG}"]

    @override
    def keep(self, plan: Plan) -> str:
        return text(
            "A kind cluster is not upgraded but made anew: from the same file it sends again."
        )

    @override
    def renewal(self, plan: Plan) -> str:
        return text(
            "The node reads it from this folder, and the API server reads it again by itself: "
            "there is nothing to copy."
        )

    @override
    def way_back(self, plan: Plan) -> str:
        return text(
            "Make the cluster anew without the file:",
            commands(f"kind delete cluster --name {plan.connection.cluster}"),
        )
