"""PagerDuty, Events API v2: an incident there for each incident here, resolved when it is closed.

The key by which PagerDuty recognises an incident is ours, so all news of an incident go to the
same one, and a message that is sent twice changes nothing.
"""

from typing import Any, ClassVar

import msgspec

from tocsin.model.alert import Severity
from tocsin.model.digest import digest
from tocsin.model.outbox import incident_of_key
from tocsin.notify.base import HttpRequest, HttpSettings, NotifierInfo
from tocsin.notify.brief import brief
from tocsin.notify.http import Poster
from tocsin.notify.message import Message
from tocsin.notify.text import fit

_SUMMARY_CHARS = 1024
_DETAIL_CHARS = 2000
_SEVERITIES: dict[Severity, str] = {
    "critical": "critical",
    "high": "error",
    "medium": "warning",
    "low": "info",
    "info": "info",
}


class PagerDutySettings(HttpSettings, frozen=True, kw_only=True, tag_field="type", tag="pagerduty"):
    """Settings of a PagerDuty service.

    Attributes:
        routing_key: the integration key of the service's Events API v2 integration; a secret.
        url: where events go; accounts in the EU use `events.eu.pagerduty.com`.
    """

    routing_key: str
    url: str = "https://events.pagerduty.com/v2/enqueue"


class PagerDuty:
    """Posts events that trigger and resolve."""

    info: ClassVar = NotifierInfo(
        name="pagerduty",
        description="PagerDuty, Events API v2",
        settings=PagerDutySettings,
        ends=True,
    )

    def __init__(self, name: str, settings: PagerDutySettings) -> None:
        self.name = name
        self.settings = settings

    def transport(self) -> Poster:
        """Return what carries the requests."""
        return Poster(self.name, self.settings)

    def request(self, message: Message) -> HttpRequest:
        """Return the event."""
        event: dict[str, Any] = {
            "routing_key": self.settings.routing_key,
            "event_action": "resolve" if message.ended else "trigger",
            "dedup_key": dedup_key(message),
        }
        if not message.ended:
            event |= self._details(message)
        return HttpRequest(self.settings.url, msgspec.json.encode(event))

    def _details(self, message: Message) -> dict[str, Any]:
        told = brief(message, self.settings.dashboard_url)
        details = {**told.facts, "Story": told.text, "Origin": told.origin}
        lines = [fit(line, _DETAIL_CHARS) for line in (*told.lines, told.more) if line]
        payload = {
            "summary": fit(told.headline, _SUMMARY_CHARS),
            "source": fit(_cluster(message), _DETAIL_CHARS),
            "severity": _SEVERITIES[message.severity],
            "component": "kubernetes",
            "class": message.reason,
            "custom_details": {
                **{label: fit(value, _DETAIL_CHARS) for label, value in details.items()},
                **({"New alerts": lines} if lines else {}),
            },
        }
        links = [{"href": told.link, "text": "Open in Tocsin"}] if told.link else []
        return {"payload": payload, "client": "Tocsin", "links": links}


def dedup_key(message: Message) -> str:
    """Return the key: the incident's id, or a digest where there is none."""
    if not message.is_single:
        return digest("together", message.id)
    key = message.subjects[0].key
    return incident_of_key(key) or digest("topic", key)


def _cluster(message: Message) -> str:
    if message.incident is not None:
        return message.incident.cluster
    clusters = {alert.cluster for alert in message.alerts}
    return clusters.pop() if len(clusters) == 1 else "tocsin"
