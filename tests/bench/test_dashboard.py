"""The dashboard over a million alerts and two million events: how fast, how light, and what it
costs the events that come in meanwhile. Needs a quiet machine with two cores.
"""

import asyncio
import itertools
import os
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Request, StorageState, sync_playwright

from tests.bench.fullsize import full_size
from tests.bench.load import loading
from tests.bench.visitor import Answer, Viewers, ask_on, people, slowest, visiting
from tests.browser.login import logged_in
from tests.browser.site import Dashboard, at_time, running
from tests.unit.store.samples import make_alert

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
TIMES = 20
LIST_MS = 300
EVENTS_MS = 1000
ACKNOWLEDGED_P99_MS = 250
ACKNOWLEDGED_MAX_MS = 2000

PAGES = {
    "/": LIST_MS,
    "/alerts": LIST_MS,
    "/alerts?severity=critical": LIST_MS,
    "/alerts?user=user-1&since=24h": LIST_MS,
    "/alerts?namespace=team-5&rule=rule-3": LIST_MS,
    "/alerts?technique=T1505&since=7d": LIST_MS,
    "/alerts?q=web-abc12": LIST_MS,
    "/alerts?q=privileged+pod&since=24h": LIST_MS,
    "/alerts?before=1000": LIST_MS,
    "/incidents": LIST_MS,
    "/events": EVENTS_MS,
    "/events?user=alice": EVENTS_MS,
    "/events?verb=create&resource=pods": EVENTS_MS,
    "/events?q=hostPath": EVENTS_MS,
}

MOST_REQUESTS = 10
MOST_BYTES = 150_000
PAINT_MS = 500
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"

OPEN_PAGES = ("/", "/", "/", "/", "/", "/alerts", "/alerts?severity=high", "/incidents", "/health")
SEEN_SECONDS = 30
CHANGE_SECONDS = 2.0

