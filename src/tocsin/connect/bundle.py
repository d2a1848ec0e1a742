"""The folder of files that connects one cluster: composed here, written by the caller's leave.

Nothing is replaced unseen: the caller gets what would change, and decides.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.connection import Connection, Sources
from tocsin.connect.files import (
    PRIVATE_FILE,
    PUBLIC_FILE,
    make_private_folder,
    read_if_exists,
    write_atomic,
)
from tocsin.connect.forwarders import forwarder_files
from tocsin.connect.guide import plan_of, readme
from tocsin.connect.kubeconfig import webhook_kubeconfig
from tocsin.connect.manifest import unified_diff

State = Literal["written", "replaced", "unchanged"]


def configuration_files(
    connection: Connection, sources: Sources, credentials: Sequence[BundleFile]
) -> list[BundleFile]:
    """Return the files that follow from the connection, its policy and its credentials.

    Where the distribution takes the policy or the credentials inside of its own files, these
    are made of `credentials`, which has the policy too.
    """
    distribution, plan = plan_of(connection, sources)
    texts = {
        connection.kubeconfig_name(node): webhook_kubeconfig(
            connection.url(node), connection.paths, connection.credential
        )
        for node in connection.nodes
    }
    texts["apiserver-flags.txt"] = "".join(f"{flag}\n" for flag in distribution.flags(connection))
    files = [BundleFile(name, text.encode()) for name, text in texts.items()]
    contents = {file.name: file.content for file in (*credentials, *files)}
    files += forwarder_files(connection)
    return [*files, *distribution.files(plan, contents), readme(connection, sources)]


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
