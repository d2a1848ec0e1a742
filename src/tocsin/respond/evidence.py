"""What is kept of an object before it is destroyed: its manifest, its logs, what befell it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import zstandard

from tocsin.disk import replace_file
from tocsin.model.digest import digest
from tocsin.model.manifest import Manifest, items_at, text_at, uid_of
from tocsin.model.response import ObjectRef
from tocsin.respond.actions.base import ApiError, Cluster, PolicyRule, Prepared
from tocsin.respond.means import EvidenceError
from tocsin.respond.names import path_of

LOG_BYTES: Final = 256 * 1024
LOG_LINES: Final = 5000
EVENTS: Final = PolicyRule(("",), ("events",), ("list",))
LOGS: Final = PolicyRule(("",), ("pods/log",), ("get",))

_MOST_CONTAINERS = 50
_MOST_EVENTS = 500
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")

Clean = Callable[[bytes], Mapping[str, object]]
"""Takes the secrets out of a JSON object."""


def keep(
    response: str, prepared: Prepared, cluster: Cluster, folder: Path, clean: Clean, now: float
) -> dict[str, object]:
    """Write what there is to know of an action's object into a file; say what for the journal.

    The manifest has to be there; logs and events are kept as far as they can be read, and what
    is missing is named.

    Raises:
        EvidenceError: the object cannot be read, or the file not be written.
    """
    document = _collect(prepared, cluster)
    document["response"] = response
    document["taken_at"] = datetime.fromtimestamp(now, UTC).isoformat()
    content = msgspec.json.encode(clean(msgspec.json.encode(document)))
    path = folder / f"{response}.json.zst"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, zstandard.compress(content))
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise EvidenceError(message) from error
    return {
        "file": path.name,
        "digest": digest("evidence", content.decode()),
        "bytes": len(content),
        "kept": sorted(document.keys() - {"response", "taken_at", "missing"}),
        "missing": document["missing"],
    }


def _collect(prepared: Prepared, cluster: Cluster) -> dict[str, object]:
    target = prepared.target
    try:
        manifest = cluster.get(target)
    except ApiError as error:
        message = f"{target.words} cannot be read: {error}"
        raise EvidenceError(message) from error
    if manifest is None or uid_of(manifest) != target.uid:
        message = f"{target.words} is gone already"
        raise EvidenceError(message)
    missing: list[str] = []
    found: dict[str, object] = {"manifest": manifest, "before": prepared.before}
    if target.resource == "pods":
        found["logs"] = _logs(target, manifest, cluster, missing)
    found["events"] = _events(target, cluster, missing)
    found["missing"] = missing
    return found


def _logs(
    pod: ObjectRef, manifest: Manifest, cluster: Cluster, missing: list[str]
) -> dict[str, dict[str, str]]:
    """Return the end of each container's log, of this run and of the one before."""
    containers = [one for kind in _CONTAINERS for one in items_at(manifest, "spec", kind)]
    names = [text_at(one, "name") or "" for one in containers]
    if len(names) > _MOST_CONTAINERS:
        missing.append(f"logs of {len(names) - _MOST_CONTAINERS} more containers")
    restarted = {
        text_at(one, "name")
        for kind in _CONTAINERS
        for one in items_at(manifest, "status", f"{kind.removesuffix('s')}Statuses")
        if one.get("restartCount")
    }
    logs: dict[str, dict[str, str]] = {}
    for name in names[:_MOST_CONTAINERS]:
        runs = {"current": "false", **({"previous": "true"} if name in restarted else {})}
        logs[name] = {}
        for run, previous in runs.items():
            query = {
                "container": name,
                "previous": previous,
                "timestamps": "true",
                "tailLines": str(LOG_LINES),
            }
            try:
                logs[name][run] = cluster.text(path_of(pod, "log"), query, LOG_BYTES)
            except ApiError as error:
                missing.append(f"{run} log of container {name}: {error}")
    return logs


def _events(target: ObjectRef, cluster: Cluster, missing: list[str]) -> list[Manifest]:
    """Return the cluster's events about the object."""
    events = ObjectRef(resource="events", namespace=target.namespace or "default", name="any")
    try:
        found = cluster.list(events, {"fieldSelector": f"involvedObject.uid={target.uid}"})
    except ApiError as error:
        missing.append(f"events: {error}")
        return []
    return list(found[-_MOST_EVENTS:])