WIDE_PAGES = (
    "/alerts?since=365d",
    "/alerts?q=q",
    "/alerts?since=365d&q=zz",
    "/alerts?before=1000",
    "/alerts?user=user-1&since=365d",
    "/?since=365d",
    "/incidents?since=365d&q=e",
    "/events?q=z",
    "/events?user=nobody-at-all",
    "/alerts.csv?since=365d&limit=5000",
)
WIDE_SECONDS = 20
WIDE_AT_ONCE = 50
LIMIT_SECONDS = 2.0
REFUSED_SECONDS = 3.0


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Run Tocsin on a copy of the data folder."""
    data = tmp_path_factory.mktemp("full") / "data"
    with full_size() as (folder, end):
        shutil.copytree(folder, data)
    print(f"\ndata until {end:%Y-%m-%d %H:%M}")
    kept = {"TOCSIN__ALERTS__MAX_ALERTS": "2000000", "TOCSIN__SPOOL__RETAIN_HOURS": "1000000"}
    with running(data, TOCSIN__WATCH__ALERTS="false", **kept) as one:
        yield one
    shutil.rmtree(data)


def look_at_pages(dashboard: Dashboard) -> list[str]:
    """Ask for each page twenty times; print how long it took, and return those that come late."""
    with visiting(dashboard) as client:
        took = {path: slowest(client, path, TIMES) for path in PAGES}
    print()
    for path, milliseconds in took.items():
        print(f"{milliseconds:6.0f} ms  {path}")
    return [path for path, most in PAGES.items() if took[path] > most]


def test_pages_are_there_at_once(dashboard: Dashboard) -> None:
    assert not look_at_pages(dashboard)


def test_pages_are_there_at_once_while_4000_events_a_second_come_in(dashboard: Dashboard) -> None:
    with loading(dashboard.data, dashboard.webhook, "load-1") as acknowledged:
        late = look_at_pages(dashboard)
    print(acknowledged.told())
    assert acknowledged.p99 <= ACKNOWLEDGED_P99_MS
    assert acknowledged.longest <= ACKNOWLEDGED_MAX_MS
    assert not late


def test_the_first_load_is_light(dashboard: Dashboard) -> None:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        cookies = log_in(dashboard, chromium)
        woken = first_load(dashboard, chromium, cookies)
        loads = [first_load(dashboard, chromium, cookies) for _ in range(5)]
        chromium.close()
    requests, size, paint = (max(figures) for figures in zip(*loads, strict=True))
    print(f"\n{requests:.0f} requests, {size:,.0f} bytes, first paints in ms:")
    print(", ".join(f"{one[2]:.0f}" for one in loads), f"(and {woken[2]:.0f} after the start)")
    assert requests <= MOST_REQUESTS
    assert size < MOST_BYTES
    assert paint < PAINT_MS


def log_in(dashboard: Dashboard, chromium: Browser) -> StorageState:
    """Log in with a browser and return its cookies."""
    context = logged_in(chromium, dashboard).context
    cookies = context.storage_state()
    context.close()
    return cookies


def first_load(
    dashboard: Dashboard, chromium: Browser, cookies: StorageState
) -> tuple[int, int, float]:
    """Load the overview with an empty cache; return requests, bytes, and ms to the first paint."""
    context = chromium.new_context(ignore_https_errors=True, storage_state=cookies)
    page = context.new_page()
    loaded: list[Request] = []
    page.on("requestfinished", lambda request: loaded.append(request))  # noqa: PLW0108 - Playwright marks what it is given
    page.goto(f"{dashboard.url}/")
    page.wait_for_function(FIRST_PAINT)
    paint: float = page.evaluate(FIRST_PAINT)
    sizes = [request.sizes() for request in loaded]
    context.close()
    bytes_in_all = sum(one["responseBodySize"] + one["responseHeadersSize"] for one in sizes)
    return len(loaded), bytes_in_all, paint


def test_fifty_open_pages_cost_little(dashboard: Dashboard) -> None:
    share, viewers, changes = asyncio.run(look_on(dashboard))
    print(f"\n{viewers.streams} pages, {changes} changes in {SEEN_SECONDS} s, refreshes by status")
    print(f"{dict(viewers.refreshes)}: {share:.1%} of a core")
    assert viewers.streams == 50
    assert viewers.refreshes[200] >= viewers.streams * changes * 0.8
    assert share < 0.10


async def look_on(dashboard: Dashboard) -> tuple[float, Viewers, int]:
    """Keep pages open while alerts come; return the share of a core that their server took."""
    viewers = Viewers()
    process = dashboard.web_process()
    async with people(dashboard, 5) as clients:
        paths = itertools.cycle(OPEN_PAGES)
        pages = [
            asyncio.create_task(viewers.view(client, next(paths)))
            for client in clients
            for _ in range(10)
        ]
        await asyncio.sleep(5)
        viewers.refreshes.clear()
        before, began, changes = process.cpu_times(), time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < SEEN_SECONDS:
            now = datetime.now(UTC)
            await asyncio.to_thread(
                dashboard.record, at_time(make_alert(f"seen-{time.time_ns()}"), now)
            )
            changes += 1
            await asyncio.sleep(began + changes * CHANGE_SECONDS - time.perf_counter())
        after, passed = process.cpu_times(), time.perf_counter() - began
        for page in pages:
            if page.done():
                page.result()
            page.cancel()
        await asyncio.gather(*pages, return_exceptions=True)
    used = after.user + after.system - before.user - before.system
    return used / passed, viewers, changes


def test_w6_wide_questions_cost_others_little(dashboard: Dashboard) -> None:
    with loading(dashboard.data, dashboard.webhook, "load-2") as quiet:
        time.sleep(WIDE_SECONDS)
    with (
        loading(dashboard.data, dashboard.webhook, "load-3") as busy,
        ThreadPoolExecutor(1, initializer=step_back) as aside,
    ):
        answers = aside.submit(asyncio.run, ask_much(dashboard)).result()
    print(f"\nwithout: {quiet.told()}\nwith {len(answers)} wide questions: {busy.told()}")
    tell(answers)
    late = [one for one in answers if one.status == 200 and one.seconds > LIMIT_SECONDS]
    assert not late
    refused = [one for one in answers if one.status != 200]
    assert {one.status for one in refused} <= {400, 429, 503}
    assert not [one for one in refused if one.seconds > REFUSED_SECONDS]
    assert all("Try again" in one.text or "narrow" in one.text.lower() for one in refused)
    assert busy.p99 <= 1.5 * quiet.p99


def step_back() -> None:
    """Lower the priority of this thread: people's browsers run on machines of their own."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


async def ask_much(dashboard: Dashboard) -> Sequence[Answer]:
    """Ask wide questions, fifty at once."""
    async with people(dashboard, 5) as clients:
        many = [
            ask_on(clients[n % 5], WIDE_PAGES[n % len(WIDE_PAGES) :] + WIDE_PAGES, WIDE_SECONDS)
            for n in range(WIDE_AT_ONCE)
        ]
        return [answer for some in await asyncio.gather(*many) for answer in some]


def tell(answers: Sequence[Answer]) -> None:
    """Print how long each page took, by status."""
    took = defaultdict(list)
    for answer in answers:
        took[answer.path, answer.status].append(answer.seconds)
    for (path, status), seconds in sorted(took.items()):
        ordered = sorted(seconds)
        middle, longest = ordered[len(ordered) // 2], ordered[-1]
        print(f"{status} {len(seconds):4} times, {middle:5.2f} s, {longest:5.2f} s at most  {path}")
