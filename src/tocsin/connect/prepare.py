"""Prepare the connection of one cluster: credentials made, files composed, nothing written out.

Wrong input is found before anything is made; making a thing again changes nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from tocsin.connect.bundle import State, configuration_files, write_bundle
from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.clusters import Cluster, add_cluster, load_clusters
from tocsin.connect.connection import Connection, Sources
from tocsin.connect.credentials import (
    authority_file,
    certificate_files,
    token_file,
    usable_token,
)
from tocsin.connect.distributions import DISTRIBUTIONS
from tocsin.connect.files import decode_text, make_private_folder, read_required
from tocsin.connect.manifest import patch_manifest, unified_diff
from tocsin.connect.pki import LOCAL_NAMES, Authority, Issued
from tocsin.connect.policy import load_policy
from tocsin.model.errors import TocsinError


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
    DISTRIBUTIONS[connection.distribution].check(connection)
    policy = BundleFile("policy.yaml", load_policy(sources.policy))
    manifest, manifest_diff = _patched_manifest(connection, sources.manifest)
    make_private_folder(sources.data)
    make_private_folder(sources.out)
    known = load_clusters(sources.data).clusters.get(connection.cluster, Cluster())
    authority = Authority.load_or_create(sources.data / "pki")
    server = authority.issue_server([*LOCAL_NAMES, connection.endpoint.host])
    files = [policy, authority_file(authority)]
    client = token = None
    if connection.credential == "certificate":
        client = authority.issue_client(connection.cluster, revoked=known.ended_serials)
        files += certificate_files(client)
    else:
        token = usable_token(sources.out / "token", known)
        files.append(token_file(token))
    files += configuration_files(connection, sources, files)
    files += manifest
    return Prepared(connection, sources, files, server, client, token, manifest_diff)


def write(prepared: Prepared) -> dict[str, State]:
    """Make the cluster known to the receiver and write the files.

    In this order: a crash in between leaves a digest that no token fits, not a token that
    the receiver does not know.
    """
    add_cluster(
        prepared.sources.data,
        prepared.connection.cluster,
        token=prepared.token,
        certificate=prepared.client,
    )
    return write_bundle(prepared.sources.out, prepared.files)


def _patched_manifest(
    connection: Connection, path: Path | None
) -> tuple[list[BundleFile], str | None]:
    """Return the edited manifest, named as the user's file is, and what was changed in it."""
    if path is None:
        return [], None
    if connection.distribution != "kubeadm":
        message = f"--manifest is for kubeadm, not for {connection.distribution}: leave it away"
        raise TocsinError(message)
    before = decode_text(read_required(path), path)
    after = patch_manifest(before, connection.flags, connection.mounts, name=str(path))
    file = BundleFile(f"kubeadm/manifests/{path.name}", after.encode())
    return [file], unified_diff(before, after, path.name)
