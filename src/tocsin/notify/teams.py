"""Microsoft Teams: a card for a channel's or chat's incoming webhook, made with Workflows.

Event text goes into text runs only, in which Teams interprets no Markdown; text blocks, fact
sets and action titles would. Nobody is mentioned: mentions need entities, and there are none.
"""

from typing import Any, ClassVar

import msgspec

from tocsin.model.alert import Severity
from tocsin.notify.base import HttpRequest, HttpSettings, NotifierInfo
from tocsin.notify.brief import Brief, brief
from tocsin.notify.http import Poster
from tocsin.notify.message import Message
from tocsin.notify.text import fit

# Teams refuses messages of more than 28 KB.
_HEADLINE_CHARS = 200
_TEXT_CHARS = 2000
_VALUE_CHARS = 400
_LINE_CHARS = 300
_COLOURS: dict[Severity, str] = {
    "critical": "attention",
    "high": "attention",
    "medium": "warning",
    "low": "accent",
    "info": "default",
}


class TeamsSettings(HttpSettings, frozen=True, tag_field="type", tag="teams"):
    """Settings of a Teams channel; `url` is the workflow's address, which is a secret."""


class Teams:
    """Posts an adaptive card."""

    info: ClassVar = NotifierInfo(
        name="teams",
        description="Microsoft Teams, by a Workflows webhook",
        settings=TeamsSettings,
    )

    def __init__(self, name: str, settings: TeamsSettings) -> None:
        self.name = name
        self.settings = settings

    def transport(self) -> Poster:
        """Return what carries the requests."""
        return Poster(self.name, self.settings)

    def request(self, message: Message) -> HttpRequest:
        """Return the message with one card."""
        card = _card(brief(message, self.settings.dashboard_url))
        attachment = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": card,
        }
        payload = {"type": "message", "attachments": [attachment]}
        return HttpRequest(self.settings.url, msgspec.json.encode(payload))


def _card(told: Brief) -> dict[str, Any]:
    headline = _run(told.headline, _HEADLINE_CHARS)
    headline |= {"weight": "bolder", "size": "large", "color": _COLOURS[told.severity]}
    facts = [
        _block({**_run(f"{label}: ", _VALUE_CHARS), "weight": "bolder"}, _run(value, _VALUE_CHARS))
        for label, value in told.facts.items()
    ]
    lines = [_block(_run(line, _LINE_CHARS)) for line in (*told.lines, told.more) if line]
    origin = {**_run(told.origin, _VALUE_CHARS), "isSubtle": True, "size": "small"}
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _block(headline),
            _block(_run(told.text, _TEXT_CHARS)),
            *facts,
            *lines,
            _block(origin),
        ],
    }
    if told.link is not None:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in Tocsin", "url": told.link}]
    return card


def _block(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, limit: int) -> dict[str, Any]:
    return {"type": "TextRun", "text": _literal(fit(text, limit))}


def _literal(text: str) -> str:
    """Return the text with its double braces parted by a joiner that has no width.

    Cards replace `{{DATE(…)}}` and `{{TIME(…)}}` in texts.
    """
    return text.replace("{{", "{\u2060{")
