"""What the three expression languages have in common: the shape of an answer."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Found:
    """A match. The text after it starts at `end + 1`; None: this language has no offsets.

    `end` is what Wazuh's engine returns, which is often not the last byte of the match.
    """

    end: int | None = None
    groups: tuple[bytes, ...] = ()


class Matcher(Protocol):
    """A compiled expression; the text is a value up to its first NUL."""

    def search(self, text: bytes) -> Found | None:
        """Return the match with its end and groups."""

    def matches(self, text: bytes) -> bool:
        """Return whether there is a match, which may cost far less than to tell where."""
