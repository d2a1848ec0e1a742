"""The hits of one key of a correlation, in a window that slides with the events' own time."""

from bisect import insort
from collections.abc import Sequence
from operator import attrgetter

import msgspec

from tocsin.detect.correlate.measure import Hit, holds
from tocsin.rules.correlation import Correlation

# A hit may come so much later than others of its key, besides the length of the window.
LATENESS_SECONDS = 60.0
# Of one key so many hits are remembered at least, the latest, and twice the limit.
LEAST_HITS = 200

_time = attrgetter("time")


class Window(msgspec.Struct):
    """Hits in order of time; when a correlation began to hold, and on which request.

    Attributes:
        hits: those that later ones may belong together with.
        crossed: the request that completed the correlation last.
        holding: whether it still holds, so that it must end before it is told again.
    """

    hits: list[Hit] = []
    crossed: str = ""
    holding: bool = False

    def add(self, correlation: Correlation, hit: Hit) -> Sequence[Hit] | None:
        """Take a hit; return the hits of the window if it completed the correlation.

        The same request again has the same answer. A hit that comes too late is not counted.
        """
        if self.is_late(correlation, hit):
            return None
        if not self._is_known(hit):
            insort(self.hits, hit, key=_time)
            self._forget(correlation)
            self._judge(correlation, hit)
        if hit.request != self.crossed:
            return None
        return self._within(correlation, self._end(correlation, hit))

    def is_late(self, correlation: Correlation, hit: Hit) -> bool:
        """Return whether a hit comes later than is waited for."""
        newest = self.hits[-1].time if self.hits else hit.time
        return hit.time < newest - correlation.timespan - LATENESS_SECONDS

    def _is_known(self, hit: Hit) -> bool:
        return any(one.request == hit.request and one.rule == hit.rule for one in self.hits)

    def _forget(self, correlation: Correlation) -> None:
        oldest = self.hits[-1].time - correlation.timespan - LATENESS_SECONDS
        count = max(0, len(self.hits) - _room(correlation))
        while self.hits[count].time < oldest:
            count += 1
        del self.hits[:count]

    def _judge(self, correlation: Correlation, hit: Hit) -> None:
        held, self.holding = self.holding, False
        for end in self._ends(correlation, hit):
            if holds(correlation, self._within(correlation, end)):
                self.holding = True
                if not held:
                    self.crossed = hit.request
                return

    def _ends(self, correlation: Correlation, hit: Hit) -> list[float]:
        """Return the ends of the windows that a hit lies in: a late one may complete any."""
        last = hit.time + correlation.timespan
        return sorted({one.time for one in self.hits if hit.time <= one.time < last})

    def _end(self, correlation: Correlation, hit: Hit) -> float:
        ends = self._ends(correlation, hit) or [hit.time]
        held = (end for end in ends if holds(correlation, self._within(correlation, end)))
        return next(held, ends[-1])

    def _within(self, correlation: Correlation, end: float) -> list[Hit]:
        begin = end - correlation.timespan
        return [one for one in self.hits if begin < one.time <= end]


def _room(correlation: Correlation) -> int:
    limit = correlation.limit
    return max(LEAST_HITS, 2 * int(limit.number) if limit else 0)
