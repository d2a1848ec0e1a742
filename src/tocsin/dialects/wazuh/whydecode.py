"""Which decoders were tried for a log, in order, and what stopped each of them."""

from contextlib import suppress
from dataclasses import dataclass

from tocsin.dialects.wazuh.decode import Decoders
from tocsin.dialects.wazuh.decoders import Decoder
from tocsin.dialects.wazuh.expressions import BudgetSpent
from tocsin.dialects.wazuh.why import Stop, asked, text_seen


@dataclass(frozen=True, slots=True)
class TriedDecoder:
    """A decoder that was looked at; `stopped` is None if it fitted."""

    decoder: Decoder
    stopped: Stop | None


def tried_decoders(decoders: Decoders, log: bytes) -> list[TriedDecoder]:
    """Return the decoders that a log without a header met, up to the one that gave the fields."""
    tried: list[TriedDecoder] = []

    def look(decoder: Decoder, element: str, text: bytes, fits: bool) -> None:  # noqa: FBT001 - the shape of an onlooker
        expression = decoder.prematch if element == "prematch" else decoder.regex
        stopped = None
        if not fits and expression is not None:
            seen = text_seen("the log", expression, text)
            stopped = Stop(element, asked(expression), seen)
        tried.append(TriedDecoder(decoder, stopped))

    with suppress(BudgetSpent):
        decoders.decode(log.partition(b"\0")[0], look=look)
    return tried
