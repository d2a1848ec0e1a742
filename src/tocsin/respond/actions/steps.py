"""The calls that actions are made of, each pinned to the live object that was read."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tocsin.model.manifest import Manifest, text_at, uid_of
from tocsin.model.response import Call, ObjectRef
from tocsin.respond.actions.base import Acting, ApiError, Prepared

ABSENT: Final = None
"""Value of a test for what is not there: JSON patches of the API server take null for it."""

Operation = dict[str, object]


def delete(target: ObjectRef, title: str, grace_seconds: int | None = None) -> Call:
    """Return a deletion of the object with this uid, and of no namesake."""
    options: dict[str, object] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    options["preconditions"] = {"uid": target.uid}
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    return Call(verb="delete", target=target, body=options, title=title)


def patch(
    target: ObjectRef, operations: Sequence[Operation], title: str, subresource: str | None = None
) -> Call:
    """Return a JSON patch that applies to the object with this uid only."""
    pinned = [expect("/metadata/uid", target.uid), *operations]
    return Call(verb="patch", target=target, subresource=subresource, body=pinned, title=title)


def create(target: ObjectRef, body: Manifest, title: str) -> Call:
    """Return a creation; the API server refuses it if the name is taken."""
    return Call(verb="create", target=target, body=body, title=title)


def expect(path: str, value: object) -> Operation:
    """Return the operation that makes a patch fail unless this value stands there."""
    return {"op": "test", "path": path, "value": value}


def put(path: str, value: object) -> Operation:
    """Return the operation that adds a value, or replaces the one that stands there."""
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> Operation:
    """Return the operation that takes a value away."""
    return {"op": "remove", "path": path}


def pointer(key: str) -> str:
    """Return a key as it stands in the path of an operation."""
    return key.replace("~", "~0").replace("/", "~1")


def make(call: Call, acting: Acting, *, dry_run: bool = False) -> Manifest:
    """Make one call under a new Audit-ID; what is asked is journalled before it is sent.

    Raises:
        ApiError: it was not done, or nobody knows whether it was.
    """
    audit_id = acting.mark()
    asked = {"call": msgspec.to_builtins(call), "audit_id": audit_id, "dry_run": dry_run}
    acting.note(f"ask: {call.title}", asked)
    try:
        answer = acting.cluster.call(call, audit_id, dry_run=dry_run)
    except ApiError as error:
        refused = {"audit_id": audit_id, "error": error.failure, "code": error.code}
        acting.note(f"{call.title}: {error}", refused)
        raise
    acting.note(f"done: {call.title}", {"audit_id": audit_id, "answer": _summary(answer)})
    return answer


class Stepwise:
    """An action whose doing is its calls, one after the other."""

    def apply(self, prepared: Prepared, acting: Acting) -> None:
        """Make the calls; what is to be deleted and is gone already does not stop the others."""
        for call in prepared.calls:
            try:
                make(call, acting)
            except ApiError as error:
                if call.verb != "delete" or error.failure != "gone":
                    raise


def _summary(answer: Manifest) -> dict[str, Any]:
    """Return what identifies the object in an answer; its content may be secret."""
    found = {
        "kind": text_at(answer, "kind"),
        "status": text_at(answer, "status"),
        "uid": uid_of(answer) or text_at(answer, "details", "uid"),
        "resource_version": text_at(answer, "metadata", "resourceVersion"),
    }
    return {key: value for key, value in found.items() if value}
