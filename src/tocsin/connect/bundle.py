"""The folder of files that connects one cluster: composed here, written by the caller's leave.

Nothing is replaced unseen: the caller gets what would change, and decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tocsin.connect import kubeadm
from tocsin.connect.connection import Connection
from tocsin.connect.files import (
    PRIVATE_FILE,
    PUBLIC_FILE,
    make_private_folder,
    read_if_exists,
    write_atomic,
)
from tocsin.connect.kubeconfig import webhook_kubeconfig
from tocsin.connect.manifest import unified_diff

State = Literal["written", "replaced", "unchanged"]


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file of the bundle; `secret` keeps its content from every screen."""

    name: str
    content: bytes
    secret: bool = False


def configuration_files(connection: Connection) -> list[BundleFile]:
    """Return the files that follow from the connection alone."""
    texts = {
        connection.kubeconfig_name(node): webhook_kubeconfig(
            connection.url(node), connection.paths, connection.credential
        )
        for node in connection.nodes
    }
    texts["apiserver-flags.txt"] = "".join(f"{flag}\n" for flag in connection.flags)
    texts["kubeadm/cluster-configuration.yaml"] = kubeadm.cluster_configuration(
        connection.flags, connection.mounts
    )
    for name, text in kubeadm.patches(connection.flags, connection.mounts).items():
        texts[f"kubeadm/patches/{name}"] = text
    return [BundleFile(name, text.encode()) for name, text in texts.items()]


def changes(folder: Path, files: Sequence[BundleFile]) -> dict[str, str]:
    """Return the files that exist with other content, and what would change in them."""
    found = {}
    for file in files:
        present = read_if_exists(folder / file.name)
        if present is None or present == file.content:
            continue
        found[file.name] = (
            f"{file.name}: a secret, not shown\n"
            if file.secret
            else unified_diff(
                present.decode(errors="replace"), file.content.decode(errors="replace"), file.name
            )
        )
    return found


def write_bundle(folder: Path, files: Sequence[BundleFile]) -> dict[str, State]:
    """Write what is missing or different; return what became of each file."""
    states: dict[str, State] = {}
    for file in files:
        path = folder / file.name
        present = read_if_exists(path)
        if present == file.content:
            states[file.name] = "unchanged"
            continue
        make_private_folder(path.parent)
        write_atomic(path, file.content, PRIVATE_FILE if file.secret else PUBLIC_FILE)
        states[file.name] = "written" if present is None else "replaced"
    return states
