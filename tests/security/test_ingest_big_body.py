"""Bar S6: bodies of 100 MB and worse cost neither memory nor the events of others."""

import contextlib
import gzip
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.unit.ingest.receiver import Receiver, running

MB = 1_000_000
EVENT = b'{"auditID":"0123456789","stage":"ResponseComplete","verb":"create","level":"Metadata"},'
BLOCK = EVENT * (MB // len(EVENT))


@contextlib.contextmanager
def memory_bounded(growth: int = 64 * MB) -> Iterator[None]:
    """Fail if this process grows by more than `growth` meanwhile."""
    process = psutil.Process()
    before = process.memory_info().rss
    peak = before
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()
    assert peak - before <= growth


def repeated(block: bytes, times: int) -> Iterator[bytes]:
    for _ in range(times):
        yield block


def post(receiver: Receiver, body: Iterator[bytes], **headers: str) -> int:
    with receiver.client() as client:
        return client.post("/v1/audit/prod/n", content=body, headers=headers).status_code


@pytest.mark.timeout(60)
@pytest.mark.parametrize("block", [BLOCK, b"x" * MB, b"{}," * (MB // 3)])
def test_s6_a_large_body_is_stored_in_bounded_memory(tmp_path: Path, block: bytes) -> None:
    with running(tmp_path) as receiver:
        length = len(block) * 100
        with memory_bounded():
            answer = post(receiver, repeated(block, 100), **{"Content-Length": str(length)})
        assert answer == 200
        [stored] = receiver.posts()
        assert stored.length == length
        with memory_bounded():
            assert zlib.crc32(block * 8) == zlib.crc32(next(stored.pieces())[: len(block) * 8])


@pytest.mark.robustness
@pytest.mark.timeout(60)
def test_s6_chunks_without_end_are_cut(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield BLOCK

    with running(tmp_path, body_timeout=2) as receiver, memory_bounded():
        started = time.monotonic()
        # Whether the sender reads the answer or fails to write on is a matter of luck.
        with contextlib.suppress(httpx2.HTTPError):
            assert post(receiver, endless()) == 408
        assert time.monotonic() - started < 10
        assert receiver.count("posts_total", cluster="prod", outcome="slow") == 1
        assert receiver.posts() == []


@pytest.mark.parametrize("announced", [10, 2 * len(BLOCK)])
def test_s6_a_wrong_content_length_is_never_acknowledged(tmp_path: Path, announced: int) -> None:
    with running(tmp_path) as receiver:
        with receiver.connect(receiver.pki.issue()) as sender:
            head = f"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {announced}\r\n\r\n"
            sender.sendall(head.encode() + BLOCK)
        time.sleep(0.2)
        assert all(stored.body() == BLOCK[:announced] for stored in receiver.posts())
        assert len(receiver.posts()) <= (announced == 10)


@pytest.mark.parametrize("enabled", [False, True])
def test_s6_a_gzip_bomb_is_refused(tmp_path: Path, *, enabled: bool) -> None:
    bomb = gzip.compress(bytes(100 * MB))
    with running(tmp_path, gzip=enabled) as receiver:
        with memory_bounded():
            answer = post(receiver, iter([bomb]), **{"Content-Encoding": "gzip"})
        assert answer == (413 if enabled else 415)
        assert receiver.posts() == []


def test_s6_gzip_cannot_pass_the_size_limit(tmp_path: Path) -> None:
    compressed = gzip.compress(bytes(range(256)) * 400)
    with running(tmp_path, gzip=True, max_body=100_000) as receiver:
        assert post(receiver, iter([compressed]), **{"Content-Encoding": "gzip"}) == 413
