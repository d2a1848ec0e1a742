"""The generic webhook: incidents and alerts as JSON, signed, for whatever one wants to attach."""

import hashlib
import hmac
from typing import Annotated, Any, ClassVar

import msgspec

from tocsin.model.outbox import incident_of_key
from tocsin.notify.base import HttpRequest, HttpSettings, NotifierInfo
from tocsin.notify.brief import brief
from tocsin.notify.http import Poster
from tocsin.notify.message import Message, Subject


class WebhookSettings(HttpSettings, frozen=True, kw_only=True, tag_field="type", tag="webhook"):
    """Settings of a generic webhook; the receiver checks the signature with the same secret."""

    secret: Annotated[str, msgspec.Meta(min_length=16)]


class Webhook:
    """Posts `{"type": "notification", "incident": {...}, "alerts": [{...}], ...}`.

    `X-Tocsin-Signature: t=<unix seconds>,v1=<hex>` is the HMAC-SHA256 of `<t>.<body>`: the time
    is signed too, so that an old message cannot be replayed. `X-Tocsin-Delivery` stays the same
    over retries.
    """

    info: ClassVar = NotifierInfo(
        name="webhook",
        description="Signed JSON to any HTTP endpoint",
        settings=WebhookSettings,
        whole=True,
        ends=True,
    )

    def __init__(self, name: str, settings: WebhookSettings) -> None:
        self.name = name
        self.settings = settings

    def transport(self) -> Poster:
        """Return what carries the requests."""
        return Poster(self.name, self.settings)

    def request(self, message: Message) -> HttpRequest:
        """Return the signed request."""
        told = brief(message, self.settings.dashboard_url)
        body = msgspec.json.encode(
            {
                "type": "notification",
                "reason": message.reason,
                "severity": message.severity,
                "title": told.headline,
                "link": told.link,
                "incident": message.incident,
                "subjects": [_subject(subject, message) for subject in message.subjects],
                "alerts": message.alerts,
            }
        )
        moment = int(message.now)
        signature = sign(self.settings.secret, moment, body)
        headers = {
            "X-Tocsin-Signature": f"t={moment},v1={signature}",
            "X-Tocsin-Delivery": message.id,
        }
        return HttpRequest(self.settings.url, body, headers)


def _subject(subject: Subject, message: Message) -> dict[str, Any]:
    pairs = zip(message.keys, message.alerts, strict=True)
    return {
        "title": subject.title,
        "severity": subject.severity,
        "incident": incident_of_key(subject.key),
        "alerts": [alert.id for key, alert in pairs if key == subject.key],
    }


def sign(secret: str, moment: int, body: bytes) -> str:
    """Return the signature that a receiver computes as well."""
    return hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
