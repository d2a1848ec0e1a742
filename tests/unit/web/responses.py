"""Responses for tests of pages and commands: as the responder would show them."""

import time
from typing import Any

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.response import Call, Entry, ObjectRef, Plan, Response, State
from tocsin.store import SqliteStore
from tocsin.web.responding import ActionWords, Armed, Possible, Responding

UID = "3f1c9a52-0000-4000-8000-000000000001"
DIGEST = "d" * 32
POD = ObjectRef(resource="pods", namespace="shop", name="web-1", uid=UID)

DELETE = ActionWords(
    name="delete_pod",
    title="Delete the pod",
    effect="Deletes the pod. What its owner re-creates is another pod.",
    reach="one pod",
)
ISOLATE = ActionWords(
    name="isolate_pod",
    title="Isolate the pod",
    effect="Cuts the pod off the network.",
    reach="one pod",
    destructive=False,
    reversible=True,
)
CORDON = ActionWords(
    name="cordon_node",
    title="Cordon the node",
    effect="Nothing new is scheduled on the node.",
    reach="what is to run on one node",
    width=4,
    destructive=False,
    reversible=True,
)
ARMED = Armed(name="privileged-pod", actions=("delete_pod",), mode="auto")


def plan(identifier: str = "a" * 32, **changes: Any) -> Plan:
    """Return a plan to delete a pod, with some fields replaced."""
    made = Plan(
        id=identifier,
        cluster="prod",
        rule="privileged-pod",
        action="delete_pod",
        parameters={"grace_seconds": 0},
        target=POD,
        root=UID,
        alert_id="a1",
        rule_id="5c1b",
        user="alice",
        mode="approve",
        asked_at=time.time() - 5,
        evidence_at=time.time() - 6,
    )
    return msgspec.structs.replace(made, **changes)


def response(state: State = "awaiting-approval", made: Plan | None = None, **more: Any) -> Response:
    """Return a response that waits for approval, with some fields replaced."""
    shown = Response(
        plan=made or plan(),
        state=state,
        text="the mode is approve",
        digest=DIGEST,
        calls=(
            Call(
                verb="delete",
                target=POD,
                body={"preconditions": {"uid": UID}, "gracePeriodSeconds": 0},
                title="delete the pod",
            ),
        ),
        expires=time.time() + 900,
        updated=time.time(),
        effect=DELETE.effect,
    )
    return msgspec.structs.replace(shown, **more)


def lines(shown: Response, first: int = 1) -> list[Entry]:
    """Return the journal's lines of a response."""
    prepared = {
        "target": msgspec.to_builtins(POD),
        "root": UID,
        "before": {"metadata": {"labels": {"app": "web"}}},
        "owner": {"resource": "deployments", "namespace": "shop", "name": "web"},
        "notes": ["Deployment web will create it again; scale_owner stops that."],
    }
    return [
        Entry(
            seq=first,
            time=shown.plan.asked_at,
            response=shown.plan.id,
            state="planned",
            text="asked for by rule 5c1b",
            data={"plan": msgspec.to_builtins(shown.plan)},
            code="1" * 64,
        ),
        Entry(
            seq=first + 1,
            time=shown.updated,
            response=shown.plan.id,
            state=shown.state,
            text=shown.text,
            data={"prepared": prepared, "digest": shown.digest},
            previous="1" * 64,
            code="2" * 64,
        ),
    ]


def put(store: SqliteStore, shown: Response, first: int = 1) -> Response:
    """Store a response with its lines, as the responder does."""
    store.responses.show([shown], lines(shown, first))
    return shown


def fitting(alert: Alert) -> list[Possible]:
    """Return what could be done about an alert on a pod."""
    place, name = alert.target.namespace or "default", alert.target.name or "-"
    pod = ObjectRef(resource="pods", namespace=place, name=name)
    node = ObjectRef(resource="nodes", name="node-1")
    return [
        Possible(action=CORDON, target=node),
        Possible(action=DELETE, target=pod),
        Possible(action=ISOLATE, target=pod),
    ]


def how(**changes: Any) -> Responding:
    """Return how a Tocsin responds that has a response armed and access to a cluster."""
    parts: dict[str, Any] = {
        "armed": (ARMED,),
        "clusters": ("prod",),
        "actions": {one.name: one for one in (DELETE, ISOLATE, CORDON)},
        "possible": fitting,
    }
    return Responding(**parts | changes)
