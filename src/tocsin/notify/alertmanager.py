"""Prometheus Alertmanager: alerts join the routing, grouping and silences a team already has.

Labels say who and what, because routes and silences match on them; annotations carry the prose.
`alert_id` is a label too: Alertmanager takes alerts with equal labels for one, and a second
attack of the same kind would otherwise be silent. Group by `incident` to get one message.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from tocsin.model.alert import Alert
from tocsin.notify.base import HttpRequest, HttpSettings, NotifierInfo, Pause
from tocsin.notify.http import Poster
from tocsin.notify.message import Message
from tocsin.notify.text import facts, fit
from tocsin.notify.urls import alert_link

_LABEL_CHARS = 200
_ANNOTATION_CHARS = 2000
_PATH = "/api/v2/alerts"
_FIRING_SECONDS = 86400.0


class AlertmanagerSettings(
    HttpSettings, frozen=True, kw_only=True, tag_field="type", tag="alertmanager"
):
    """Settings of an Alertmanager; `url` is its address without `/api/v2/alerts`.

    It groups by itself, so nothing waits here.
    """

    group_wait: Pause = 0.0
    group_interval: Pause = 0.0


class Alertmanager:
    """Posts to `/api/v2/alerts`.

    An alert of an incident fires until the incident is closed, a day at most. Any other has no
    end: Alertmanager counts it as resolved after its own `resolve_timeout`.
    """

    info: ClassVar = NotifierInfo(
        name="alertmanager",
        description="Prometheus Alertmanager, API v2",
        settings=AlertmanagerSettings,
        whole=True,
        ends=True,
        retells=True,
    )

    def __init__(self, name: str, settings: AlertmanagerSettings) -> None:
        self.name = name
        self.settings = settings

    def transport(self) -> Poster:
        """Return what carries the requests."""
        return Poster(self.name, self.settings)

    def request(self, message: Message) -> HttpRequest:
        """Return the request that adds the alerts, or ends them."""
        moment = message.now if message.ended else message.now + _FIRING_SECONDS
        end = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        entries = [
            self._entry(alert, incident, end) for alert, incident in message.alerts_with_incidents
        ]
        url = self.settings.url.rstrip("/")
        return HttpRequest(url + _PATH, msgspec.json.encode(entries))

    def _entry(self, alert: Alert, incident: str | None, end: str) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "labels": _labels(alert, incident),
            "annotations": _annotations(alert),
            "startsAt": alert.time,
        }
        # An end before the start, by a clock that is wrong, would have all of them refused.
        if incident is not None and end > alert.time:
            entry["endsAt"] = end
        if self.settings.dashboard_url is not None:
            entry["generatorURL"] = alert_link(self.settings.dashboard_url, alert.id)
        return entry


def _labels(alert: Alert, incident: str | None) -> dict[str, str]:
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
        "incident": incident,
    }
    return {name: fit(value, _LABEL_CHARS) for name, value in labels.items() if value}


def _annotations(alert: Alert) -> dict[str, str]:
    summary = ", ".join(f"{label}: {value}" for label, value in facts(alert).items())
    return {
        "summary": fit(summary, _ANNOTATION_CHARS),
        "description": fit(alert.description, _ANNOTATION_CHARS),
    }
