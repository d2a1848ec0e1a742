"""Incidents for tests of notifications, put into a store as grouping would."""

from typing import Any

import msgspec

from tests.unit.store.samples import hostile_alert
from tocsin.model.alert import SEVERITIES, Severity, Technique
from tocsin.model.incident import Change, Entity, Incident
from tocsin.notify.message import Message, Subject
from tocsin.store import SqliteStore

ESCAPE = Technique("T1611", "Escape to Host", ("privilege-escalation",))
TOKEN = Technique("T1528", "Steal Application Access Token", ("credential-access",))


def make_incident(incident_id: str = "i1", **changes: Any) -> Incident:
    """Return an ordinary incident with some fields replaced."""
    incident = Incident(
        id=incident_id,
        cluster="prod",
        title="alice created a privileged pod and took a token",
        story="alice created privileged pod web in shop, then took a token from it.",
        severity="high",
        state="open",
        first_seen="2026-11-23T10:45:16.123456Z",
        last_seen="2026-11-23T10:46:00.000000Z",
        opened=1795000000.0,
        updated=1795000001.0,
        alert_counts={"high": 2, "medium": 1},
        actors=("alice",),
        techniques=(ESCAPE, TOKEN),
        entities=(Entity("pod", "web", "shop"), Entity("node", "w1")),
    )
    return msgspec.structs.replace(incident, **changes)


def hostile_incident(text: str) -> Incident:
    """Return an incident with the text in every place that an attacker can write to."""
    return make_incident(
        cluster=text,
        title=text,
        story=text,
        owner=text,
        actors=(text, text + "2"),
        entities=(Entity(text, text, text),),
        techniques=(Technique(text, text),),
    )


def group(store: SqliteStore, incident: Incident | None, now: float = 2.0) -> None:
    """Put all alerts that wait to be grouped into the incident, or into none."""
    with store.incidents.grouping.batch(1_000_000) as batch:
        if incident is not None:
            for stored in batch.alerts:
                batch.join(incident.id, stored)
            batch.save(msgspec.structs.replace(incident, updated=now), b"{}", [])


def save(store: SqliteStore, incident: Incident, now: float) -> None:
    """Write what has become of an incident."""
    with store.incidents.grouping.batch(0) as batch:
        batch.save(msgspec.structs.replace(incident, updated=now), b"{}", [])


def close(store: SqliteStore, incident_id: str, now: float) -> None:
    """Let a person close the incident."""
    store.incidents.change(incident_id, Change(state="closed"), "bob", now)


def about(incident: Incident, *alerts: Any, reason: Any = "new", now: float = 1.0) -> Message:
    """Return a message about an incident."""
    key = f"incident {incident.id}"
    subject = Subject(key, incident.title, incident.severity, len(alerts), incident)
    return Message("oncall-m1", reason, (subject,), alerts, (key,) * len(alerts), now)


def about_alert(alert: Any, now: float = 1.0, message_id: str = "oncall-m1") -> Message:
    """Return a message about an alert that belongs to no incident."""
    subject = Subject(f"alert {alert.id}", alert.rule.title, alert.rule.severity, 1)
    return Message(message_id, "new", (subject,), (alert,), (subject.key,), now)


def about_many(text: str, severity: Severity = "high") -> Message:
    """Return a message that tells many things together, with the text everywhere."""
    subjects = (
        Subject("incident i1", text, severity, 7, hostile_incident(text)),
        Subject("rule prod x", text, SEVERITIES[0], 1),
    )
    return Message(
        "oncall-m1", "storm", subjects, (hostile_alert(text),), ("rule prod x",), 1.0, 40, 9
    )
