"""A cluster that is a dictionary, and alerts about what is in it."""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from tocsin.model.alert import Actor, Alert, EventRef, RuleRef, Target
from tocsin.model.manifest import Manifest
from tocsin.model.response import Call, ObjectRef, Plan
from tocsin.respond.actions.base import Acting, ApiError, Cluster

CREATED = "2026-11-23T12:00:00Z"
CREATED_AT = 1_795_435_200.0


Notes = list[tuple[str, Mapping[str, object]]]


class Objects(Cluster):
    """Objects by the words for them; `asked` holds the calls that were made."""

    def __init__(self, *objects: tuple[str, Manifest]) -> None:
        self.objects = dict(objects)
        self.asked: list[tuple[Call, bool]] = []
        self.fail: ApiError | None = None

    @property
    @override
    def name(self) -> str:
        return "prod"

    @override
    def user(self) -> str:
        return "system:serviceaccount:tocsin:tocsin-responder"

    @override
    def get(self, ref: ObjectRef) -> Manifest | None:
        return self.objects.get(ref.words)

    @override
    def list(self, ref: ObjectRef, query: Mapping[str, str] | None = None) -> Sequence[Manifest]:
        prefix = f"{ref.resource} {ref.namespace}/" if ref.namespace else f"{ref.resource} "
        return [one for words, one in self.objects.items() if words.startswith(prefix)]

    @override
    def text(self, path: str, query: Mapping[str, str], limit: int) -> str:
        if query["previous"] == "true":
            raise ApiError(failure="invalid", message="there was no run before")
        return f"password=hunter2 {path}"[:limit]

    @override
    def allowed(self, call: Call) -> bool:
        return True

    @override
    def call(self, call: Call, audit_id: str, *, dry_run: bool = False) -> Manifest:
        self.asked.append((call, dry_run))
        if self.fail is not None:
            raise self.fail
        return {"kind": "Status", "status": "Success", "details": {"uid": "u-9"}}

    def acting(self, notes: Notes | None = None) -> Acting:
        kept: Notes = [] if notes is None else notes
        return Acting(self, lambda: "tocsin-x", lambda text, data: kept.append((text, data)))


def manifest(name: str, uid: str, namespace: str | None = "shop", **parts: Any) -> dict[str, Any]:
    """Return an object; `metadata` among the parts is added to its own."""
    metadata = {"name": name, "uid": uid, "creationTimestamp": CREATED}
    if namespace:
        metadata["namespace"] = namespace
    return {**parts, "metadata": {**metadata, **parts.get("metadata", {})}}


def controller(kind: str, name: str, uid: str, api: str = "apps/v1") -> dict[str, Any]:
    """Return the metadata of an object that a controller owns."""
    owner = {"apiVersion": api, "kind": kind, "name": name, "uid": uid, "controller": True}
    return {"ownerReferences": [owner]}


def alert(target: Target, user: str | None = "alice", impersonated: str | None = None) -> Alert:
    return Alert(
        id="a" * 32,
        time="2026-11-23T12:00:00.500000Z",
        cluster="prod",
        source="webhook",
        rule=RuleRef("r", "A rule", "sigma", "high", "high"),
        description="",
        actor=Actor(user=user, impersonated=impersonated),
        target=target,
        event=EventRef("audit-1", code=201),
        first_seen="2026-11-23T12:00:00.500000Z",
        last_seen="2026-11-23T12:00:00.500000Z",
    )


def plan(action: str, target: ObjectRef, **changes: Any) -> Plan:
    known: dict[str, Any] = {"asked_at": CREATED_AT + 1, "evidence_at": CREATED_AT + 0.5}
    return Plan(
        id="b" * 32, cluster="prod", rule="r", action=action, target=target, **(known | changes)
    )
