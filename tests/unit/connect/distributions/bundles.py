"""Make the bundle of a distribution as `tocsin setup` does, and read it."""

from pathlib import Path
from typing import Any

import yaml

from tocsin.connect.connection import Connection, Sources
from tocsin.connect.distributions import DISTRIBUTIONS
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.names import parse_endpoint
from tocsin.connect.prepare import prepare, write


def connection(
    distribution: str, *nodes: str, credential: Credential = "certificate"
) -> Connection:
    """Return a connection with what is usual for the distribution."""
    found = DISTRIBUTIONS[distribution]
    return Connection(
        cluster="prod",
        endpoint=parse_endpoint("10.0.0.5:8080"),
        named_nodes=nodes,
        credential=credential,
        paths=found.paths,
        log_backend=found.writes_log,
        distribution=distribution,
    )


def bundle(folder: Path, made: Connection) -> Path:
    """Write the bundle below `folder`, and return its folder."""
    sources = Sources(data=folder / "data", out=folder / "out", policy="recommended")
    write(prepare(made, sources))
    return sources.out


def document(path: Path) -> Any:
    """Return what stands in a YAML file."""
    return yaml.safe_load(path.read_text())
