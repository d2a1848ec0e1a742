"""The generic webhook: the alert as JSON, signed, for whatever the operator wants to attach."""

import hashlib
import hmac
from typing import Annotated, ClassVar

import msgspec

from tocsin.notify.base import ChannelSettings, HttpRequest, Message, NotifierInfo


class WebhookSettings(ChannelSettings, frozen=True, tag_field="type", tag="webhook"):
    """Settings of a generic webhook; the receiver checks the signature with the same secret."""

    secret: Annotated[str, msgspec.Meta(min_length=16)]


class Webhook:
    """Posts `{"type": "alert", "alert": {...}}`.

    `X-Tocsin-Signature: t=<unix seconds>,v1=<hex>` is the HMAC-SHA256 of `<t>.<body>`: the time
    is signed too, so that an old message cannot be replayed. `X-Tocsin-Delivery` stays the same
    over retries.
    """

    info: ClassVar = NotifierInfo(
        name="webhook",
        description="Signed JSON to any HTTP endpoint",
        settings=WebhookSettings,
    )

    def __init__(self, name: str, settings: WebhookSettings) -> None:
        self.name = name
        self.settings = settings

    def request(self, message: Message) -> HttpRequest:
        """Return the signed request."""
        body = msgspec.json.encode({"type": "alert", "alert": message.alert})
        moment = int(message.now)
        signature = sign(self.settings.secret, moment, body)
        headers = {
            "X-Tocsin-Signature": f"t={moment},v1={signature}",
            "X-Tocsin-Delivery": message.id,
        }
        return HttpRequest(self.settings.url, body, headers)


def sign(secret: str, moment: int, body: bytes) -> str:
    """Return the signature that a receiver computes as well."""
    return hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
