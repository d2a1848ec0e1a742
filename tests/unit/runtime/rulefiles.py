"""Small Sigma rules and events that they match, for tests of the wiring."""

import json
from pathlib import Path
from typing import Any

RULE = """\
title: {title}
id: 00000000-0000-4000-8000-{number:012}
logsource: {{product: {product}, service: audit}}
detection:
  selection:
    userAgent: {agent}
  condition: selection
level: {level}
"""


def rule(number: int = 1, agent: str = "curl", level: str = "high", **changes: str) -> str:
    """Return the text of a rule on a user agent."""
    fields = {"title": f"Agent {agent}", "product": "kubernetes"} | changes
    return RULE.format(number=number, agent=agent, level=level, **fields)


def write_rule(path: Path, number: int = 1, agent: str = "curl", level: str = "high") -> Path:
    """Write a rule on a user agent to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rule(number, agent, level))
    return path


def event(number: int = 1, agent: str = "curl", **changes: Any) -> dict[str, Any]:
    """Return an audit event; equal numbers are stages of one request."""
    plain = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": f"a-{number}",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/shop/pods",
        "verb": "create",
        "user": {"username": "alice", "groups": ["system:authenticated"]},
        "userAgent": agent,
        "objectRef": {"resource": "pods", "namespace": "shop", "name": f"p{number}"},
        "requestReceivedTimestamp": f"2026-11-23T10:00:{number % 60:02}.000001Z",
        "stageTimestamp": f"2026-11-23T10:00:{number % 60:02}.000002Z",
    }
    return plain | changes


def event_list(*events: dict[str, Any]) -> bytes:
    """Return events as an API server posts them."""
    document = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": events}
    return json.dumps(document).encode()


def lines(*events: dict[str, Any]) -> bytes:
    """Return events as an API server writes them to its log."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)
