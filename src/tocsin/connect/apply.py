"""Change the API server of the node that Tocsin runs on: planned first, done by leave.

The bundle's files go into their folder, then one file of the distribution is edited. Whatever
is replaced is saved outside of the folders that a kubelet or a server watches.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tocsin.connect.bundlefile import BundleFile
from tocsin.connect.connection import Connection
from tocsin.connect.distributions import DISTRIBUTIONS
from tocsin.connect.distributions.base import InPlace
from tocsin.connect.files import (
    PRIVATE_FILE,
    PUBLIC_FILE,
    decode_text,
    make_private_folder,
    read_if_exists,
    write_atomic,
)
from tocsin.connect.manifest import unified_diff
from tocsin.connect.prepare import Prepared
from tocsin.model.errors import TocsinError


@dataclass(frozen=True, slots=True)
class Change:
    """One file of the node: what it has (None: it is not there) and what it shall have."""

    path: Path
    before: bytes | None
    after: bytes
    mode: int
    backup: Path
    secret: bool = False

    @property
    def difference(self) -> str:
        """What a person may see of the change, as `diff -u` shows it."""
        if self.secret:
            return f"{self.path}: a secret, not shown\n"
        before = (self.before or b"").decode(errors="replace")
        return unified_diff(before, self.after.decode(), str(self.path))


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be done to the distribution's own file, which `in_place` names."""

    in_place: InPlace
    target: Path
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that will change on the node, in order; empty where all is as it should be."""

    changes: tuple[Change, ...]
    target: Path
    restart: str | None

    @property
    def edits_target(self) -> bool:
        """Whether the API server restarts, or has to be restarted, for it."""
        return any(change.path == self.target for change in self.changes)

    @property
    def way_back(self) -> list[str]:
        """The commands that undo the edit; the installed files harm nothing."""
        undo = [
            f"rm {change.path}" if change.before is None else f"cp {change.backup} {change.path}"
            for change in self.changes
            if change.path == self.target
        ]
        return [*undo, self.restart] if undo and self.restart else undo


def plan_edit(connection: Connection, root: Path) -> Edit:
    """Read the distribution's file on this node, and edit it in memory.

    Args:
        connection: of the cluster that this node is a control-plane node of.
        root: the folder in which the node's paths are found, `/` on the node itself.

    Raises:
        TocsinError: there is nothing to edit, or it looks wrong.
    """
    distribution = DISTRIBUTIONS[connection.distribution]
    in_place = distribution.in_place(connection)
    if in_place is None:
        message = (
            f"--apply edits nothing for {distribution.title}: its nodes are not changed by files "
            "on them. Leave it away and follow the steps in README.txt"
        )
        raise TocsinError(message)
    if len(connection.named_nodes) > 1:
        message = "--apply is for one node, the one that it runs on: give --node once"
        raise TocsinError(message)
    distribution.refuse_node(connection, root)
    target = _on_node(root, in_place.path)
    content = read_if_exists(target)
    before = None if content is None else decode_text(content, target)
    return Edit(in_place, target, before, in_place.edit(before))


def plan_application(prepared: Prepared, edit: Edit, root: Path, now: datetime) -> Application:
    """Return what differs on the node; `now` names the backups."""
    folder = _on_node(root, prepared.connection.paths.config_dir)
    backups = folder.with_name(f"{folder.name}-backup")
    stamp = f"{now:%Y%m%dT%H%M%SZ}"

    def changed(path: Path, after: bytes, mode: int, *, secret: bool = False) -> Iterator[Change]:
        before = read_if_exists(path)
        if before != after:
            backup = backups / f"{path.name}.{stamp}"
            yield Change(path, before, after, mode, backup, secret)

    changes: list[Change] = []
    for name, file in _installed(prepared):
        mode = PRIVATE_FILE if file.secret else PUBLIC_FILE
        changes += changed(folder / name, file.content, mode, secret=file.secret)
    mode = PRIVATE_FILE if edit.before is None else edit.target.stat().st_mode & 0o777
    changes += changed(edit.target, edit.after.encode(), mode)
    return Application(tuple(changes), edit.target, edit.in_place.restart)


def apply(application: Application) -> None:
    """Save what will be replaced, then write all; the distribution's own file comes last.

    Raises:
        TocsinError: a file cannot be written, or has changed since it was looked at.
    """
    for change in application.changes:
        if read_if_exists(change.path) != change.before:
            message = f"{change.path} has just been changed by somebody else: look at it again"
            raise TocsinError(message)
        if change.before is not None:
            make_private_folder(change.backup.parent)
            write_atomic(change.backup, change.before, change.mode)
    for change in application.changes:
        make_private_folder(change.path.parent)
        # The file beside it that is renamed has a dot first: a kubelet passes over such names.
        write_atomic(change.path, change.after, change.mode)


def _installed(prepared: Prepared) -> Iterator[tuple[str, BundleFile]]:
    """Yield the files of the bundle that belong on the node, with their names there."""
    connection = prepared.connection
    names = {
        "policy.yaml": "policy.yaml",
        "ca.crt": "ca.crt",
        **{name: name for name in connection.credential_files},
        connection.kubeconfig_name(connection.nodes[0]): "webhook.yaml",
    }
    files = {file.name: file for file in prepared.files}
    for name, on_node in names.items():
        yield on_node, files[name]


def _on_node(root: Path, path: str) -> Path:
    return root / path.lstrip("/")
