"""A small API server in memory: uids, preconditions, JSON patches, dry runs, an audit log.

It decides as the real one does where responses depend on it, and notes every change that took
effect: what tests count.
"""

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tocsin.model.manifest import Manifest
from tocsin.model.response import Call, ObjectRef
from tocsin.respond.actions.base import ApiError, ApiFailure

USER = "system:serviceaccount:tocsin:tocsin-responder"

FAILURES: dict[int, ApiFailure] = {
    401: "denied",
    403: "denied",
    404: "gone",
    409: "changed",
    410: "gone",
    422: "changed",
    429: "busy",
    500: "unknown",
    503: "busy",
    504: "unknown",
}


@dataclass(frozen=True)
class Change:
    """A request that changed something."""

    verb: str
    path: str
    uid: str
    audit_id: str


@dataclass
class FakeApi:
    """The objects by their path, what changed them, and faults to come.

    `refuse` maps a verb to the status of its next answer; `lose` are verbs whose next answer
    gets lost after the request took effect. `before` is called before each change.
    """

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    asked: list[tuple[str, str, str, bool]] = field(default_factory=list)
    refuse: dict[str, int] = field(default_factory=dict)
    lose: set[str] = field(default_factory=set)
    before: Callable[[], None] | None = None
    turn: threading.RLock = field(default_factory=threading.RLock)

    def add(self, ref: ObjectRef, **rest: object) -> str:
        """Put an object there; return its uid."""
        uid = ref.uid or str(uuid4())
        metadata = {"name": ref.name, "uid": uid, "resourceVersion": "1"}
        if ref.namespace:
            metadata["namespace"] = ref.namespace
        given = rest.pop("metadata", {})
        assert isinstance(given, dict)
        self.objects[ref.path] = {"metadata": metadata | given, **rest}
        return uid

    def get(self, path: str) -> dict[str, Any] | None:
        """Return an object."""
        with self.turn:
            return copy.deepcopy(self.objects.get(path))

    def list(self, collection: str) -> list[dict[str, Any]]:
        """Return the objects of a collection."""
        with self.turn:
            return [
                copy.deepcopy(one)
                for path, one in self.objects.items()
                if path.rpartition("/")[0] == collection
            ]

    def change(
        self, verb: str, path: str, body: Any, audit_id: str, *, dry_run: bool
    ) -> tuple[int, dict[str, Any]]:
        """Create, patch or delete; return status and answer."""
        if self.before is not None and not dry_run:
            self.before()
        with self.turn:
            self.asked.append((verb, path, audit_id, dry_run))
            if not dry_run and verb in self.refuse:
                return _status(self.refuse.pop(verb))
            code, answer, uid = self._decide(verb, path, body, dry_run=dry_run)
            if code < 300 and not dry_run:
                self.changes.append(Change(verb, path, uid, audit_id))
            if not dry_run and verb in self.lose:
                self.lose.discard(verb)
                return _status(504)
            return code, answer

    def _decide(
        self, verb: str, path: str, body: Any, *, dry_run: bool
    ) -> tuple[int, dict[str, Any], str]:
        if verb == "create":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return *_status(409), ""
            known = copy.deepcopy(body)
            known["metadata"] |= {"uid": str(uuid4()), "resourceVersion": "1"}
            if not dry_run:
                self.objects[path] = known
            return 201, known, known["metadata"]["uid"]
        parent = path.removesuffix("/scale")
        known = self.objects.get(parent)
        if known is None:
            return *_status(404), ""
        uid = known["metadata"]["uid"]
        if verb == "delete":
            return self._delete(parent, body, dry_run=dry_run)
        changed = _rescaled(known, body) if path != parent else _patched(known, body)
        if changed is None:
            return *_status(422), uid
        changed["metadata"]["resourceVersion"] = str(int(known["metadata"]["resourceVersion"]) + 1)
        if not dry_run:
            self.objects[parent] = changed
        return 200, changed, uid

    def _delete(self, path: str, options: Any, *, dry_run: bool) -> tuple[int, dict[str, Any], str]:
        known = self.objects[path]
        uid = known["metadata"]["uid"]
        wanted = ((options or {}).get("preconditions") or {}).get("uid", uid)
        if wanted != uid:
            return *_status(409), uid
        if not dry_run:
            del self.objects[path]
        if known.get("kind") == "Pod":
            return 200, known, uid
        return 200, {"kind": "Status", "status": "Success", "details": {"uid": uid}}, uid


class FakeCluster:
    """A `Cluster` over a fake API server."""

    def __init__(self, api: FakeApi, name: str = "prod") -> None:
        self._api = api
        self._name = name
        self.denied: set[str] = set()
        self.unreadable: ApiError | None = None

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self._name

    def user(self) -> str:
        """Return the user that the credential stands for."""
        return USER

    def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, None if it is not there."""
        self._read()
        return self._api.get(ref.path)

    def list(self, ref: ObjectRef, query: Mapping[str, str] | None = None) -> Sequence[Manifest]:
        """Return all objects of the kind and namespace."""
        del query
        self._read()
        return self._api.list(ref.collection)

    def text(self, path: str, query: Mapping[str, str], limit: int) -> str:
        """Return a log."""
        return f"log of {path} {dict(query)}"[:limit]

    def allowed(self, call: Call) -> bool:
        """Return whether the credential may make the call."""
        self._read()
        return call.verb not in self.denied

    def call(self, call: Call, audit_id: str, *, dry_run: bool = False) -> Manifest:
        """Make a call."""
        path = call.target.collection if call.verb == "create" else call.target.path
        if call.subresource:
            path = f"{path}/{call.subresource}"
        code, answer = self._api.change(call.verb, path, call.body, audit_id, dry_run=dry_run)
        if code >= 300:
            retry = 0.0 if code in {429, 503} else None
            raise ApiError(FAILURES.get(code, "invalid"), f"HTTP {code}", code, retry)
        return answer

    def _read(self) -> None:
        if self.unreadable is not None:
            error, self.unreadable = self.unreadable, None
            raise error


def _status(code: int) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "code": code, "message": f"HTTP {code}"}


def _rescaled(known: dict[str, Any], operations: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the object after a patch of its scale, which leaves out a number of zero."""
    view = copy.deepcopy(known)
    view["spec"] = {key: value for key, value in view["spec"].items() if value or key != "replicas"}
    changed = _patched(view, operations)
    if changed is not None:
        changed["spec"].setdefault("replicas", 0)
    return changed


def _patched(known: dict[str, Any], operations: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the object after a JSON patch; None if a test or a path does not fit."""
    changed = copy.deepcopy(known)
    for operation in operations:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
        ]
        node: Any = changed
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node.get(part)
            if node is None:
                return None
        if not _operate(node, last, operation):
            return None
    return changed


def _operate(node: Any, last: str, operation: dict[str, Any]) -> bool:
    op, value = operation["op"], operation.get("value")
    if isinstance(node, list):
        if op == "add":
            node.insert(len(node) if last == "-" else int(last), value)
        elif op == "remove":
            del node[int(last)]
        else:
            return bool(op == "test" and node[int(last)] == value)
        return True
    match op:
        case "test":
            return bool(node.get(last) == value)
        case "remove":
            return node.pop(last, None) is not None
        case "replace" if last not in node:
            return False
        case _:
            node[last] = value
            return True
