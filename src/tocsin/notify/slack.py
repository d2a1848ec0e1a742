"""Slack incoming webhooks, also those of Mattermost and others that speak the same.

Event text goes into `plain_text` objects only, in which Slack interprets nothing, and is
escaped besides; so a pod named `<!channel>` calls nobody. The one link is ours.
"""

from typing import Any, ClassVar

import msgspec

from tocsin.model.alert import Alert
from tocsin.notify.base import ChannelSettings, HttpRequest, Message, NotifierInfo
from tocsin.notify.text import facts, fit
from tocsin.notify.urls import alert_link

# Slack refuses a whole message when one of its texts is too long.
_HEADER_CHARS = 150
_TEXT_CHARS = 3000
_VALUE_CHARS = 1900


class SlackSettings(ChannelSettings, frozen=True, tag_field="type", tag="slack"):
    """Settings of a Slack channel; `url` is the incoming webhook, which is a secret."""


class Slack:
    """Posts one message per alert."""

    info: ClassVar = NotifierInfo(
        name="slack",
        description="Slack incoming webhook",
        settings=SlackSettings,
    )

    def __init__(self, name: str, settings: SlackSettings) -> None:
        self.name = name
        self.settings = settings

    def request(self, message: Message) -> HttpRequest:
        """Return the message in Block Kit, with a plain summary for notifications."""
        alert = message.alert
        headline = f"[{alert.rule.severity}] {alert.rule.title}"
        payload = {
            "text": _escaped(headline, _HEADER_CHARS),
            "mrkdwn": False,
            "parse": "none",
            "link_names": False,
            "unfurl_links": False,
            "unfurl_media": False,
            "blocks": [
                {"type": "header", "text": _plain(headline, _HEADER_CHARS)},
                {"type": "section", "text": _plain(alert.description or headline, _TEXT_CHARS)},
                {"type": "section", "fields": _fields(alert)},
                {"type": "context", "elements": [_plain(_origin(alert), _VALUE_CHARS)]},
                *self._link(alert),
            ],
        }
        return HttpRequest(self.settings.url, msgspec.json.encode(payload))

    def _link(self, alert: Alert) -> list[dict[str, Any]]:
        if self.settings.dashboard_url is None:
            return []
        link = alert_link(self.settings.dashboard_url, alert.id)
        text = {"type": "mrkdwn", "text": f"<{link}|Open in Tocsin>", "verbatim": True}
        return [{"type": "section", "text": text}]


def _fields(alert: Alert) -> list[dict[str, Any]]:
    return [_plain(f"{label}: {value}", _VALUE_CHARS) for label, value in facts(alert).items()]


def _origin(alert: Alert) -> str:
    techniques = " ".join(attack.technique for attack in alert.rule.attack)
    return f"rule {alert.rule.id} ({alert.rule.dialect}) {techniques} alert {alert.id}"


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _escaped(text, limit), "emoji": False}


def _escaped(text: str, limit: int) -> str:
    return fit(text, limit, _escape)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
