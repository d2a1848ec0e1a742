"""Somebody at the dashboard, over HTTPS: asks for pages, or keeps some open as a browser does."""

import itertools
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.browser.site import USER, Dashboard
from tocsin.runtime.config import load_config
from tocsin.runtime.newuser import let_in

PAGE = {"Accept": "text/html"}
FORM = {**PAGE, "Sec-Fetch-Site": "same-origin"}
TIMEOUT = 30


def trust(data: Path) -> ssl.SSLContext:
    """Return the settings of a client that trusts this Tocsin."""
    return ssl.create_default_context(cafile=str(data / "pki" / "ca.crt"))


@contextmanager
def visiting(dashboard: Dashboard) -> Iterator[httpx2.Client]:
    """Lend a client of somebody who logged in."""
    with httpx2.Client(
        base_url=dashboard.url, verify=trust(dashboard.data), headers=PAGE, timeout=TIMEOUT
    ) as client:
        form = {"name": USER, "password": dashboard.password}
        assert client.post("/login", data=form, headers=FORM).status_code == 303
        yield client


def slowest(client: httpx2.Client, path: str, times: int) -> float:
    """Return the 95th percentile of the milliseconds until a page is there; none is kept."""
    took = []
    for number in range(times + 1):
        began = time.perf_counter()
        answer = client.get(fresh(path))
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, (path, number, answer.status_code, answer.text)
    # The first one wakes up what was never asked for.
    return sorted(took[1:])[-(-times * 95 // 100) - 1]


@asynccontextmanager
async def people(dashboard: Dashboard, number: int) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """Lend the clients of so many people who logged in."""
    trusted = trust(dashboard.data)
    config = load_config(None, {}, dashboard.data)
    async with AsyncExitStack() as stack:
        clients = []
        for name in (f"viewer-{n}" for n in range(number)):
            client = httpx2.AsyncClient(
                base_url=dashboard.url,
                verify=trusted,
                headers=PAGE,
                timeout=TIMEOUT,
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
            )
            form = {"name": name, "password": let_in(config, name, time.time())}
            clients.append(await stack.enter_async_context(client))
            assert (await client.post("/login", data=form, headers=FORM)).status_code == 303
        yield clients


class Viewers:
    """Open pages: each has a stream, and asks for itself again when that says so."""

    def __init__(self) -> None:
        self.refreshes: Counter[int] = Counter()
        self.streams = 0

    async def view(self, client: httpx2.AsyncClient, path: str) -> None:
        """Keep a page open until cancelled."""
        page = await client.get(path)
        headers = {"HX-Request": "true"}
        async with client.stream("GET", "/changes") as stream:
            assert stream.status_code == 200
            self.streams += 1
            async for line in stream.aiter_lines():
                if not line.startswith("data:"):
                    continue
                headers["If-None-Match"] = page.headers["ETag"]
                page = await client.get(path, headers=headers)
                self.refreshes[page.status_code] += 1


@dataclass(frozen=True)
class Answer:
    """What came of one question, and after how many seconds."""

    path: str
    status: int
    seconds: float
    text: str


async def ask_on(client: httpx2.AsyncClient, paths: Sequence[str], seconds: float) -> list[Answer]:
    """Ask for one page after the other for so long; return what came."""
    answers = []
    endless = itertools.cycle(paths)
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        path = next(endless)
        answer = await client.get(fresh(path))
        took = time.perf_counter() - began
        answers.append(Answer(path, answer.status_code, took, answer.text))
    return answers


def fresh(path: str) -> str:
    """Return the path of a page that nobody asked for yet, so that it is not kept."""
    return f"{path}{'&' if '?' in path else '?'}n={time.time_ns()}"
