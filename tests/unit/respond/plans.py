"""An alert, a plan and facts about it, that the guard lets run; tests change one thing."""

from typing import Any

import msgspec

from tocsin.model.alert import Actor, Alert, EventRef, RuleRef, Target
from tocsin.model.response import Call, ObjectRef, Plan
from tocsin.respond.actions.base import Prepared
from tocsin.respond.guard import Acted, Facts

NOW = 1_800_000_000.0
POD = ObjectRef(resource="pods", namespace="shop", name="web-1", uid="u1")
OWNER = ObjectRef(
    api_group="apps", resource="deployments", namespace="shop", name="web", uid="root"
)


def an_alert(**changes: Any) -> Alert:
    event = {"code": 201, "request_uri": "/api/v1/namespaces/shop/pods"} | changes.pop("event", {})
    rule = {"severity": "high", "tags": (), "attack": ()} | changes.pop("rule", {})
    values: dict[str, Any] = {
        "id": "a1",
        "time": "2027-01-15T08:00:00.000000Z",
        "cluster": "prod",
        "source": "audit",
        "rule": RuleRef(id="r1", title="t", dialect="sigma", level="high", **rule),
        "description": "",
        "actor": Actor(user="mallory", groups=("system:authenticated",)),
        "target": Target(verb="create", resource="pods", namespace="shop", name="web-1"),
        "event": EventRef(audit_id="x", stage="ResponseComplete", **event),
        "first_seen": "",
        "last_seen": "",
    }
    return Alert(**(values | changes))


def a_plan(**changes: Any) -> Plan:
    plan = Plan(
        id="0" * 32,
        cluster="prod",
        rule="contain",
        action="delete_pod",
        target=POD,
        alert_id="a1",
        user="mallory",
        mode="auto",
        asked_at=NOW,
        evidence_at=NOW,
    )
    return msgspec.structs.replace(plan, **changes)


def a_prepared(**changes: Any) -> Prepared:
    prepared = Prepared(
        target=POD,
        root="root",
        calls=(Call(verb="delete", target=POD),),
        protects={"priority_class": None, "mirror_pod": False},
        owner=OWNER,
    )
    return msgspec.structs.replace(prepared, **changes)


def facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {
        "now": NOW,
        "alert": an_alert(),
        "prepared": a_prepared(),
        "authenticated": True,
    }
    return Facts(**(values | changes))


def acted(number: int = 1, **changes: Any) -> Acted:
    values: dict[str, Any] = {
        "response": f"{number:032}",
        "action": "delete_pod",
        "root": "root",
        "uid": f"other-{number}",
        "at": NOW - 120,
        "destructive": True,
    }
    return Acted(**(values | changes))
