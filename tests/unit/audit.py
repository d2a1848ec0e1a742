"""Audit events and rules for tests, small and whole."""

import json
from collections.abc import Iterable

from tocsin.detect.build import Redaction
from tocsin.detect.engine import Engine
from tocsin.model.alert import Alert
from tocsin.model.errors import Location
from tocsin.model.event import AuditEvent
from tocsin.normalize.decode import decode
from tocsin.normalize.fields import AUDIT
from tocsin.normalize.redact import holds_secret, redact
from tocsin.rules import ir
from tocsin.rules.interpret import EventView

HERE = Location("rule.yml", 7)


def item(**changes: object) -> dict[str, object]:
    """Return an event as JSON has it in a list; a change to None takes the field out."""
    whole: dict[str, object] = {
        "level": "RequestResponse",
        "auditID": "9a1b6b4e-0000-4000-8000-000000000001",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/shop/pods",
        "verb": "create",
        "user": {"username": "alice", "groups": ["dev", "system:authenticated"]},
        "sourceIPs": ["10.0.0.7"],
        "userAgent": "kubectl/v1.36.3",
        "objectRef": {"resource": "pods", "namespace": "shop", "name": "web", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201},
        "requestReceivedTimestamp": "2026-11-23T10:45:16.123456Z",
        "stageTimestamp": "2026-11-23T10:45:16.223456Z",
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }
    return {key: value for key, value in (whole | changes).items() if value is not None}


def encoded(event: dict[str, object]) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def event_list(items: Iterable[bytes]) -> bytes:
    head = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":['
    return head + b",".join(items) + b"]}"


def event(**changes: object) -> AuditEvent:
    """Return one event, decoded as events are."""
    batch = decode(event_list([encoded(item(**changes))]))
    assert not batch.rejects
    return batch.events[0]


def view(**changes: object) -> EventView:
    return EventView(event(**changes), AUDIT)


def text_is(path: str, *texts: str, how: ir.How = "equals") -> ir.Test:
    """Return the most ordinary test: a text, whatever its case."""
    return ir.Test(path, ir.TextIs(how, tuple(text.lower() for text in texts), fold=True), HERE)


def rule(
    match: ir.Expr, identifier: str = "r1", *, message: str = "", fields: tuple[str, ...] = ()
) -> ir.Rule:
    return ir.Rule(
        id=identifier,
        title=f"Rule {identifier}",
        dialect="sigma",
        severity="high",
        level="high",
        match=match,
        at=HERE,
        message=message or f"Rule {identifier} matched",
        fields=fields,
    )


def new_engine(*rules: ir.Rule) -> Engine:
    return Engine(rules, AUDIT, Redaction(holds_secret, redact))


def alerts_of(engine: Engine, *items: dict[str, object], cluster: str = "prod") -> list[Alert]:
    """Return the alerts of one batch with these events."""
    batch = decode(event_list(map(encoded, items)))
    assert not batch.rejects
    return engine.evaluate(batch.events, batch.raw, cluster)
