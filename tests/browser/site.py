"""The real thing for browsers: `tocsin serve`, with recorded attacks and hostile texts posted."""

import asyncio
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.browser import responses
from tests.browser.hostile import CLUSTER, refused_requests, write_rules
from tests.browser.payloads import PAYLOADS
from tests.unit.cli.commandline import EXECUTABLE, environment
from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert, with_severity
from tocsin.connect.clusters import add_cluster
from tocsin.connect.pki import ensure_server_certificate
from tocsin.model.alert import SEVERITIES, Alert
from tocsin.model.ports import AlertFilter, StoredAlert
from tocsin.runtime.config import load_config
from tocsin.runtime.live import local_poster
from tocsin.runtime.newuser import let_in
from tocsin.runtime.recording import as_if_ending, bodies
from tocsin.store import join_store, own_store

USER, SHOP = "ada", "shop"
START_SECONDS = 60.0


@dataclass
class Dashboard:
    """A running Tocsin with a dashboard."""

    url: str
    password: str
    data: Path
    process: subprocess.Popen[bytes]
    webhook: int

    def record(self, *alerts: Alert) -> None:
        """Have further alerts appear."""
        with join_store(self.data / "tocsin.db") as store:
            store.record(alerts, {}, time.time())

    def post(self, cluster: str, posted: Sequence[bytes]) -> None:
        """Post bodies as the API server of a cluster does."""
        # Playwright has a loop of its own in the main thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(self._post(cluster, posted))).result()

    async def _post(self, cluster: str, posted: Sequence[bytes]) -> None:
        config = load_config(None, {}, self.data)
        async with local_poster(config, cluster, self.webhook) as poster:
            for body in posted:
                await poster.post(body)

    def wait_for_incidents(self, cluster: str, alerts: int) -> None:
        """Wait until a cluster has this many alerts, and each is part of an incident."""
        found: list[StoredAlert] = []
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with join_store(self.data / "tocsin.db") as store:
                found = store.alerts(AlertFilter(cluster=cluster), alerts)
                if len(found) == alerts and all(
                    store.incidents.incident_of(one.alert.id) for one in found
                ):
                    return
            time.sleep(0.2)
        pytest.fail(f"cluster {cluster} has {len(found)} of {alerts} alerts, or no incidents")

    def kill_web(self) -> None:
        """Kill the process that serves the dashboard; the supervisor starts it again."""
        os.kill(self.web_process().pid, signal.SIGKILL)

    def web_process(self) -> psutil.Process:
        """Return the process that serves the dashboard."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            for connection in child.net_connections("tcp"):
                port = connection.laddr.port
                if connection.status == psutil.CONN_LISTEN and self.url.endswith(f":{port}"):
                    return child
        pytest.fail("no process serves the dashboard")


@contextmanager
def serving(folder: Path) -> Iterator[Dashboard]:
    """Run Tocsin in a folder, with alerts of the last hours."""
    data = folder / "data"
    with own_store(data / "tocsin.db", {}, time.time()) as store:
        store.record(list(seed(datetime.now(UTC))), {}, time.time())
        responses.seed(store, data)
        store.health.report("spool", "lost", "a post <b>could not</b> be read", time.time())
    write_rules(folder / "rules")
    ensure_server_certificate(data / "pki")
    for cluster in (SHOP, CLUSTER):
        add_cluster(data, cluster)
    with running(data, TOCSIN__RULES=f"[{folder / 'rules'}]") as dashboard:
        now = datetime.now(UTC)
        dashboard.post(SHOP, as_if_ending(bodies("full-policy"), now))
        dashboard.post(CLUSTER, [refused_requests(now)])
        dashboard.wait_for_incidents(CLUSTER, len(PAYLOADS))
        yield dashboard


@contextmanager
def running(data: Path, **variables: str) -> Iterator[Dashboard]:
    """Run Tocsin on a data folder; `variables` are set in its environment."""
    password = let_in(load_config(None, {}, data), USER, time.time())
    ports = [_free_port() for _ in range(3)]
    command = [str(EXECUTABLE), "serve", "--data", str(data), "--port", str(ports[0])]
    variables = {"TOCSIN__HEALTH__PORT": str(ports[1]), **variables}
    with (
        data.with_name("log").open("wb") as log,
        subprocess.Popen(
            [*command, "--dashboard-port", str(ports[2])],
            stderr=log,
            env=environment(**variables),
            cwd=data.parent,
        ) as process,
    ):
        try:
            _wait_ready(f"http://127.0.0.1:{ports[1]}/readyz", process)
            yield Dashboard(f"https://127.0.0.1:{ports[2]}", password, data, process, ports[0])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def seed(now: datetime) -> Iterator[Alert]:
    """Yield alerts of all severities over the last hours, and each hostile text everywhere."""
    for number in range(200):
        severity = SEVERITIES[number % len(SEVERITIES)]
        at = now - timedelta(minutes=7 * number)
        yield at_time(with_severity(make_alert(f"{severity}-{number}"), severity), at)
    for number, text in enumerate(HOSTILE):
        yield at_time(hostile_alert(text[:5000], f"hostile-{number}"), now)


def at_time(alert: Alert, at: datetime) -> Alert:
    """Return the alert as of another time."""
    stamp = f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"
    return msgspec.structs.replace(alert, time=stamp, first_seen=stamp, last_seen=stamp)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def _wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - ours
                if answer.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    pytest.fail(f"not ready: {url}")
