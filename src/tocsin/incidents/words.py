"""Numbers, lengths of time and lists, as people write them."""

from collections.abc import Sequence

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def counted(count: int, noun: str) -> str:
    """Return `one alert`, `12 alerts`."""
    number = NUMBERS[count] if count < len(NUMBERS) else f"{count:,}"
    return f"{number} {noun}" if count == 1 else f"{number} {noun}s"


def among(text: str, count: int) -> str:
    """Return the text, with `(the first of five such alerts)` after it if there are more."""
    if count <= 1:
        return text
    note = f"the first of {counted(count, 'such alert')}"
    return f"{text[:-1]}; {note})" if text.endswith(")") else f"{text} ({note})"


def length(seconds: float) -> str:
    """Return a length of time in its largest unit: `nine seconds`, `two hours`."""
    for size, unit in _UNITS:
        if seconds >= size:
            return counted(round(seconds / size), unit)
    return "a second"


def joined(parts: Sequence[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    *first, last = parts or ("",)
    return f"{', '.join(first)} and {last}" if first else last
