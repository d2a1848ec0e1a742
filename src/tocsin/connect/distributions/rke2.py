"""RKE2: it writes the static pod of the API server at each start, from its settings.

Of the node the pod sees what RKE2 mounts: each file that an argument names, the folder of
the audit log, and extra mounts. The folder of the log must not be an extra mount as well:
two mounts at one place would stop the API server.
"""

from typing import ClassVar

from typing_extensions import override

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.connection import Connection
from tocsin.connect.distributions.base import Verified
from tocsin.connect.distributions.rancher import Rancher


class Rke2(Rancher):
    """Servers of RKE2 since 1.21, which reads config.yaml.d."""

    name: ClassVar[str] = "rke2"
    title: ClassVar[str] = "RKE2"
    service: ClassVar[str] = "rke2-server"
    verified: ClassVar[Verified] = "schema-checked only"
    checked: ClassVar[str] = (
        "The file was checked against RKE2's documentation and source of its settings and mounts. "
        "It was not run on RKE2, nor with SELinux; the arguments in it are those that are run "
        "live against a real kube-apiserver 1.36."
    )
    paths: ClassVar[NodePaths] = NodePaths(
        "/etc/rancher/rke2/tocsin", "/var/lib/rancher/rke2/server/logs"
    )

    @override
    def settings(self, connection: Connection) -> dict[str, list[str]]:
        # The API server reads certificates again, by names that only the folder shows to it.
        folder = connection.paths.config_dir
        return {"kube-apiserver-extra-mount+": [f"{folder}:{folder}:ro"]}
