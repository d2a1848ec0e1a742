"""Message templates: text with `$(field)` placeholders.

Event text that is filled in stays text: it is never looked at for further placeholders.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

# Enough for a line in a chat; what is cut off is in the event itself.
MAX_VALUE = 512


def placeholders(template: str) -> list[str]:
    """Return the field names that a template refers to, in order."""
    return [name for _, name in _parts(template) if name]


def fill(template: str, read: Callable[[str], Sequence[str]]) -> str:
    """Return the template with each placeholder replaced by its values, joined by commas.

    Args:
        template: text with `$(field)` placeholders.
        read: returns the texts of a field; a field without any shows as `-`.
    """
    return "".join(
        text + (shorten(", ".join(read(name))) or "-" if name else "")
        for text, name in _parts(template)
    )


def shorten(text: str) -> str:
    """Return `text`, cut to what a person reads, with a mark where it was cut."""
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


@lru_cache(maxsize=4096)
def _parts(template: str) -> tuple[tuple[str, str], ...]:
    """Return pairs of literal text and the field name after it; the last name is empty."""
    return tuple(_split(template))


def _split(template: str) -> Iterator[tuple[str, str]]:
    rest = template
    while True:
        before, opening, after = rest.partition("$(")
        name, closing, tail = after.partition(")")
        if not opening or not closing:
            yield rest, ""
            return
        yield before, name
        rest = tail
