"""Read the times of the day and the days of the week of a rule."""

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_GROUPS = {"weekdays": range(5), "weekends": range(5, 7)}
_SHORTEST_NAME = 3
_MINUTES = 60
_HOURS = 24
_HALF_DAY = 12


def read_days(text: str) -> frozenset[int]:
    """Return the days of a list with commas or blanks; Monday is 0.

    Raises:
        ValueError: there is something else in it.
    """
    words = text.replace(",", " ").lower().split()
    if not words:
        message = "no day"
        raise ValueError(message)
    return frozenset(day for word in words for day in _days(word))


def read_times(text: str) -> tuple[int, int, bool]:
    """Return start and end in minutes of the day, and whether `!` turns them around.

    Raises:
        ValueError: it is not of the form `hh:mm - hh:mm`, with or without am and pm.
    """
    text = text.strip().lower()
    negated = text.startswith("!")
    start, dash, end = text.removeprefix("!").partition("-")
    if not dash:
        message = "two times have a dash between them"
        raise ValueError(message)
    return _minute(start), _minute(end), negated


def _days(word: str) -> range | tuple[int]:
    if word in _GROUPS:
        return _GROUPS[word]
    for number, day in enumerate(DAYS):
        if word in (day, day[:_SHORTEST_NAME]):
            return (number,)
    message = f"{word!r} is no day of the week"
    raise ValueError(message)


def _minute(text: str) -> int:
    text = text.strip()
    half = text[-2:] if text.endswith(("am", "pm")) else ""
    hour_text, _, minute_text = text.removesuffix(half).strip().partition(":")
    hour, minute = _number(hour_text), _number(minute_text or "0")
    if half:
        if hour > _HALF_DAY:
            message = f"there is no {text!r}"
            raise ValueError(message)
        hour = hour % _HALF_DAY + (_HALF_DAY if half == "pm" else 0)
    if hour >= _HOURS or minute >= _MINUTES:
        message = f"there is no {text!r}"
        raise ValueError(message)
    return hour * _MINUTES + minute


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        message = f"{text!r} is no number"
        raise ValueError(message)
    return int(text)
