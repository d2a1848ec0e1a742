"""A real spool with events in it, and the log over it."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tests.unit.audit import encoded, event_list, item
from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import PostMeta, SpoolHistory, SpoolSettings, SpoolWriter
from tocsin.runtime.eventlog.log import SpoolEventLog

SEALER = Sealer(bytes(32))
SETTINGS = SpoolSettings(min_free_bytes=0, tick_seconds=60)
# 2026-11-23T10:00:00Z
START = 1_795_428_000


def spool(
    folder: Path, *bodies: bytes, cluster: str = "default", start: float = START, step: float = 60
) -> SpoolEventLog:
    """Store a post per body, received one after the other, and return the log."""
    with closing(SpoolWriter(folder, SEALER, SETTINGS)) as writer:
        for number, body in enumerate(bodies):
            received = int((start + number * step) * 1_000_000)
            writer.append(PostMeta(cluster, "cp-1", None, "webhook", received), body).result()
    return log_of(folder)


def log_of(folder: Path) -> SpoolEventLog:
    return SpoolEventLog(SpoolHistory(folder, SEALER))


def post(*events: dict[str, object]) -> bytes:
    return event_list(encoded(item(**event)) for event in events)


def posts_of(events: Iterable[dict[str, object]], size: int) -> list[bytes]:
    some = list(events)
    return [post(*some[start : start + size]) for start in range(0, len(some), size)]
