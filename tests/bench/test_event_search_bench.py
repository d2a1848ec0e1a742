"""Two million events on disk are searched while posts come in: first results, whole searches,
and what it does to acknowledgements.
"""

import json
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import PostMeta, SpoolHistory, SpoolSettings, SpoolWriter
from tocsin.model.events import EventFilter, FoundEvent
from tocsin.runtime.eventlog.log import SpoolEventLog
from tocsin.runtime.eventlog.thread import SearchThread
from tocsin.runtime.recording import NAMES, bodies, events

EVENTS = int(os.environ.get("SEARCH_EVENTS", "2_000_000"))
PER_POST = 400
POSTS_PER_SECOND = 10
SECONDS = 15
SEALER = Sealer(bytes(32))
SETTINGS = SpoolSettings(min_free_bytes=0, retain_bytes=1 << 40)
SEARCHES = {
    "a user among the newest": EventFilter(user="alice"),
    "a verb and a resource": EventFilter(verb="create", resource="pods"),
    "a text among the newest": EventFilter(text="hostPath"),
    "a text in the oldest post": EventFilter(text="needle-in-the-hay"),
    "a user that never came": EventFilter(user="nobody-at-all"),
    "a status that never came": EventFilter(code=418),
}


def post_bodies() -> Iterator[bytes]:
    """Yield posts of recorded events in random order; the first one has the needle."""
    known = [event for name in NAMES for body in bodies(name) for event in events(body)]
    chance = random.Random(1)
    for number in range(EVENTS // PER_POST):
        some = chance.choices(known, k=PER_POST)
        if number == 0:
            some[0] = some[0].replace(b'"auditID":"', b'"auditID":"needle-in-the-hay', 1)
        yield b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[%s]}' % b",".join(some)


def meta() -> PostMeta:
    return PostMeta("default", "cp-1", None, "webhook", int(time.time() * 1_000_000))


def search_for_ever(folder: Path, pipe: Connection) -> None:
    """Search all of the spool again and again, as a dashboard would that many people use."""
    log = SearchThread(SpoolEventLog(SpoolHistory(folder, SEALER)))
    pipe.send_bytes(b"ready")
    while not pipe.poll():
        for _ in log.search(SEARCHES["a user that never came"]):
            if pipe.poll():
                break
    log.close()


def acknowledgements(writer: SpoolWriter, some: list[bytes]) -> tuple[float, float]:
    """Post at a steady rate; return p99 and the longest time to an acknowledgement, in ms."""
    took = []
    began = time.perf_counter()
    for number in range(SECONDS * POSTS_PER_SECOND):
        time.sleep(max(0.0, began + number / POSTS_PER_SECOND - time.perf_counter()))
        asked = time.perf_counter()
        writer.append(meta(), some[number % len(some)]).result()
        took.append((time.perf_counter() - asked) * 1000)
    took.sort()
    return took[len(took) * 99 // 100], took[-1]


@pytest.mark.bench
@pytest.mark.timeout(600)
def test_searching_two_million_events(tmp_path: Path) -> None:
    some: list[bytes] = []
    with closing(SpoolWriter(tmp_path, SEALER, SETTINGS)) as writer:
        for body in post_bodies():
            writer.append(meta(), body).result()
            some = [*some[-9:], body]
        quiet = acknowledgements(writer, some)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        searcher = context.Process(target=search_for_ever, args=(tmp_path, theirs))
        searcher.start()
        assert ours.recv_bytes() == b"ready"
        busy = acknowledgements(writer, some)
        ours.send_bytes(b"stop")
        searcher.join()
        print(f"\nacknowledged, p99 and max: {quiet[0]:.1f} and {quiet[1]:.1f} ms alone,")
        print(f"  {busy[0]:.1f} and {busy[1]:.1f} ms while all is searched again and again")
        log = SpoolEventLog(SpoolHistory(tmp_path, SEALER))
        for name, where in SEARCHES.items():
            first, whole, found = timed(log, where)
            shown = "never" if first is None else f"{first:.2f} s"
            print(json.dumps(name), f"found {found}, first {shown}, all {whole:.2f} s")
            if "newest" in name or "verb" in name:
                assert first is not None
                assert first < 1
    assert busy[0] <= max(250, 1.5 * quiet[0])


def timed(log: SpoolEventLog, where: EventFilter) -> tuple[float | None, float, int]:
    """Return the seconds to the first event and to the fiftieth or the end, and how many."""
    began = time.perf_counter()
    first, found = None, 0
    for item in log.search(where):
        if isinstance(item, FoundEvent):
            found += 1
            first = first or time.perf_counter() - began
            if found == 50:
                break
    return first, time.perf_counter() - began, found
