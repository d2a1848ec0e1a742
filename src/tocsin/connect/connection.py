"""What a user decides about the connection of one cluster."""

from dataclasses import dataclass, field
from pathlib import Path

from tocsin.connect.apiserver import HostMount, NodePaths, audit_flags, host_mounts
from tocsin.connect.kubeconfig import Credential, webhook_url
from tocsin.connect.names import Endpoint

UNNAMED_NODE = "control-plane"


@dataclass(frozen=True, slots=True)
class Connection:
    """One cluster and how its API servers reach the receiver.

    `named_nodes` are those that the user named; `distribution` is a name in the registry of
    `tocsin.connect.distributions`.
    """

    cluster: str
    endpoint: Endpoint
    named_nodes: tuple[str, ...] = ()
    credential: Credential = "certificate"
    paths: NodePaths = field(default_factory=NodePaths)
    log_backend: bool = True
    distribution: str = "kubeadm"

    @property
    def credential_files(self) -> tuple[str, ...]:
        """The files of the bundle by which the API server shows who it is."""
        return ("token",) if self.credential == "token" else ("client.crt", "client.key")

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes as they are called in URLs; there is always one."""
        return self.named_nodes or (UNNAMED_NODE,)

    @property
    def flags(self) -> list[str]:
        """The API server's audit flags, the same on every node."""
        return audit_flags(self.paths, log_backend=self.log_backend)

    @property
    def mounts(self) -> list[HostMount]:
        """The folders that the API server's static pod has to see."""
        return host_mounts(self.paths, log_backend=self.log_backend)

    def url(self, node: str) -> str:
        """Return where the API server on `node` posts."""
        return webhook_url(self.endpoint, self.cluster, node)

    def kubeconfig_name(self, node: str) -> str:
        """Return the file in the bundle that becomes webhook.yaml on `node`."""
        return "webhook.yaml" if len(self.nodes) == 1 else f"webhook-{node}.yaml"


@dataclass(frozen=True, slots=True)
class Sources:
    """What the user brings, and the folders for what is made."""

    data: Path
    out: Path
    policy: str = "recommended"
    manifest: Path | None = None
