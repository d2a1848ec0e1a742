"""Measure a running Tocsin at one API server's maximum: 20 posts of 200 events a second."""

import asyncio
import itertools
import multiprocessing
import signal
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import httpx2
import msgspec

from tocsin.connect.pki import ensure_server_certificate
from tocsin.runtime.config import Config
from tocsin.runtime.live import local_poster, on_free_ports
from tocsin.runtime.logs import configure_logs
from tocsin.runtime.poster import Poster
from tocsin.runtime.recording import NAMES, bodies, events
from tocsin.runtime.supervise import Supervisor

POSTS_PER_SECOND = 20
EVENTS_PER_POST = 200
READY_SECONDS = 60.0
SETTLE_SECONDS = 120.0
WARM_UP_POSTS = 40
POLL_SECONDS = 0.1

_MIB = 1024.0


@dataclass(frozen=True, slots=True)
class Live:
    """Latency from post to acknowledgement, and what the processes needed."""

    events: int
    events_per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    lag_seconds: float
    memory_mib: float


async def run_live(seconds: float) -> Live:
    """Start Tocsin on a temporary folder, post to it, and return the measurements."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        config = on_free_ports(Path(folder))
        ensure_server_certificate(config.folder / "pki")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_serve, args=(config, theirs))
        process.start()
        theirs.close()
        try:
            webhook, health = await asyncio.to_thread(_ports, ours)
            return await _measure(Target(config.folder, webhook, health, process.pid or 0), seconds)
        finally:
            process.terminate()
            process.join()


@dataclass(frozen=True, slots=True)
class Target:
    """The Tocsin that is measured."""

    folder: Path
    webhook: int
    health: int
    pid: int


def _serve(config: Config, pipe: Connection) -> None:
    configure_logs("supervisor", level=30)
    supervisor = Supervisor(config, offer_setup=False)
    pipe.send_bytes(msgspec.json.encode((supervisor.webhook_port, supervisor.health_port)))

    async def run() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, supervisor.stop)
        await supervisor.run()

    asyncio.run(run())


def _ports(pipe: Connection) -> tuple[int, int]:
    return msgspec.json.decode(pipe.recv_bytes(), type=tuple[int, int])


async def _measure(target: Target, seconds: float) -> Live:
    poster = local_poster(on_free_ports(target.folder), "bench", target.webhook)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{target.health}") as http:
        await _until(lambda: _is_ready(http), READY_SECONDS)
        bodies_to_post = posts()
        for body in itertools.islice(bodies_to_post, WARM_UP_POSTS):
            await poster.post(body)
        start = time.perf_counter()
        latencies = await post_steadily(poster, bodies_to_post, int(seconds * POSTS_PER_SECOND))
        sent = time.perf_counter()
        wanted = (len(latencies) + WARM_UP_POSTS) * EVENTS_PER_POST
        await _until(lambda: _has_evaluated(http, wanted), SETTLE_SECONDS)
        settled = time.perf_counter()
        await poster.close()
        milliseconds = sorted(latency * 1000 for latency in latencies)
        return Live(
            events=len(latencies) * EVENTS_PER_POST,
            events_per_second=len(latencies) * EVENTS_PER_POST / (sent - start),
            p50_ms=statistics.median(milliseconds),
            p99_ms=milliseconds[int(len(milliseconds) * 0.99)],
            max_ms=milliseconds[-1],
            lag_seconds=settled - sent,
            memory_mib=_memory(target.pid) / _MIB,
        )


async def post_steadily(poster: Poster, some: Iterator[bytes], count: int) -> list[float]:
    """Post at the fixed rate, whatever the answers take, and return their latencies."""
    start = time.perf_counter()
    running = []
    for number, body in enumerate(itertools.islice(some, count)):
        await asyncio.sleep(max(0.0, start + number / POSTS_PER_SECOND - time.perf_counter()))
        running.append(asyncio.create_task(poster.post(body)))
    return list(await asyncio.gather(*running))


def posts() -> Iterator[bytes]:
    """Yield EventLists of recorded events, every request under an Audit-ID of its own."""
    source = itertools.cycle(
        [event for name in NAMES for body in bodies(name) for event in events(body)]
    )
    for number in itertools.count():
        items = b",".join(itertools.islice(source, EVENTS_PER_POST))
        mark = b'"auditID":"%d-' % number
        yield (
            b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":['
            + items.replace(b'"auditID":"', mark)
            + b"]}"
        )


async def _is_ready(http: httpx2.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).is_success
    except httpx2.HTTPError:
        return False


async def _has_evaluated(http: httpx2.AsyncClient, events: int) -> bool:
    for line in (await http.get("/metrics")).text.splitlines():
        if line.startswith("tocsin_detect_events_total "):
            return float(line.split()[1]) >= events
    return False


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if await condition():
                return
            await asyncio.sleep(POLL_SECONDS)


def _memory(pid: int) -> float:
    """Return the KiB of a process and its children; shared pages count once (Linux only)."""
    total = 0.0
    pids = [pid]
    while pids:
        process = Path(f"/proc/{pids.pop()}")
        try:
            for task in (process / "task").iterdir():
                pids.extend(int(child) for child in (task / "children").read_text().split())
            rollup = (process / "smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(
            float(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")
        )
    return total
