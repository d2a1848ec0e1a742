"""Searches one after the other in a thread of low priority, for a process that serves many.

However many people search, it takes one core at most, and the system gives that core to
whatever receives and evaluates events first. Who waits too long is told to try again.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from tocsin.model.events import EventFilter, EventKey, EventLog, EventPage, FoundEvent, Progress
from tocsin.model.ports import StoreUnavailable

# Less than what a page waits for.
WAIT_SECONDS = 1.3
NICE = 10

T = TypeVar("T")


class SearchThread:
    """An `EventLog` that does the work of another one in its thread."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._thread = ThreadPoolExecutor(1, "event-search", initializer=_step_back)

    def search(
        self, where: EventFilter, before: EventKey | None = None, after: int = 0
    ) -> Iterator[FoundEvent | Progress]:
        """Yield matching events; each step waits for its turn in the thread."""
        items = self._log.search(where, before, after)
        while (item := self._wait(lambda: next(items, None))) is not None:
            yield item

    def page(self, where: EventFilter, limit: int, before: EventKey | None = None) -> EventPage:
        """Return up to `limit` events, fewer when that takes longer than a person waits."""
        return self._wait(lambda: self._log.page(where, limit, before))

    def event(self, key: EventKey) -> FoundEvent | None:
        """Return the event at a key, None when it is not kept any more."""
        return self._wait(lambda: self._log.event(key))

    def find(
        self, cluster: str, digest: str, around: datetime, audit_id: str | None = None
    ) -> FoundEvent | None:
        """Return the event with this digest, None when it is not found in reasonable time."""
        return self._wait(lambda: self._log.find(cluster, digest, around, audit_id))

    def close(self) -> None:
        """Let the thread end; what waits is given up."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _wait(self, work: Callable[[], T]) -> T:
        """Return what `work` returns in the thread.

        Raises:
            StoreUnavailable: others are searching, and the turn did not come in time.
        """
        future = self._thread.submit(work)
        try:
            return future.result(WAIT_SECONDS)
        except TimeoutError as error:
            future.cancel()
            message = "others are searching events at this moment; try again"
            raise StoreUnavailable(message) from error


def _step_back() -> None:
    """Lower the priority of this thread; of Linux, whose threads have their own."""
    if hasattr(os, "setpriority") and hasattr(threading, "get_native_id"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
