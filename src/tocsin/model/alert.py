"""The alert: one rule's hit on one request, in the shape that every output carries.

The JSON form is a contract (docs/architecture.md): every key is always present, what is
unknown is null or an empty list. Strings in it may be chosen by an attacker; secrets have
been taken out of them before an alert is built.
"""

import json
from typing import Literal

import msgspec

Severity = Literal["info", "low", "medium", "high", "critical"]

SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")


class Technique(msgspec.Struct, frozen=True):
    """A MITRE ATT&CK technique with the tactics it serves (short names)."""

    technique: str
    name: str | None = None
    tactics: tuple[str, ...] = ()


class RuleRef(msgspec.Struct, frozen=True):
    """The rule that fired; `level` is the dialect's own scale, `source` is `path:line`."""

    id: str
    title: str
    dialect: str
    severity: Severity
    level: str
    tags: tuple[str, ...] = ()
    attack: tuple[Technique, ...] = ()
    source: str = ""


class Actor(msgspec.Struct, frozen=True):
    """Who asked: the authenticated user, and whom it impersonated."""

    user: str | None = None
    groups: tuple[str, ...] = ()
    impersonated: str | None = None
    credential: str | None = None
    source_ips: tuple[str, ...] = ()
    user_agent: str | None = None


class Target(msgspec.Struct, frozen=True):
    """What was asked for; `resource` is None for non-resource URLs."""

    verb: str | None = None
    api_group: str | None = None
    resource: str | None = None
    subresource: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None


class EventRef(msgspec.Struct, frozen=True):
    """The audit event that matched first; `received` is its requestReceivedTimestamp."""

    audit_id: str
    stage: str | None = None
    level: str | None = None
    request_uri: str | None = None
    code: int | None = None
    received: str | None = None


class Alert(msgspec.Struct, kw_only=True):
    """One rule's hit on one request.

    `id` is a digest of rule and request, so evaluating an event again changes nothing.
    Times are RFC 3339 in UTC with six digits. `evidence` holds event digests, oldest first.
    """

    id: str
    time: str
    cluster: str
    source: str
    rule: RuleRef
    description: str
    actor: Actor
    target: Target
    event: EventRef | None
    fields: dict[str, object] = msgspec.field(default_factory=dict)
    count: int = 1
    first_seen: str
    last_seen: str
    evidence: list[str] = msgspec.field(default_factory=list)


def merge(known: Alert, later: Alert) -> Alert:
    """Return the known alert with the evidence of a further stage or copy; it stays one hit.

    Of two copies of one event the alert says what the fuller one tells: the webhook may have
    cut the bodies out, and the log of the API server has them.
    """
    fresh = [digest for digest in later.evidence if digest not in known.evidence]
    fuller = later if _is_fuller_copy(later, known) else known
    return msgspec.structs.replace(
        known,
        description=fuller.description,
        target=fuller.target,
        fields=fuller.fields,
        evidence=known.evidence + fresh,
        first_seen=min(known.first_seen, later.first_seen),
        last_seen=max(known.last_seen, later.last_seen),
    )


def _is_fuller_copy(later: Alert, known: Alert) -> bool:
    return later.event == known.event and _unknowns(later) < _unknowns(known)


def _unknowns(alert: Alert) -> int:
    values = (*msgspec.structs.astuple(alert.target), *alert.fields.values())
    return sum(value is None for value in values)


def to_json_line(alert: Alert) -> bytes:
    """Return the alert as a line of ASCII JSON: its text cannot break a line or a terminal."""
    line = msgspec.json.encode(alert)
    if not line.isascii():
        line = json.dumps(msgspec.json.decode(line), separators=(",", ":")).encode()
    return line.replace(b"\x7f", b"\\u007f") + b"\n"
