"""What an API server itself says it has lost: the growth of its own counters.

A counter starts at 0 with its process, so totals are kept for each start of an API server.
"""

from collections.abc import Mapping

import msgspec

# API servers of one cluster, with their former starts, that are told apart.
_MAX_STARTS = 32
# This long without further losses, and they are an episode of the past.
EPISODE_SECONDS = 3600.0


class Losses(msgspec.Struct, frozen=True):
    """What is known of a cluster's API servers.

    Attributes:
        totals: lost events by plugin, by the start of each API server.
        since: when the present episode of losses was noticed; 0 without one.
        last: when it was noticed last that more was lost.
        lost: events lost in this episode, by plugin.
    """

    totals: dict[str, dict[str, int]] = {}
    since: float = 0.0
    last: float = 0.0
    lost: dict[str, int] = {}

    def standing(self, now: float) -> bool:
        """Return whether the episode still goes on."""
        return bool(self.since) and now - self.last < EPISODE_SECONDS


def after_reading(known: Losses, start: str, totals: Mapping[str, int], now: float) -> Losses:
    """Return what is known once an API server's counters are read again.

    Args:
        known: what was known before.
        start: when the API server was started, as it says itself: tells it from others.
        totals: its lost events by plugin.
        now: epoch seconds.
    """
    # What was lost before anybody looked is nobody's news.
    before = known.totals.get(start, {} if known.totals else totals)
    grown = {
        plugin: total - before.get(plugin, 0)
        for plugin, total in totals.items()
        if total > before.get(plugin, 0)
    }
    others = {key: value for key, value in known.totals.items() if key != start}
    kept = dict(list(others.items())[-_MAX_STARTS + 1 :])
    current = {**kept, start: dict(totals)}
    if not grown:
        return msgspec.structs.replace(known, totals=current)
    former = known.lost if known.standing(now) else {}
    return Losses(
        totals=current,
        since=known.since if known.standing(now) else now,
        last=now,
        lost={plugin: former.get(plugin, 0) + grown.get(plugin, 0) for plugin in {*former, *grown}},
    )
