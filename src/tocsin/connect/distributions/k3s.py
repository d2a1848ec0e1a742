"""k3s: the API server is a part of the k3s process, which sees the node's own files."""

from typing import ClassVar

from typing_extensions import override

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.connection import Connection
from tocsin.connect.distributions.base import Verified
from tocsin.connect.distributions.rancher import Rancher


class K3s(Rancher):
    """Servers of k3s since 1.21, which reads config.yaml.d."""

    name: ClassVar[str] = "k3s"
    title: ClassVar[str] = "k3s"
    service: ClassVar[str] = "k3s"
    verified: ClassVar[Verified] = "schema-checked only"
    checked: ClassVar[str] = (
        "The file was checked against k3s' documentation of its settings. It was not run on k3s; "
        "the arguments in it are those that are run live against a real kube-apiserver 1.36."
    )
    paths: ClassVar[NodePaths] = NodePaths(
        "/etc/rancher/k3s/tocsin", "/var/lib/rancher/k3s/server/logs"
    )

    @override
    def settings(self, connection: Connection) -> dict[str, list[str]]:
        return {}
