"""Edit the static-pod manifest of kube-apiserver, which is text that people look after.

Lines are added and nothing else is touched, so comments and order stay and the difference
can be read by a person before it restarts an API server. The result is read again and
compared with what was meant; a manifest in an unforeseen form is refused, not guessed at.
"""

import copy
import difflib
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import yaml

from tocsin.connect.apiserver import HostMount
from tocsin.connect.yamltext import parse_mapping
from tocsin.model.errors import TocsinError

_CONTAINER = "kube-apiserver"
_MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


class _Mount(msgspec.Struct, rename="camel"):
    name: str
    mount_path: str
    read_only: bool = False


class _HostPath(msgspec.Struct):
    path: str


class _Volume(msgspec.Struct, rename="camel"):
    name: str
    host_path: _HostPath | None = None


class _Container(msgspec.Struct, rename="camel"):
    name: str
    command: list[str] = []
    args: list[str] | None = None
    volume_mounts: list[_Mount] | None = None


class _Spec(msgspec.Struct):
    containers: list[_Container]
    volumes: list[_Volume]


class _Metadata(msgspec.Struct):
    annotations: dict[str, str] | None = None


class _Pod(msgspec.Struct):
    """The part of a manifest that is of interest here."""

    spec: _Spec
    metadata: _Metadata | None = None


@dataclass(frozen=True, slots=True)
class _Addition:
    """Entries to put at the end of the list at `path`."""

    path: tuple[str | int, ...]
    entries: list[Any]


@dataclass(frozen=True, slots=True)
class ApiServerPod:
    """How a manifest starts the API server.

    Attributes:
        flags: values by name, `--` included; of a repeated flag the last, a bare one is "true".
        folders: what of the node the container sees, by the path where it sees it.
    """

    flags: dict[str, str]
    folders: dict[str, str]

    def on_node(self, path: str) -> str | None:
        """Return where a path of the container lies on the node; None if it is not mounted."""
        for mounted in sorted(self.folders, key=len, reverse=True):
            if path == mounted or path.startswith(f"{mounted}/"):
                return f"{self.folders[mounted]}{path.removeprefix(mounted)}"
        return None


def read_manifest(text: str, *, name: str) -> ApiServerPod:
    """Return how the manifest `text` starts the API server.

    Raises:
        TocsinError: it is another kind of file; `name` is what to call it then.
    """
    pod = _read_pod(parse_mapping(text, name), name)
    container = next((c for c in pod.spec.containers if c.name == _CONTAINER), None)
    if container is None:
        message = f"{name} is not the manifest of a kube-apiserver: no container has that name"
        raise TocsinError(message)
    host_paths = {v.name: v.host_path.path.rstrip("/") for v in pod.spec.volumes if v.host_path}
    return ApiServerPod(
        _flag_values([*container.command, *(container.args or ())]),
        {
            mount.mount_path.rstrip("/"): host_paths[mount.name]
            for mount in container.volume_mounts or ()
            if mount.name in host_paths
        },
    )


def patch_manifest(
    text: str, flags: Sequence[str], mounts: Sequence[HostMount], *, name: str
) -> str:
    """Return the manifest with what it lacks of `flags` and `mounts`.

    Args:
        text: the manifest, as it lies in /etc/kubernetes/manifests.
        flags: `--name=value` each.
        mounts: folders of the node that the API server has to see.
        name: what to call the file in an error.

    Raises:
        TocsinError: it is another kind of file, or it says otherwise already.
    """
    document = parse_mapping(text, name)
    additions = _additions(_read_pod(document, name), flags, mounts, name)
    if not additions:
        return text
    patched = _insert(text, additions)
    if not _reads_as(patched, _extended(document, additions)):
        message = f"cannot edit {name}: it is laid out in a way that Tocsin does not know"
        raise TocsinError(message)
    return patched


