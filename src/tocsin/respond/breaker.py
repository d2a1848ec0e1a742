"""The circuit breaker: so many responses asked for at once are a storm, or an attack on us.

Pure. While it is open nothing is done by itself; what a person approves still is.
"""

from collections import deque

from tocsin.respond.settings import Limits


class Breaker:
    """Counts what is asked for, by its time; times must not run backwards."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._asked: deque[float] = deque(maxlen=limits.storm_alerts)
        self.open_until = 0.0

    def ask(self, now: float) -> bool:
        """Count one more; return whether this opened it, which people are told once."""
        self._asked.append(now)
        if now < self.open_until or not self._is_storm(now):
            return False
        self.open_until = now + self._limits.breaker_seconds
        return True

    def _is_storm(self, now: float) -> bool:
        full = len(self._asked) == self._limits.storm_alerts
        return full and now - self._asked[0] <= self._limits.storm_window_seconds
