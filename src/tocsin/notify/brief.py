"""A message in plain words, for channels that people read: each gives it its own form.

Nothing in it is escaped or made visible yet: what the texts may do depends on where they go.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from tocsin.model.alert import SEVERITIES, Alert, Severity
from tocsin.model.incident import Entity, Incident
from tocsin.notify.message import Message, Reason, Subject
from tocsin.notify.text import facts
from tocsin.notify.urls import alert_link, incident_link

_LISTED = 10

_REASONS: dict[Reason, str] = {
    "new": "",
    "more": "more of it: ",
    "worse": "worse: ",
    "repeat": "still open: ",
    "closed": "closed: ",
    "storm": "",
    "digest": "",
    "test": "",
}


@dataclass(frozen=True, slots=True)
class Brief:
    """What a message says.

    Attributes:
        severity: how bad it is.
        headline: one line.
        text: a few sentences.
        facts: what a person asks first, by label; nothing unknown.
        lines: the new alerts, or all that is told at once; one line each.
        left_out: how many lines more there would be.
        origin: what it is, for looking it up.
        link: its page on the dashboard, if the channel knows the dashboard.
    """

    severity: Severity
    headline: str
    text: str
    facts: dict[str, str]
    lines: tuple[str, ...]
    left_out: int
    origin: str
    link: str | None

    @property
    def more(self) -> str:
        """What stands below the lines."""
        return f"and {self.left_out} more" if self.left_out else ""


def brief(message: Message, dashboard_url: str | None) -> Brief:
    """Return the message in words."""
    if not message.is_single:
        return _of_many(message, dashboard_url)
    if message.incident is not None:
        return _of_incident(message, message.incident, dashboard_url)
    if len(message.alerts) + message.alerts_left_out == 1:
        return _of_alert(message, message.alerts[0], dashboard_url)
    return _of_rule(message, dashboard_url)


def _of_alert(message: Message, alert: Alert, dashboard_url: str | None) -> Brief:
    techniques = " ".join(attack.technique for attack in alert.rule.attack)
    parts = (f"rule {alert.rule.id} ({alert.rule.dialect})", techniques, f"alert {alert.id}")
    return Brief(
        severity=alert.rule.severity,
        headline=_headline(message, alert.rule.title),
        text=alert.description or alert.rule.title,
        facts=facts(alert),
        lines=(),
        left_out=0,
        origin=" ".join(part for part in parts if part),
        link=alert_link(dashboard_url, alert.id) if dashboard_url else None,
    )


def _of_rule(message: Message, dashboard_url: str | None) -> Brief:
    """Return the words for several alerts of one rule that belong to no incident."""
    [subject] = message.subjects
    first = message.alerts[0]
    known = {
        "Cluster": first.cluster,
        "Users": _listed(alert.actor.user for alert in message.alerts),
        "Namespaces": _listed(alert.target.namespace for alert in message.alerts),
    }
    return Brief(
        severity=subject.severity,
        headline=_headline(message, subject.title),
        text=f"{subject.alerts} alerts of one rule, which belong to no incident.",
        facts={label: value for label, value in known.items() if value},
        lines=_alert_lines(message),
        left_out=_alerts_left_out(message),
        origin=f"rule {first.rule.id} ({first.rule.dialect})",
        link=alert_link(dashboard_url, first.id) if dashboard_url else None,
    )


def _of_incident(message: Message, incident: Incident, dashboard_url: str | None) -> Brief:
    known = {
        "Who": _listed(incident.actors, incident.actors_left_out),
        "What": _listed(map(_entity, incident.entities), incident.entities_left_out),
        "Techniques": _listed(
            " ".join(filter(None, (one.technique, one.name))) for one in incident.techniques
        ),
        "Cluster": incident.cluster,
        "Alerts": _counts(incident),
        "State": _state(incident),
        "First seen": incident.first_seen,
        "Last seen": incident.last_seen,
        "Careful": ""
        if incident.authenticated
        else "some of it comes from senders without a credential and may be forged",
    }
    return Brief(
        severity=incident.severity,
        headline=_headline(message, incident.title),
        text=incident.story or incident.title,
        facts={label: value for label, value in known.items() if value},
        lines=_alert_lines(message),
        left_out=_alerts_left_out(message),
        origin=f"incident {incident.id}",
        link=incident_link(dashboard_url, incident.id) if dashboard_url else None,
    )


def _of_many(message: Message, dashboard_url: str | None) -> Brief:
    count = len(message.subjects) + message.subjects_left_out
    alerts = len(message.alerts) + message.alerts_left_out
    many = "more than is told one by one" if message.reason == "storm" else "what came in"
    shown = message.subjects[: 2 * _LISTED]
    return Brief(
        severity=message.severity,
        headline=f"[{message.severity}] {count} incidents and single alerts: {many}",
        text=f"{alerts} alerts of {count} incidents, rules or single alerts are told together.",
        facts={"Time": _stamp(message.now)},
        lines=tuple(_subject_line(subject, dashboard_url) for subject in shown),
        left_out=count - len(shown),
        origin="all of it is in `tocsin incidents` and `tocsin alerts`",
        link=f"{dashboard_url.rstrip('/')}/incidents" if dashboard_url else None,
    )


def _headline(message: Message, title: str) -> str:
    return f"[{message.severity}] {_REASONS[message.reason]}{title}"


def _subject_line(subject: Subject, dashboard_url: str | None) -> str:
    count = f" ({subject.alerts} alerts)" if subject.alerts > 1 else ""
    line = f"[{subject.severity}] {subject.title}{count}"
    if dashboard_url and subject.incident is not None:
        return f"{line} {incident_link(dashboard_url, subject.incident.id)}"
    return line


def _alert_lines(message: Message) -> tuple[str, ...]:
    return tuple(
        f"{alert.time[:19]}Z [{alert.rule.severity}] {alert.description or alert.rule.title}"
        for alert in message.alerts[:_LISTED]
    )


def _alerts_left_out(message: Message) -> int:
    return max(len(message.alerts) - _LISTED, 0) + message.alerts_left_out


def _entity(entity: Entity) -> str:
    place = f"{entity.namespace}/" if entity.namespace else ""
    return f"{entity.kind} {place}{entity.name}"


def _counts(incident: Incident) -> str:
    counts = incident.alert_counts
    each = [f"{counts[one]} {one}" for one in reversed(SEVERITIES) if counts.get(one)]
    return f"{incident.alerts} ({', '.join(each)})" if each else ""


def _state(incident: Incident) -> str:
    parts = (incident.state, incident.verdict, incident.owner and f"owner {incident.owner}")
    return ", ".join(part for part in parts if part)


def _listed(texts: Iterable[str | None], left_out: int = 0) -> str:
    """Return distinct texts in one line, with how many more there are."""
    found = list(dict.fromkeys(text for text in texts if text))
    more = max(len(found) - _LISTED, 0) + left_out
    line = ", ".join(found[:_LISTED])
    return f"{line} and {more} more" if more else line


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