def unified_diff(before: str, after: str, name: str) -> str:
    """Return the difference between two texts, as `diff -u` shows it."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"{name} (new)"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _read_pod(document: dict[str, Any], name: str) -> _Pod:
    try:
        pod = msgspec.convert(document, _Pod)
    except msgspec.ValidationError as error:
        message = f"{name} is not the manifest of a kube-apiserver: {error}"
        raise TocsinError(message) from error
    annotations = pod.metadata.annotations if pod.metadata else None
    if _MIRROR_ANNOTATION in (annotations or ()):
        message = (
            f"{name} is the copy that the API server shows: take the file from the node, "
            "/etc/kubernetes/manifests/kube-apiserver.yaml"
        )
        raise TocsinError(message)
    return pod


def _additions(
    pod: _Pod, flags: Sequence[str], mounts: Sequence[HostMount], name: str
) -> list[_Addition]:
    """Return what the manifest lacks, list by list."""
    names = [container.name for container in pod.spec.containers]
    container = pod.spec.containers[names.index(_CONTAINER)] if _CONTAINER in names else None
    if container is None or container.volume_mounts is None:
        message = (
            f"{name} is not the manifest of a kube-apiserver: it has no container named "
            f"{_CONTAINER} with volumeMounts"
        )
        raise TocsinError(message)
    present = _flag_values([*container.command, *(container.args or ())])
    _refuse_other_values(present, flags, name)
    missing = [
        mount
        for mount in mounts
        if not _is_mounted(mount, container.volume_mounts, pod.spec.volumes, name)
    ]
    base = ("spec", "containers", names.index(_CONTAINER))
    arguments = "command" if container.args is None else "args"
    additions = [
        _Addition((*base, arguments), [flag for flag in flags if _name(flag) not in present]),
        _Addition((*base, "volumeMounts"), [mount.volume_mount for mount in missing]),
        _Addition(("spec", "volumes"), [mount.volume for mount in missing]),
    ]
    return [addition for addition in additions if addition.entries]


def _name(flag: str) -> str:
    return flag.partition("=")[0]


def _flag_values(arguments: Sequence[str]) -> dict[str, str]:
    """Return the flags of a command line; of a repeated flag the last value, as in Go."""
    values = {}
    for argument, following in zip(arguments, [*arguments[1:], "--"], strict=True):
        flag, equals, value = argument.partition("=")
        if flag.startswith("--"):
            bare = "true" if following.startswith("--") else following
            values[flag] = value if equals else bare
    return values


def _refuse_other_values(present: dict[str, str], flags: Iterable[str], name: str) -> None:
    wanted = {_name(flag): flag.partition("=")[2] for flag in flags}
    others = [
        f"{flag}={present[flag]} (Tocsin: {value})"
        for flag, value in wanted.items()
        if present.get(flag, value) != value
    ]
    if others:
        hint = (
            "setup with --no-log-file leaves the log as it is"
            if all(other.startswith("--audit-log-") for other in others)
            else "take them out of the file first"
        )
        message = f"{name} has its own audit settings: {', '.join(others)}; {hint}"
        raise TocsinError(message)


def _is_mounted(
    wanted: HostMount, mounts: Iterable[_Mount], volumes: Iterable[_Volume], name: str
) -> bool:
    """Return whether the folder is there already, perhaps under another name."""
    host_paths = {v.name: v.host_path.path.rstrip("/") for v in volumes if v.host_path}
    for mount in mounts:
        if mount.mount_path.rstrip("/") != wanted.path:
            continue
        if host_paths.get(mount.name) != wanted.path:
            message = f"{name} mounts something else than the node's folder at {wanted.path}"
            raise TocsinError(message)
        if mount.read_only and not wanted.read_only:
            message = f"{name} mounts {wanted.path} read-only, but the audit log is written there"
            raise TocsinError(message)
        return True
    if wanted.name in host_paths:
        message = f"{name} has a volume {wanted.name} already, but does not mount it as Tocsin does"
        raise TocsinError(message)
    return False


def _extended(document: dict[str, Any], additions: Iterable[_Addition]) -> dict[str, Any]:
    """Return the document with the additions, made without looking at the text."""
    extended = copy.deepcopy(document)
    for addition in additions:
        target: Any = extended
        for step in addition.path:
            target = target[step]
        target.extend(addition.entries)
    return extended


def _reads_as(text: str, document: dict[str, Any]) -> bool:
    try:
        return bool(yaml.safe_load(text) == document)
    except yaml.YAMLError:
        return False


def _insert(text: str, additions: Iterable[_Addition]) -> str:
    """Return the text with the additions, each behind the last line of its list."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    places = [(_node_at(root, addition.path), addition.entries) for addition in additions]
    # From the end of the file on, so that line numbers before it stay right.
    for node, entries in sorted(places, key=lambda place: -place[0].start_mark.line):
        block = "".join(yaml.safe_dump([entry], width=1000) for entry in entries)
        lines.insert(_last_line(node) + 1, textwrap.indent(block, " " * node.start_mark.column))
    return "".join(lines)


def _node_at(root: yaml.Node | None, path: Iterable[str | int]) -> yaml.Node:
    node: Any = root
    for step in path:
        if isinstance(step, int):
            node = node.value[step]
        else:
            node = next(value for key, value in node.value if key.value == step)
    return cast("yaml.Node", node)


def _last_line(node: yaml.Node) -> int:
    """Return the last line of a node; the end of a block reaches into what follows it."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    # The text of a block scalar (`|`) ends where the next line begins.
    return node.end_mark.line if node.end_mark.column else node.end_mark.line - 1
