"""Times as alerts have them: RFC 3339 in UTC with six digits."""

from datetime import UTC, datetime

# As Kubernetes writes times: 2026-11-23T10:45:16.123456Z.
_LENGTH = 27


def utc(text: str | None) -> str:
    """Return an event's time as RFC 3339 in UTC with six digits; the epoch if it has none."""
    text = text or ""
    try:
        moment = datetime.fromisoformat(text)
        if len(text) == _LENGTH and text[4] + text[7] + text[10] + text[26] == "--TZ":
            return text
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        moment = datetime.fromtimestamp(0, UTC)
    return _text(moment)


def seconds(text: str | None) -> float:
    """Return an event's time in seconds since the epoch; 0, long ago, if it has none."""
    return datetime.fromisoformat(utc(text)).timestamp()


def from_seconds(time: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC with six digits."""
    return _text(datetime.fromtimestamp(time, UTC))


def _text(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
