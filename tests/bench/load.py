"""One API server's maximum, 4,000 events a second, from a process of its own."""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from tocsin.runtime.benchlive import POSTS_PER_SECOND, post_steadily, posts
from tocsin.runtime.config import load_config
from tocsin.runtime.live import local_poster

WARM_UP_SECONDS = 3


@dataclass
class Acknowledged:
    """How long posts took to be acknowledged, in sorted milliseconds; known when all is over."""

    latencies: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """The time that one of a hundred exceeds."""
        return self.latencies[len(self.latencies) * 99 // 100]

    @property
    def longest(self) -> float:
        """The longest time of all."""
        return self.latencies[-1]

    def told(self) -> str:
        """Return the figures for people."""
        return (
            f"{len(self.latencies)} posts acknowledged, "
            f"p99 {self.p99:.1f} ms, longest {self.longest:.1f} ms"
        )


@contextmanager
def loading(data: Path, port: int, cluster: str) -> Iterator[Acknowledged]:
    """Post to the Tocsin of a data folder, as an API server of `cluster`, while the body runs.

    Each load has to be of another cluster, or its events would be known already.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_load, args=(data, port, cluster, theirs))
    process.start()
    theirs.close()
    ours.recv_bytes()
    found = Acknowledged()
    try:
        yield found
    finally:
        ours.send_bytes(b"stop")
        found.latencies = sorted(msgspec.json.decode(ours.recv_bytes(), type=list[float]))
        process.join()


def _load(data: Path, port: int, cluster: str, pipe: Connection) -> None:
    latencies = asyncio.run(_post(data, port, cluster, pipe))
    pipe.send_bytes(msgspec.json.encode([seconds * 1000 for seconds in latencies]))


async def _post(data: Path, port: int, cluster: str, pipe: Connection) -> list[float]:
    endless = posts()
    latencies: list[float] = []
    async with local_poster(load_config(None, {}, data), cluster, port) as poster:
        await post_steadily(poster, endless, WARM_UP_SECONDS * POSTS_PER_SECOND)
        pipe.send_bytes(b"going")
        while not pipe.poll():
            latencies += await post_steadily(poster, endless, POSTS_PER_SECOND)
    return latencies
