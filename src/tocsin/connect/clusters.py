"""The list of known clusters, `<data>/clusters.yaml`: whose events the receiver accepts.

`tocsin setup` writes it, the receiver reads it. It holds digests of tokens and serial
numbers of certificates, so nobody can post events with what stands in it.
"""

import hashlib
from pathlib import Path
from typing import Annotated

import msgspec

from tocsin.connect.files import locked, make_private_folder, read_if_exists, write_atomic
from tocsin.connect.names import check_cluster_name
from tocsin.model.errors import TocsinError

_FILE_NAME = "clusters.yaml"

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
SerialHex = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{1,40}$")]


class Cluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The credentials of one cluster besides its certificates.

    Every certificate of Tocsin's authority with the cluster's name is good, unless its
    serial number (hexadecimal, as `keypair.serial_hex` writes it) stands in `revoked`.
    """

    tokens: tuple[Sha256, ...] = ()
    revoked: tuple[SerialHex, ...] = ()


class Clusters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All known clusters by name."""

    clusters: dict[str, Cluster] = {}


def token_digest(token: str) -> str:
    """Return what is stored of a bearer token; tokens are random, so no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def load_clusters(data: Path) -> Clusters:
    """Read the list from the data folder; without a file no cluster is known."""
    path = data / _FILE_NAME
    content = read_if_exists(path)
    if content is None:
        return Clusters()
    try:
        known = msgspec.yaml.decode(content, type=Clusters)
    except msgspec.MsgspecError as error:
        message = f"{path}: {' '.join(str(error).split())}"
        raise TocsinError(message) from error
    for name in known.clusters:
        check_cluster_name(name)
    return known


def save_clusters(data: Path, known: Clusters) -> None:
    """Replace the list in one step, so that the receiver never reads half of it."""
    write_atomic(data / _FILE_NAME, msgspec.yaml.encode(known))


def add_cluster(data: Path, name: str, *, token: str | None = None) -> None:
    """Make `name` known, and `token` a credential of it besides those it has."""
    make_private_folder(data)
    with locked(data):
        known = load_clusters(data)
        cluster = known.clusters.get(name, Cluster())
        if token is not None and token_digest(token) not in cluster.tokens:
            cluster = msgspec.structs.replace(
                cluster, tokens=(*cluster.tokens, token_digest(token))
            )
        if known.clusters.get(name) != cluster:
            save_clusters(data, Clusters({**known.clusters, name: cluster}))
