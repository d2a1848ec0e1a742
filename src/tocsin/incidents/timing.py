"""How far apart alerts may be to belong together, in seconds of the events' own time."""

from datetime import UTC, datetime

# A pause of an hour ends what somebody was at.
WINDOW_SECONDS = 3600.0
# Tokens are valid for hours, and stolen ones are not always used at once.
HANDED_SECONDS = 86400.0
# API servers have clocks of their own, and a request may be recorded when it ends.
SLACK_SECONDS = 30.0
# Ordinary events around an attack are context only when they are close to it.
CONTEXT_SECONDS = 600.0


def seconds(time: str) -> float:
    """Return an alert's time as seconds since the epoch."""
    return datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp()
