"""Outages of the line to one API server, and what of its events is missing since.

An API server keeps what it cannot deliver for a while and then gives it up, so an outage is no
loss yet. Its events carry their times: once the late ones are in, a stretch of time in which
there is none is what got lost. What arrives later by another way shortens it.
"""

from typing import NamedTuple

import msgspec

from tocsin.lifeline.track import Track

# Batches come out of order: what was sent shortly before the outage may be missing as well.
_LEAD_SECONDS = 60
# A stretch without events is missing ones only if it is longer than this, and than half as long
# again as the longest before.
_LEAST_SECONDS = 2
_FACTOR = 1.5
# Of a line that is known for less than ten minutes nobody knows what is usual.
_KNOWN_SECONDS = 600
_UNKNOWN_PAUSE = 6
KEEP_SECONDS = 7 * 86400.0


class Outage(msgspec.Struct):
    """A time in which nothing came from an API server, by any way.

    Attributes:
        start: when the last post before it came.
        end: when the first post after it came.
        usual: the longest stretch without events in the hour before that, in seconds.
        away: whether Tocsin was started anew meanwhile.
        track: which seconds had events, from shortly before the outage to its end.
    """

    start: float
    end: float
    usual: int
    away: bool
    track: Track


class Missing(NamedTuple):
    """The stretches of time without events, and their length together, in seconds."""

    stretches: list[tuple[int, int]]
    seconds: int


def open_outage(start: float, end: float, recent: Track, *, away: bool) -> Outage:
    """Return the outage between two posts, with the events that came before it.

    Args:
        start: when the last post came.
        end: when the next one came.
        recent: the seconds with events up to `start`.
        away: whether Tocsin was started anew meanwhile.
    """
    first, last = recent.first(), recent.last_before(int(start) + 1)
    begin, usual = int(start), recent.longest_pause(int(start) - _LEAD_SECONDS)
    if first is None or start - first < _KNOWN_SECONDS:
        usual = max(usual, _UNKNOWN_PAUSE)
    if first is not None and last is not None:
        # Before the first event nobody listened.
        begin = max(min(begin - _LEAD_SECONDS, last), first)
    track = Track.over(begin, int(end))
    for index, seen in enumerate(recent.seen):
        if seen:
            track.mark(recent.origin + index * recent.step)
    return Outage(start, end, usual, away, track)


def missing(outage: Outage) -> Missing:
    """Return the stretches of the outage of which events must be missing."""
    least = max(_LEAST_SECONDS, _FACTOR * outage.usual)
    stretches = [(start, end) for start, end in outage.track.pauses() if end - start > least]
    return Missing(stretches, sum(end - start for start, end in stretches))


def is_over(outage: Outage, now: float, settle: float) -> bool:
    """Return whether nobody needs the outage any more: nothing is missing, or it is long ago."""
    age = now - outage.end
    return age > KEEP_SECONDS or (age > settle and not missing(outage).stretches)
