"""Slack incoming webhooks, also those of Mattermost and others that speak the same.

Event text goes into `plain_text` objects only, in which Slack interprets nothing, and is
escaped besides; so a pod named `<!channel>` calls nobody. The one link is ours.
"""

from typing import Any, ClassVar

import msgspec

from tocsin.notify.base import HttpRequest, HttpSettings, NotifierInfo
from tocsin.notify.brief import Brief, brief
from tocsin.notify.http import Poster
from tocsin.notify.message import Message
from tocsin.notify.text import fit

# Slack refuses a whole message when one of its texts is too long, or when there are too many.
_HEADER_CHARS = 150
_TEXT_CHARS = 3000
_VALUE_CHARS = 1900
_LINE_CHARS = 250


class SlackSettings(HttpSettings, frozen=True, tag_field="type", tag="slack"):
    """Settings of a Slack channel; `url` is the incoming webhook, which is a secret."""


class Slack:
    """Posts to an incoming webhook."""

    info: ClassVar = NotifierInfo(
        name="slack",
        description="Slack incoming webhook",
        settings=SlackSettings,
    )

    def __init__(self, name: str, settings: SlackSettings) -> None:
        self.name = name
        self.settings = settings

    def transport(self) -> Poster:
        """Return what carries the requests."""
        return Poster(self.name, self.settings)

    def request(self, message: Message) -> HttpRequest:
        """Return the message in Block Kit, with a plain summary for notifications."""
        told = brief(message, self.settings.dashboard_url)
        payload = {
            "text": _escaped(told.headline, _HEADER_CHARS),
            "mrkdwn": False,
            "parse": "none",
            "link_names": False,
            "unfurl_links": False,
            "unfurl_media": False,
            "blocks": [
                {"type": "header", "text": _plain(told.headline, _HEADER_CHARS)},
                {"type": "section", "text": _plain(told.text, _TEXT_CHARS)},
                {"type": "section", "fields": _fields(told)},
                *_lines(told),
                {"type": "context", "elements": [_plain(told.origin, _VALUE_CHARS)]},
                *_link(told),
            ],
        }
        return HttpRequest(self.settings.url, msgspec.json.encode(payload))


def _fields(told: Brief) -> list[dict[str, Any]]:
    return [_plain(f"{label}: {value}", _VALUE_CHARS) for label, value in told.facts.items()]


def _lines(told: Brief) -> list[dict[str, Any]]:
    """Return the lines as sections of their own: escaped, several would not fit into one."""
    lines = [*told.lines, told.more]
    return [{"type": "section", "text": _plain(line, _LINE_CHARS)} for line in lines if line]


def _link(told: Brief) -> list[dict[str, Any]]:
    if told.link is None:
        return []
    text = {"type": "mrkdwn", "text": f"<{told.link}|Open in Tocsin>", "verbatim": True}
    return [{"type": "section", "text": text}]


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _escaped(text, limit), "emoji": False}


def _escaped(text: str, limit: int) -> str:
    return fit(text, limit, _escape)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
