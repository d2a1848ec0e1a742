"""What a person says to `tocsin setup`, as far as it was said; checked when it is used."""

from dataclasses import dataclass, replace
from pathlib import Path

from tocsin.connect.connection import Connection, Sources
from tocsin.connect.distributions import DISTRIBUTIONS, DistributionName
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.names import check_cluster_name, check_node_name, parse_endpoint
from tocsin.model.errors import TocsinError


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command; None is what was left open."""

    advertise: str | None
    distribution: DistributionName | None
    cluster: str | None
    nodes: tuple[str, ...]
    credential: Credential | None
    policy: str
    data: Path
    out: Path | None
    remote_dir: str | None
    log_dir: str | None
    log_file: bool | None
    manifest: Path | None

    @property
    def connection(self) -> Connection:
        """The connection, with the distribution's own paths where none are given.

        Raises:
            TocsinError: something of it is wrong.
        """
        distribution = DISTRIBUTIONS[self.distribution or "kubeadm"]
        if self.log_file and not distribution.writes_log:
            message = f"the API server of {distribution.title} can write no audit log: leave it out"
            raise TocsinError(message)
        usual = distribution.paths
        return Connection(
            cluster=check_cluster_name(self.cluster or "default"),
            endpoint=parse_endpoint(self.advertise or ""),
            named_nodes=tuple(dict.fromkeys(check_node_name(name) for name in self.nodes)),
            credential=self.credential or "certificate",
            paths=replace(
                usual,
                config_dir=self.remote_dir or usual.config_dir,
                log_dir=self.log_dir or usual.log_dir,
            ),
            log_backend=distribution.writes_log if self.log_file is None else self.log_file,
            distribution=distribution.name,
        )

    @property
    def sources(self) -> Sources:
        """What the user brings, and the folders for what is made."""
        out = self.out or Path("tocsin-setup") / check_cluster_name(self.cluster or "default")
        return Sources(self.data, out, self.policy, self.manifest)

    @property
    def intention(self) -> str:
        """What will be made of it, in words."""
        connection, sources = self.connection, self.sources
        urls = "\n".join(
            f"  {node} will send to {connection.url(node)}" for node in connection.nodes
        )
        return (
            f"{urls}\n"
            f"  Files for the nodes go to {sources.out}, certificates and the list of clusters to "
            f"{sources.data}.\n"
            "  No cluster and no other file is touched."
        )
