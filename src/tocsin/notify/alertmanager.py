"""Prometheus Alertmanager: alerts join the routing, grouping and silences a team already has.

Labels say who and what, because routes and silences match on them; annotations carry the prose.
`alert_id` is a label too: Alertmanager takes alerts with equal labels for one, and a second
attack of the same kind would otherwise be silent. Group by `alertname` to get one message.
"""

from typing import ClassVar

import msgspec

from tocsin.model.alert import Alert
from tocsin.notify.base import ChannelSettings, HttpRequest, Message, NotifierInfo
from tocsin.notify.text import facts, fit
from tocsin.notify.urls import alert_link

_LABEL_CHARS = 200
_ANNOTATION_CHARS = 2000
_PATH = "/api/v2/alerts"


class AlertmanagerSettings(ChannelSettings, frozen=True, tag_field="type", tag="alertmanager"):
    """Settings of an Alertmanager; `url` is its address without `/api/v2/alerts`."""


class Alertmanager:
    """Posts to `/api/v2/alerts`.

    An alert of ours has no end: Alertmanager counts it as resolved after its own
    `resolve_timeout`.
    """

    info: ClassVar = NotifierInfo(
        name="alertmanager",
        description="Prometheus Alertmanager, API v2",
        settings=AlertmanagerSettings,
    )

    def __init__(self, name: str, settings: AlertmanagerSettings) -> None:
        self.name = name
        self.settings = settings

    def request(self, message: Message) -> HttpRequest:
        """Return the request that adds the alert."""
        alert = message.alert
        entry: dict[str, object] = {
            "labels": _labels(alert),
            "annotations": _annotations(alert),
            "startsAt": alert.time,
        }
        if self.settings.dashboard_url is not None:
            entry["generatorURL"] = alert_link(self.settings.dashboard_url, alert.id)
        url = self.settings.url.rstrip("/")
        return HttpRequest(url + _PATH, msgspec.json.encode([entry]))


def _labels(alert: Alert) -> dict[str, str]:
    labels = {
        "alertname": alert.rule.title,
        "severity": alert.rule.severity,
        "cluster": alert.cluster,
        "rule_id": alert.rule.id,
        "dialect": alert.rule.dialect,
        "source": alert.source,
        "namespace": alert.target.namespace,
        "resource": alert.target.resource,
        "verb": alert.target.verb,
        "user": alert.actor.user,
        "alert_id": alert.id,
    }
    return {name: fit(value, _LABEL_CHARS) for name, value in labels.items() if value}


def _annotations(alert: Alert) -> dict[str, str]:
    summary = ", ".join(f"{label}: {value}" for label, value in facts(alert).items())
    return {
        "summary": fit(summary, _ANNOTATION_CHARS),
        "description": fit(alert.description, _ANNOTATION_CHARS),
    }
