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

import yaml

from tocsin.connect.apiserver import HostMount
from tocsin.connect.kubeadm import volume, volume_mount
from tocsin.connect.yamltext import parse_mapping
from tocsin.model.errors import TocsinError

_CONTAINER = "kube-apiserver"


@dataclass(frozen=True, slots=True)
class _Addition:
    """Entries to put at the end of the list at `path`."""

    path: tuple[str | int, ...]
    entries: list[Any]


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
    additions = _additions(document, flags, mounts, name)
    if not any(addition.entries for addition in additions):
        return text
    patched = _insert(text, additions)
    if parse_mapping(patched, name) != _extended(document, additions):
        message = f"cannot edit {name}: it is laid out in a way that Tocsin does not know"
        raise TocsinError(message)
    return patched


def unified_diff(before: str, after: str, name: str) -> str:
    """Return the difference between two texts, as `diff -u` shows it."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"{name} (new)"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _additions(
    document: dict[str, Any], flags: Sequence[str], mounts: Sequence[HostMount], name: str
) -> list[_Addition]:
    """Return what the manifest lacks."""
    try:
        spec = document["spec"]
        index = [container["name"] for container in spec["containers"]].index(_CONTAINER)
        container = spec["containers"][index]
        arguments_key = "args" if "args" in container else "command"
        arguments = [*container.get("command", ()), *container.get("args", ())]
        present_flags = _flag_values(arguments)
        present_mounts = {m["mountPath"].rstrip("/"): m for m in container["volumeMounts"]}
        volumes = {v["name"]: v for v in spec["volumes"]}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = (
            f"{name} is not the manifest of a kube-apiserver: it needs a container named "
            f"{_CONTAINER} with command and volumeMounts, and volumes"
        )
        raise TocsinError(message) from error
    if "kubernetes.io/config.mirror" in document.get("metadata", {}).get("annotations", {}):
        message = (
            f"{name} is the copy that the API server shows: take the file from the node, "
            "/etc/kubernetes/manifests/kube-apiserver.yaml"
        )
        raise TocsinError(message)
    _refuse_other_values(present_flags, flags, name)
    missing = [m for m in mounts if not _is_mounted(m, present_mounts, volumes, name)]
    base = ("spec", "containers", index)
    return [
        _Addition((*base, arguments_key), [f for f in flags if _name(f) not in present_flags]),
        _Addition((*base, "volumeMounts"), [volume_mount(mount) for mount in missing]),
        _Addition(("spec", "volumes"), [volume(mount) for mount in missing]),
    ]


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
    wanted: HostMount,
    mounts: dict[str, dict[str, Any]],
    volumes: dict[str, dict[str, Any]],
    name: str,
) -> bool:
    """Return whether the folder is there already, perhaps under another name."""
    mount = mounts.get(wanted.path)
    if mount is None:
        if wanted.name in volumes:
            message = f"{name} has a volume {wanted.name} already, but not of {wanted.path}"
            raise TocsinError(message)
        return False
    host_path = volumes.get(mount.get("name", ""), {}).get("hostPath", {}).get("path", "")
    if host_path.rstrip("/") != wanted.path:
        message = f"{name} mounts something else than the node's folder at {wanted.path}"
        raise TocsinError(message)
    if mount.get("readOnly", False) and not wanted.read_only:
        message = f"{name} mounts {wanted.path} read-only, but the audit log is written there"
        raise TocsinError(message)
    return True


def _extended(document: dict[str, Any], additions: Iterable[_Addition]) -> dict[str, Any]:
    """Return the document with the additions, made without looking at the text."""
    extended = copy.deepcopy(document)
    for addition in additions:
        target: Any = extended
        for step in addition.path:
            target = target[step]
        target.extend(addition.entries)
    return extended


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
        at = _last_line(node) + 1
        lines[at:at] = [textwrap.indent(block, " " * node.start_mark.column)] if entries else []
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
    return int(node.end_mark.line)
