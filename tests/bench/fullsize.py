"""A data folder at full size: a million alerts, some thousand incidents, two million events."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.test_event_search_bench import EVENTS, PER_POST, post_bodies
from tests.bench.test_store_bench import ALERTS, BATCH, DAY, DAYS, Alerts
from tests.browser.site import at_time
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import PostMeta, SpoolSettings, SpoolWriter
from tocsin.model.ports import LineUpdate
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.grouping import Grouping, shared_identities
from tocsin.runtime.rules import named_sets
from tocsin.store import SqliteStore, own_store

# Of the last twelve hours; all of them are in incidents.
GROUPED = 30_000
EVENTS_PER_MINUTE = 3000
POST_SECONDS = 8.0
CLUSTER = "cluster-0"

KEEP = SpoolSettings(min_free_bytes=0, retain_bytes=1 << 40, retain_hours=1_000_000)


@contextmanager
def full_size() -> Iterator[tuple[Path, datetime]]:
    """Lend the folder, and the time its data ends at.

    It is kept in the folder that TOCSIN_BENCH_DATA names; without, it is made (ten minutes).
    """
    if named := os.environ.get("TOCSIN_BENCH_DATA"):
        yield Path(named), _made(Path(named))
    else:
        with TemporaryDirectory(prefix="tocsin-bench-") as folder:
            yield Path(folder), _made(Path(folder))


def _made(folder: Path) -> datetime:
    """Make the folder unless it is there; return the time its data ends at."""
    mark = folder / "made"
    if not mark.exists():
        end = datetime.now(UTC)
        config = load_config(None, {}, folder)
        last = _spool(config, end)
        with own_store(config.store_path, {}, end.timestamp()) as store:
            _record(store, end, last)
            _group(store, end)
        mark.write_text(end.isoformat())
    return datetime.fromisoformat(mark.read_text())


def _spool(config: Config, end: datetime) -> int:
    """Spool the events and return the number of the last post."""
    sealer = Sealer(load_or_create_key(config.key_path))
    writer = SpoolWriter(config.spool_folder, sealer, KEEP)
    last = 0
    posts = EVENTS // PER_POST
    for number, body in enumerate(post_bodies()):
        received = end.timestamp() - POST_SECONDS * (posts - number)
        meta = PostMeta(CLUSTER, "cp-1", None, "webhook", int(received * 1_000_000))
        last = writer.append(meta, body).result()
    writer.close()
    print(f"\n{EVENTS:,} events in {posts:,} posts")
    return last


def _record(store: SqliteStore, end: datetime, last_post: int) -> None:
    """Record the alerts, the events per minute, and that all posts were evaluated."""
    alerts = Alerts()
    began = time.perf_counter()
    moments = [end - DAYS * DAY * (1 - number / ALERTS) for number in range(ALERTS + 1)]
    for start in range(0, ALERTS, BATCH):
        some = [at_time(alerts.make(n), moments[n]) for n in range(start, start + BATCH)]
        first, after = (int(moments[n].timestamp()) // 60 for n in (start, start + BATCH))
        received = {(CLUSTER, minute): EVENTS_PER_MINUTE for minute in range(first, after)}
        cursors = {"detector": last_post}
        if start + BATCH == ALERTS - GROUPED:
            cursors["incidents"] = ALERTS - GROUPED
        store.record(some, cursors, end.timestamp(), (), LineUpdate(received=received))
    print(f"{ALERTS:,} alerts recorded in {time.perf_counter() - began:.0f} s")
    while store.text.catch_up(1000):
        pass


def _group(store: SqliteStore, end: datetime) -> None:
    grouping = Grouping(store, shared_identities(named_sets({})))
    while grouping.step(end.timestamp()):
        pass
