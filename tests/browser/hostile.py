"""Payloads in every field that attackers control, and rules and recordings to go with them."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from tests.browser.payloads import PAYLOADS

CLUSTER = "hostile"


def rule_id(number: int) -> str:
    """Return the id of the rule whose title is this payload."""
    return str(UUID(int=0x7E57_0000_4000_8000_0000_0000 + number))


def write_rules(folder: Path) -> None:
    """Write a rule for each payload, which is its title and all its prose."""
    folder.mkdir()
    for number, payload in enumerate(PAYLOADS):
        rule = {
            "title": payload,
            "id": rule_id(number),
            "status": "test",
            "description": payload,
            "references": [payload],
            "falsepositives": [payload],
            "logsource": {"product": "kubernetes", "service": "audit"},
            "detection": {
                "selection": {"objectRef.apiGroup": _group(number)},
                "condition": "selection",
            },
            "level": "high",
            "tags": ["attack.execution", "attack.t1609"],
        }
        (folder / f"{number}.yml").write_text(yaml.safe_dump(rule, width=10_000))


def refused_requests(now: datetime) -> bytes:
    """Return a posted body: for each payload a refused request that carries it everywhere."""
    items = list(_events(now - timedelta(seconds=len(PAYLOADS))))
    return json.dumps(
        {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": items}
    ).encode()


def _events(start: datetime) -> Iterator[dict[str, Any]]:
    for number, payload in enumerate(PAYLOADS):
        at = f"{start + timedelta(seconds=number):%Y-%m-%dT%H:%M:%S.%fZ}"
        yield {
            "level": "Request",
            "auditID": payload,
            "stage": "ResponseComplete",
            "requestURI": payload,
            "verb": "create",
            "user": {"username": payload, "uid": payload, "groups": [payload]},
            "sourceIPs": [f"203.0.113.{number}"],
            "userAgent": payload,
            "objectRef": {
                "resource": "pods",
                "namespace": payload,
                "name": payload,
                "apiGroup": _group(number),
                "apiVersion": "v1",
            },
            "responseStatus": {"code": 403, "reason": payload, "message": payload},
            "requestObject": {
                "kind": "Pod",
                "metadata": {"name": payload, "annotations": {payload: payload}},
                "spec": {"containers": [{"name": payload, "image": payload, "args": [payload]}]},
            },
            "requestReceivedTimestamp": at,
            "stageTimestamp": at,
            "annotations": {
                "authorization.k8s.io/decision": "forbid",
                "authorization.k8s.io/reason": payload,
                payload: payload,
            },
        }


def _group(number: int) -> str:
    return f"payload-{number}.example"
