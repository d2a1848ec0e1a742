"""Prepare the connection of one cluster: credentials made, files composed, nothing written out.

Wrong input is found before anything is made; making a thing again changes nothing.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from tocsin.connect.bundle import (
    BundleFile,
    State,
    configuration_files,
    write_bundle,
)
from tocsin.connect.clusters import Cluster, add_cluster, load_clusters, token_digest
from tocsin.connect.connection import Connection, Sources
from tocsin.connect.files import make_private_folder, read_if_exists, read_required
from tocsin.connect.guide import readme
from tocsin.connect.manifest import patch_manifest, unified_diff
from tocsin.connect.pki import LOCAL_NAMES, Authority, Issued
from tocsin.connect.policy import load_policy
from tocsin.model.errors import TocsinError

_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that connects one cluster; `client` is None where a token is used."""

    connection: Connection
    sources: Sources
    files: list[BundleFile]
    server: Issued
    client: Issued | None
    token: str | None
    manifest_diff: str | None


def prepare(connection: Connection, sources: Sources) -> Prepared:
    """Make the credentials and compose the files for `sources.out`."""
    policy = BundleFile("policy.yaml", load_policy(sources.policy))
    manifest, manifest_diff = _patched_manifest(connection, sources.manifest)
    make_private_folder(sources.data)
    make_private_folder(sources.out)
    known = load_clusters(sources.data).clusters.get(connection.cluster, Cluster())
    authority = Authority.load_or_create(sources.data / "pki")
    server = authority.issue_server([*LOCAL_NAMES, connection.endpoint.host])
    files = [policy, BundleFile("ca.crt", read_required(authority.certificate_path))]
    client = token = None
    if connection.credential == "certificate":
        client = authority.issue_client(connection.cluster, revoked=known.revoked)
        files += [
            BundleFile("client.crt", read_required(client.certificate)),
            BundleFile("client.key", read_required(client.key), secret=True),
        ]
    else:
        token = _token(sources.out / "token", known)
        files.append(BundleFile("token", f"{token}\n".encode(), secret=True))
    files += configuration_files(connection)
    files += manifest
    files.append(readme(connection, sources))
    return Prepared(connection, sources, files, server, client, token, manifest_diff)


def write(prepared: Prepared) -> dict[str, State]:
    """Make the cluster known to the receiver and write the files.

    In this order: a crash in between leaves a digest that no token fits, not a token that
    the receiver does not know.
    """
    add_cluster(prepared.sources.data, prepared.connection.cluster, token=prepared.token)
    return write_bundle(prepared.sources.out, prepared.files)


def _token(path: Path, known: Cluster) -> str:
    """Return the token in the bundle, if the receiver still takes it, or a new one."""
    token = (read_if_exists(path) or b"").decode(errors="replace").strip()
    return token if token_digest(token) in known.tokens else secrets.token_urlsafe(_TOKEN_BYTES)


def _patched_manifest(
    connection: Connection, path: Path | None
) -> tuple[list[BundleFile], str | None]:
    """Return the edited manifest, named as the user's file is, and what was changed in it."""
    if path is None:
        return [], None
    try:
        before = read_required(path).decode()
    except UnicodeDecodeError as error:
        message = f"{path} is not a text file in UTF-8"
        raise TocsinError(message) from error
    after = patch_manifest(before, connection.flags, connection.mounts, name=str(path))
    file = BundleFile(f"kubeadm/manifests/{path.name}", after.encode())
    return [file], unified_diff(before, after, path.name)
