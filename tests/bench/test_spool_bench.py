"""The acknowledgement's cost: 400 events of 1.5 KB per post, sealed, each post waited for."""

import json
import secrets
import time
from contextlib import closing
from pathlib import Path

import pytest

from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import PostMeta, SpoolWriter

EVENTS = 400
POSTS = 400
META = PostMeta("cluster", "node", None, "webhook", 0)


def body(words: list[str]) -> bytes:
    """Events that compress about five times, as real ones do."""
    events = [
        {"auditID": secrets.token_hex(16), "words": [secrets.choice(words) for _ in range(95)]}
        for _ in range(EVENTS)
    ]
    return json.dumps({"items": events}).encode()


@pytest.mark.bench
@pytest.mark.timeout(120)
def test_acknowledged_events_per_second(tmp_path: Path) -> None:
    words = [secrets.token_hex(6) for _ in range(3_000)]
    bodies = [body(words) for _ in range(4)]
    latencies = []
    with closing(SpoolWriter(tmp_path / "spool", Sealer(bytes(32)))) as writer:
        began = time.perf_counter()
        for number in range(POSTS):
            asked = time.perf_counter()
            writer.append(META, bodies[number % len(bodies)]).result()
            latencies.append(time.perf_counter() - asked)
        rate = POSTS * EVENTS / (time.perf_counter() - began)
    latencies.sort()
    p50, p99 = (latencies[POSTS * share // 100] * 1000 for share in (50, 99))
    print(f"{len(bodies[0]) // EVENTS} bytes/event, {rate:,.0f} events/s, {p50:.1f}, {p99:.1f} ms")
    assert rate >= 50_000
    assert p99 < 50
