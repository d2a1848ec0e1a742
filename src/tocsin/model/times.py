"""Lengths of time and moments as people write them: `30m`, `24h`, `7d`, or an RFC 3339 time."""

import contextlib
from datetime import UTC, datetime, timedelta

from tocsin.model.errors import TocsinError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str, option: str) -> timedelta:
    """Return the time that `30m`, `24h`, `7d`, `2w` or `0` means.

    Raises:
        TocsinError: it means none; the message names `option`.
    """
    unit = _UNITS.get(text[-1:])
    try:
        amount = float(text[:-1] if unit else text)
        duration = timedelta(**{unit or "seconds": amount})
    except (ValueError, OverflowError):
        duration = timedelta(-1)
    if duration < timedelta(0) or (duration and not unit):
        message = f"{option} {text!r} is no length of time such as 30m, 24h or 7d"
        raise TocsinError(message)
    return duration


def parse_moment(text: str, now: datetime, option: str) -> datetime:
    """Return the moment that an age (`30m`, `24h`, `7d`, `2w`) or an RFC 3339 time means.

    Raises:
        TocsinError: it is none of these; the message names `option`.
    """
    with contextlib.suppress(TocsinError, OverflowError):
        return now - parse_duration(text, option)
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        message = f"{option} {text!r} is neither an age (30m, 24h, 7d) nor a time (RFC 3339)"
        raise TocsinError(message) from error
