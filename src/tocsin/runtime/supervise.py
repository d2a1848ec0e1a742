"""The supervisor: starts the processes, starts them again when they die, shows their state.

A slow or crashing part costs only itself. The listening socket belongs to the supervisor, so
that API servers wait in the kernel's queue while the receiver restarts.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from tocsin.ingest.server import listen
from tocsin.model.errors import TocsinError
from tocsin.runtime.child import SIGNALS, run_child
from tocsin.runtime.config import Config
from tocsin.runtime.detector import detect
from tocsin.runtime.health import serve_health
from tocsin.runtime.notifier import notify
from tocsin.runtime.processlock import FolderLock, start_alone
from tocsin.runtime.receiver import receive
from tocsin.runtime.report import Report, decode_report

TICK_SECONDS = 0.1
# A process whose reports stop for this long counts as not ready.
STALE_SECONDS = 10.0
RESTART_SECONDS = 0.5
MAX_RESTART_SECONDS = 5.0
# A process that lived this long starts again without delay.
STABLE_SECONDS = 30.0
STOP_SECONDS = 4.5
# How a process ends that somebody has to help, such as on a store of a newer version.
WRONG_SETUP = 2

log = logging.getLogger(__name__)

_spawn = multiprocessing.get_context("spawn")


@dataclass(slots=True)
class Child:
    """One process of ours: how to start it, and what is known of it."""

    name: str
    main: Callable[..., None]
    arguments: tuple[object, ...]
    process: BaseProcess | None = None
    pipe: Connection | None = None
    report: Report = field(default_factory=lambda: Report(ready=False, reason="starting"))
    heard: float = 0.0
    started: float = 0.0
    start_at: float = 0.0
    restarts: int = 0
    quick_deaths: int = 0
    was_ready: bool = False
    hopeless: bool = False

    def start(self, lock: FolderLock) -> None:
        """Start the process; it holds the data folder as long as it lives."""
        self.pipe, end = _spawn.Pipe()
        self.process = _spawn.Process(
            target=_child_main,
            args=(end, self.name, self.main, self.arguments, lock),
            daemon=True,
        )
        # It inherits the mask: signals wait until it is ready for them. multiprocessing's tracker
        # comes first, because its start takes the mask off again.
        resource_tracker.ensure_running()
        former = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
        end.close()
        self.started = self.heard = time.monotonic()

    def listen(self) -> None:
        """Take the reports that have come."""
        with contextlib.suppress(EOFError, OSError):
            while self.pipe is not None and self.pipe.poll():
                self.report = decode_report(self.pipe.recv_bytes())
                self.heard = time.monotonic()
                self.was_ready |= self.report.ready

    def bury(self) -> None:
        """Note that the process died, and when to start it again."""
        if self.process is None or self.pipe is None:
            return
        now = time.monotonic()
        log.error("%s ended with code %s", self.name, self.process.exitcode)
        self.hopeless = self.process.exitcode == WRONG_SETUP and not self.was_ready
        self.pipe.close()
        self.process = self.pipe = None
        self.restarts += 1
        self.quick_deaths = 0 if now - self.started > STABLE_SECONDS else self.quick_deaths + 1
        delay = RESTART_SECONDS * 2 ** (self.quick_deaths - 1) if self.quick_deaths > 1 else 0.0
        self.start_at = now + min(delay, MAX_RESTART_SECONDS)
        self.report = Report(ready=False, reason="restarting")

    def join(self) -> None:
        """Wait for the process to end."""
        if self.process is not None:
            self.process.join(STOP_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        if self.process is not None and self.process.pid is not None and self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    @property
    def ready(self) -> bool:
        """Whether the process works, and said so lately."""
        return self.alive and self.report.ready and time.monotonic() - self.heard < STALE_SECONDS


def _child_main(
    pipe: Connection,
    name: str,
    main: Callable[..., None],
    arguments: tuple[object, ...],
    lock: FolderLock,
) -> None:
    del lock  # Its file stays open as long as the process lives.
    run_child(pipe, lambda link: main(link, *arguments), name)


class Supervisor:
    """Runs Tocsin's processes within an event loop."""

    def __init__(self, config: Config) -> None:
        """Take the data folder and the ports, so that what is wrong with them shows at once.

        Raises:
            TocsinError: another Tocsin uses the folder, or a port is taken.
        """
        self._lock = start_alone(config.folder)
        self._webhook = listen(config.webhook.host, config.webhook.port)
        self._health = listen(config.health.host, config.health.port)
        self.children = [
            Child("receiver", receive, (config, [self._webhook])),
            Child("detector", detect, (config,)),
            Child("notifier", notify, (config,)),
        ]
        self._stopping = asyncio.Event()

    @property
    def webhook_port(self) -> int:
        """The port that API servers post to."""
        return _port(self._webhook)

    @property
    def health_port(self) -> int:
        """The port of `/livez`, `/readyz` and `/metrics`."""
        return _port(self._health)

    def stop(self) -> None:
        """Ask everything to finish; once more, and it is ended at once."""
        if self._stopping.is_set():
            for child in self.children:
                child.signal(signal.SIGKILL)
        self._stopping.set()

    def reload(self) -> None:
        """Have the rules read again."""
        for child in self.children:
            child.signal(signal.SIGHUP)

    async def run(self) -> None:
        """Keep the processes running until `stop` is called.

        Raises:
            TocsinError: a process never got ready, and no restart can help.
        """
        async with serve_health(self._health, self.children):
            try:
                while not self._stopping.is_set():
                    self._tend()
                    self._give_up_if_hopeless()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), TICK_SECONDS)
            finally:
                await self._finish()
                self._webhook.close()
                self._lock.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run in the background while the body of the `async with` runs."""
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            self.stop()
            await task

    @property
    def ready(self) -> bool:
        """Whether every process does its work."""
        return all(child.ready for child in self.children)

    def _tend(self) -> None:
        for child in self.children:
            child.listen()
            if child.process is not None and not child.process.is_alive():
                child.bury()
            if child.process is None and not child.hopeless and time.monotonic() >= child.start_at:
                child.start(self._lock)

    def _give_up_if_hopeless(self) -> None:
        for child in self.children:
            if child.hopeless:
                message = f"the {child.name} cannot start; its log line above says why"
                raise TocsinError(message)

    async def _finish(self) -> None:
        """Ask the processes to stop, and end those that do not."""
        for child in self.children:
            child.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                for child in self.children:
                    await asyncio.to_thread(child.join)
        for child in self.children:
            if child.alive:
                log.error("%s did not stop in time and is ended", child.name)
                child.signal(signal.SIGKILL)


def _port(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port
