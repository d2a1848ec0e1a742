"""Names with `*` for any characters, compared in time that grows with the text only."""

from collections.abc import Iterable


def is_like(text: str, pattern: str) -> bool:
    """Return whether the whole text is as the pattern says."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    last = rest.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first):
        return False
    position = len(first)
    end = len(text) - len(last)
    for part in rest:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return text.endswith(last)


def is_any(text: str, patterns: Iterable[str]) -> bool:
    """Return whether the text is as one of the patterns says."""
    return any(is_like(text, pattern) for pattern in patterns)
