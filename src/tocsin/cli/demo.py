"""`tocsin demo`: see the alarm ring within a minute, with nothing but Tocsin itself."""

import asyncio
import signal
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from tocsin.cli.alerts import STYLES, safe
from tocsin.cli.serve import check
from tocsin.model.alert import SEVERITIES, Alert
from tocsin.model.errors import TocsinError
from tocsin.model.ports import AlertFilter
from tocsin.runtime.config import Config
from tocsin.runtime.live import local_poster, on_free_ports
from tocsin.runtime.logs import configure_logs
from tocsin.runtime.newuser import let_in
from tocsin.runtime.poster import Poster
from tocsin.runtime.recording import NAMES, as_if_ending, bodies
from tocsin.runtime.supervise import Supervisor
from tocsin.store.sqlite import SqliteStore, read_store

CLUSTER = "demo"
USER = "demo"
SPEED, WATCHED_SPEED = 20.0, 1.0
START_SECONDS = 60.0
QUIET_SECONDS = 3.0
POLL_SECONDS = 0.1

_console = Console(highlight=False)


def demo(
    *,
    policy: Annotated[
        str, typer.Option(metavar="|".join(NAMES), help="Audit policy of the recording.")
    ] = "full-policy",
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Batches per second that are replayed.",
            show_default="1 on a terminal, else 20",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the data here.", show_default="a temporary folder"),
    ] = None,
) -> None:
    """Start Tocsin with its dashboard, and replay recorded attacks through the real webhook.

    The recording is of a real API server: ordinary work, then the eight Kubernetes techniques
    of Stratus Red Team, with their times moved to now. On a terminal it takes a good minute, so
    that incidents form while one watches, and Tocsin keeps running afterwards, until Ctrl-C.

    Example: tocsin demo --policy seed-policy
    """
    if policy not in NAMES:
        message = f"there is no recording {policy!r}; there are: {', '.join(NAMES)}"
        raise TocsinError(message)
    configure_logs("demo", level=30)
    with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as temporary:
        config = on_free_ports(data or Path(temporary))
        check(config)
        watched = sys.stdout.isatty()
        pace = speed or (WATCHED_SPEED if watched else SPEED)
        asyncio.run(_Demo(config, policy, 1 / pace, watched=watched).run())


class _Demo:
    def __init__(self, config: Config, recording: str, pause: float, *, watched: bool) -> None:
        recorded = bodies(recording)
        self._config = config
        self._watched = watched
        self._bodies = as_if_ending(
            recorded, datetime.now(UTC) + timedelta(seconds=len(recorded) * pause)
        )
        self._pause = pause
        self._counts: Counter[str] = Counter()
        self._seen = 0

    async def run(self) -> None:
        supervisor = Supervisor(self._config, offer_setup=False)
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        poster = local_poster(self._config, CLUSTER, supervisor.webhook_port)
        async with supervisor.running():
            await self._started(supervisor, stop)
            if self._watched and not stop.is_set():
                self._show_dashboard(supervisor)
            if not stop.is_set():
                await self._replay(poster, stop)
            self._summary()
            if self._watched and not stop.is_set():
                self._keep_running(supervisor)
                await stop.wait()
        await poster.close()

    async def _started(self, supervisor: Supervisor, stop: asyncio.Event) -> None:
        with _console.status("starting Tocsin"):
            deadline = asyncio.get_running_loop().time() + START_SECONDS
            while not supervisor.ready and not stop.is_set():
                if asyncio.get_running_loop().time() > deadline:
                    states = {c.name: c.report.reason for c in supervisor.children if not c.ready}
                    message = f"Tocsin did not get ready: {states}"
                    raise TocsinError(message)
                await asyncio.sleep(POLL_SECONDS)

    async def _replay(self, poster: Poster, stop: asyncio.Event) -> None:
        _console.print(f"[bold]Replaying {len(self._bodies)} batches of a real API server[/bold]\n")
        with (
            Progress(console=_console, transient=True) as progress,
            read_store(self._config.store_path) as store,
        ):
            task = progress.add_task("replaying", total=len(self._bodies))
            for body in self._bodies:
                if stop.is_set():
                    return
                await poster.post(body)
                progress.advance(task)
                self._print_new(store)
                await asyncio.sleep(self._pause)
            quiet_since = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() - quiet_since < QUIET_SECONDS:
                if self._print_new(store):
                    quiet_since = asyncio.get_running_loop().time()
                await asyncio.sleep(POLL_SECONDS)

    def _print_new(self, store: SqliteStore) -> int:
        found = store.follow(self._seen, 500, AlertFilter())
        for stored in found:
            self._seen = stored.seq
            self._counts[stored.alert.rule.severity] += 1
            if stored.alert.rule.severity != "info":
                _console.print(_line(stored.alert), soft_wrap=True)
        return len(found)

    def _show_dashboard(self, supervisor: Supervisor) -> None:
        password = let_in(self._config, USER, time.time())
        _console.print(
            f"\nThe dashboard: [bold]{supervisor.web_url}[/bold]\n"
            f"  name: {USER}   password: {password}\n"
            "  The browser warns once: the certificate comes from Tocsin's own authority,\n"
            f"  {self._config.folder / 'pki' / 'ca.crt'}\n",
            soft_wrap=True,
        )

    def _summary(self) -> None:
        counts = ", ".join(
            f"{self._counts[severity]} {severity}"
            for severity in reversed(SEVERITIES)
            if self._counts[severity]
        )
        _console.print(f"\n[bold]{sum(self._counts.values())} alerts[/bold]: {counts}")

    def _keep_running(self, supervisor: Supervisor) -> None:
        data = self._config.folder
        _console.print(
            f"\nTocsin is still running; Ctrl-C ends it. In another terminal:\n"
            f"  tocsin alerts --data {data}\n"
            f"  curl -s http://127.0.0.1:{supervisor.health_port}/metrics"
        )


def _line(alert: Alert) -> Text:
    """Return one alert as a line: when, how bad, who did what, ATT&CK."""
    severity = alert.rule.severity
    attack = " ".join(technique.technique for technique in alert.rule.attack)
    line = Text(f"{alert.time[11:19]}  ")
    line.append(f"{severity:<8}", style=STYLES[severity])
    line.append(f"  {safe(alert.description)}")
    line.append(f"  {attack}", style="dim")
    return line
