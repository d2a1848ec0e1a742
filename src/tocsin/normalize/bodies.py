"""Decode the request and response bodies of events, when a rule asks for them."""

import msgspec

from tocsin.model.event import NO_USER
from tocsin.normalize.batch import Batch, Reject
from tocsin.normalize.refusals import REFUSALS, sentence

# Decoded bodies that are kept while their batch is evaluated; they take some ten times the room.
MAX_KEPT_BYTES = 4 * 1024 * 1024
MAX_KEPT_BODIES = 512

# Floats keep their text: 1e999 must not become infinite, nor 0.1 something else.
_decode_body = msgspec.json.Decoder(float_hook=str).decode


class BodyDecoder:
    """Decodes request and response bodies on demand; total, and counts what it cannot read.

    The typed decoder has checked a body's syntax already. What is left to fail is a number
    of thousands of digits. The bodies of a batch are remembered, because the alert on an event
    reads what its rules have read; nobody changes them.
    """

    def __init__(self) -> None:
        self.failures = 0
        # By identity, which is unique as long as the raw body is kept beside its value.
        self._known: dict[int, tuple[msgspec.Raw, object]] = {}
        self._kept_bytes = 0

    def __call__(self, raw: msgspec.Raw) -> object:
        """Return the JSON values of a body, None if they cannot be read."""
        known = self._known.get(id(raw))
        if known is not None:
            return known[1]
        value = self._decode(raw)
        self._kept_bytes += len(raw)
        if self._kept_bytes > MAX_KEPT_BYTES or len(self._known) >= MAX_KEPT_BODIES:
            self.forget()
            self._kept_bytes = len(raw)
        self._known[id(raw)] = (raw, value)
        return value

    def forget(self) -> None:
        """Let go of all bodies; call it when a batch is done, as they keep its bytes alive."""
        self._known.clear()
        self._kept_bytes = 0

    def _decode(self, raw: msgspec.Raw) -> object:
        try:
            return _decode_body(raw)
        except REFUSALS:
            self.failures += 1
            return None


def unreadable_bodies(batch: Batch) -> list[Reject]:
    """Return a reject for each event of which a body or map cannot be read, with the reason."""
    rejects = []
    for event, raw in zip(batch.events, batch.slices(), strict=True):
        extra = (event.user or NO_USER).extra
        for body in (event.request_object, event.response_object, event.annotations, extra):
            try:
                if body:
                    _decode_body(body)
            except REFUSALS as error:
                rejects.append(Reject(f"body cannot be read: {sentence(error)}", bytes(raw)))
    return rejects
