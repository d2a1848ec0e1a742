"""What the detector does for the store beside recording: forgetting, indexing, forecasting.

All of it in steps of some hundredths of a second, a few times a second at most, so that alerts
never wait for it.
"""

import time
from collections.abc import Callable

from tocsin.ingest.spool.retention import free_bytes
from tocsin.lifeline.conditions import FORGET_SECONDS
from tocsin.model.ports import Retention
from tocsin.runtime.capacity import complaint, forecast
from tocsin.runtime.config import Config
from tocsin.store.sqlite import SqliteStore

STEP_SECONDS = 0.2
ROUND_SECONDS = 3600.0
TEXT_STEP = 200

KIND = "store"
CAPACITY = "capacity"


class Upkeep:
    """Keeps a store within its limits and its text index up to date."""

    def __init__(
        self, config: Config, store: SqliteStore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        limits = config.alerts
        self._keep = Retention(limits.keep_days, limits.max_alerts, limits.max_bytes)
        self._folder = config.folder
        self._store = store
        self._clock = clock
        self._next_step = self._next_round = 0.0
        self._pruning = False

    def tend(self) -> None:
        """Do a step if it is time.

        Raises:
            StoreUnavailable: the store cannot be written now; nothing is lost by it.
        """
        now = self._clock()
        if now < self._next_step:
            return
        self._next_step = now + STEP_SECONDS
        if now >= self._next_round:
            self._next_round = now + ROUND_SECONDS
            self._pruning = True
            self._look_ahead(time.time())
            self._store.sources.forget(time.time() - FORGET_SECONDS)
            self._store.people.expire(time.time(), self._keep.keep_days)
        if self._pruning:
            self._pruning = self._store.prune(time.time(), self._keep)
        self._store.text.catch_up(TEXT_STEP)

    def _look_ahead(self, now: float) -> None:
        """Say among the health findings when the limits or the disk are too small."""
        found = forecast(self._store.usage(now), self._keep, free_bytes(self._folder), now)
        if message := complaint(found, self._keep):
            self._store.health.report(KIND, CAPACITY, message, now)
        else:
            self._store.health.clear(KIND, CAPACITY)
