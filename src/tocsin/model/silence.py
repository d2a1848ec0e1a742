"""Silences: alerts that nobody wants to be told of for a while, with who said so and why.

Pure: whether a silence hides an alert is told by the alert and the time alone.
"""

from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

from tocsin.model.alert import Alert
from tocsin.model.errors import TocsinError
from tocsin.model.matcher import MAX_TEXT, Matcher, check, hides

DEFAULT_SECONDS = 86400.0
MAX_SECONDS = 90 * 86400.0
MAX_ACTIVE = 500

SUPPRESSED = "suppress"
"""What stands in `hidden_by` of an alert that its rule's suppression hid."""

State = Literal["active", "ended", "expired"]


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A silence; times are seconds since the epoch.

    Attributes:
        id: its number; 0 until it is stored.
        matcher: which alerts it hides.
        owner: who answers for it.
        reason: why.
        created: when it was made.
        expires: when it ends by itself.
        ended: when somebody ended it before.
        ended_by: who did.
        hidden: how many alerts it has hidden.
    """

    id: int = 0
    matcher: Matcher
    owner: str
    reason: str
    created: float
    expires: float
    ended: float | None = None
    ended_by: str | None = None
    hidden: int = 0

    @property
    def mark(self) -> str:
        """What stands in `hidden_by` of alerts that it hid."""
        return f"silence:{self.id}"

    def state(self, now: float) -> State:
        """Return whether it hides alerts now, was ended, or is over."""
        if self.ended is not None:
            return "ended"
        return "active" if now < self.expires else "expired"


class HiddenCount(msgspec.Struct, frozen=True):
    """How many alerts of a rule were hidden by one silence or by suppression, and when last."""

    hidden_by: str
    rule_id: str
    count: int
    last: float


class SilenceStore(Protocol):
    """Keeps silences, and counts what was hidden."""

    def add(self, silence: Silence) -> Silence:
        """Store a silence and return it with its number.

        Raises:
            TocsinError: too many are active.
        """
        ...

    def silence(self, number: int) -> Silence | None:
        """Return a silence, or None."""
        ...

    def silences(self) -> list[Silence]:
        """Return all silences, the newest first."""
        ...

    def active(self, now: float) -> list[Silence]:
        """Return the silences that hide alerts now, the oldest first."""
        ...

    def end(self, number: int, who: str, now: float) -> Silence:
        """End a silence before its time; one that is over stays as it is.

        Raises:
            TocsinError: there is no such silence.
        """
        ...

    def hidden(self) -> list[HiddenCount]:
        """Return how many alerts were hidden, by what hid them and by rule."""
        ...


def new_silence(
    matcher: Matcher, owner: str, reason: str, now: float, seconds: float = DEFAULT_SECONDS
) -> Silence:
    """Return a silence that begins now.

    Raises:
        TocsinError: it says too little or means too much; the sentence says what to change.
    """
    check(matcher)
    reason, owner = reason.strip(), owner.strip()
    if not reason:
        message = "a silence needs a reason: say why these alerts may be hidden"
        raise TocsinError(message)
    if not owner:
        message = "a silence needs an owner: say who answers for it"
        raise TocsinError(message)
    if max(len(reason), len(owner)) > MAX_TEXT:
        message = f"reason and owner of a silence have at most {MAX_TEXT} characters"
        raise TocsinError(message)
    if not 0 < seconds <= MAX_SECONDS:
        message = f"a silence lasts more than 0 and at most {MAX_SECONDS / 86400:.0f} days"
        raise TocsinError(message)
    return Silence(matcher=matcher, owner=owner, reason=reason, created=now, expires=now + seconds)


def silence_of(alert: Alert, silences: Iterable[Silence], now: float) -> Silence | None:
    """Return the first of the silences that hides an alert now, or None."""
    return next(
        (one for one in silences if one.state(now) == "active" and hides(one.matcher, alert)), None
    )
