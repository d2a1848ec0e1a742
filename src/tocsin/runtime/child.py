"""The inside of a child process: when to stop, and how to report.

A child stops when the supervisor asks it to (SIGTERM) and when the supervisor is gone: the
pipe between them breaks, so that no orphan keeps the port or the spool.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from tocsin.model.errors import TocsinError
from tocsin.runtime.logs import configure_logs
from tocsin.runtime.report import Report, encode_report

REPORT_SECONDS = 1.0
# How long a child may take to finish after its supervisor died.
ORPHAN_SECONDS = 4.0
# What a child takes note of; its supervisor starts it with these blocked, so that none comes
# too early.
SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Link:
    """A child's tie to its supervisor."""

    pipe: Connection
    stopping: threading.Event = field(default_factory=threading.Event)
    reloading: threading.Event = field(default_factory=threading.Event)

    def report_regularly(self, report: Callable[[], Report]) -> threading.Thread:
        """Send a report now and every second, from a thread of its own."""

        def run() -> None:
            while not self.stopping.is_set():
                if not self._send(report()):
                    return
                self.stopping.wait(REPORT_SECONDS)

        thread = threading.Thread(target=run, name="report", daemon=True)
        thread.start()
        return thread

    def _send(self, report: Report) -> bool:
        try:
            self.pipe.send_bytes(encode_report(report))
        except OSError:
            return False
        return True


def run_child(pipe: Connection, main: Callable[[Link], None], name: str) -> None:
    """Run `main` as the child process `name`; it returns when `link.stopping` is set."""
    configure_logs(name)
    link = Link(pipe)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_take_signals, args=(link,), name="signals", daemon=True).start()
    threading.Thread(target=_watch, args=(link,), name="watch", daemon=True).start()
    try:
        main(link)
    except TocsinError as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence for people
        sys.exit(2)


def _take_signals(link: Link) -> None:
    """Pass signals on, in a thread: a handler that sets an event deadlocks with its waiter."""
    while True:
        match signal.sigwait(SIGNALS):
            case signal.SIGTERM:
                link.stopping.set()
            case signal.SIGHUP:
                link.reloading.set()
            case _:
                continue  # Ctrl-C reaches all processes; the supervisor decides what it means.


def _watch(link: Link) -> None:
    """Stop when the supervisor's end of the pipe closes; it never sends anything."""
    with contextlib.suppress(OSError, EOFError):
        link.pipe.poll(None)
        link.pipe.recv_bytes()
    if not link.stopping.is_set():
        log.warning("the supervisor is gone; stopping")
        link.stopping.set()
    timer = threading.Timer(ORPHAN_SECONDS, os._exit, args=(1,))
    timer.daemon = True
    timer.start()
