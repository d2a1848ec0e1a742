import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.runtime.spooled import post, spool
from tocsin.model.events import EventFilter, EventKey, FoundEvent
from tocsin.model.ports import StoreUnavailable
from tocsin.runtime.eventlog import thread as module
from tocsin.runtime.eventlog.thread import NICE, SearchThread


def test_it_answers_as_the_log_does(tmp_path: Path) -> None:
    log = spool(tmp_path, post({"auditID": "a1"}, {"auditID": "a2"}))
    thread = SearchThread(log)
    found = log.event(EventKey(1, 0))
    assert found is not None
    assert thread.event(EventKey(1, 0)) == found
    assert thread.page(EventFilter(), 50) == log.page(EventFilter(), 50)
    assert [*thread.search(EventFilter())] == [*log.search(EventFilter())]
    moment = datetime.fromtimestamp(found.received, UTC)
    assert thread.find("default", found.digest, moment) == found
    thread.close()


class _Slow:
    """A log whose search waits until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.nice = 0

    def event(self, _: EventKey) -> FoundEvent | None:
        self.nice = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        self.go.wait()
        return None


def test_one_at_a_time_at_low_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    slow = _Slow()
    thread = SearchThread(slow)  # type: ignore[arg-type]
    try:
        with pytest.raises(StoreUnavailable, match="try again"):
            thread.event(EventKey(1, 0))
        assert slow.nice >= NICE
    finally:
        slow.go.set()
        thread.close()
