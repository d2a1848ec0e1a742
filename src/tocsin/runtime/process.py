"""One of Tocsin's processes, seen from the supervisor: start it, hear from it, bury it."""

import contextlib
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from tocsin.runtime.child import SIGNALS, run_child
from tocsin.runtime.processlock import FolderLock
from tocsin.runtime.report import Report, decode_report

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
