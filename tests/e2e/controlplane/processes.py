"""Start, watch and end the programs of the control plane.

Every program is ended by its own process id. Where `setpriv` exists, the kernel ends them too
when the test run itself is killed.
"""

import contextlib
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# Not the generator that pytest-randomly seeds: parallel runs would choose the same.
_chance = random.SystemRandom()

GRACE_SECONDS = 5.0
PORTS = range(15_000, 30_000)
LOG_TAIL = 2000


class ControlPlaneError(RuntimeError):
    """A program of the control plane failed; the message ends with its last words."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running program and its log file."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def check(self) -> None:
        """Raise if the program has ended by itself."""
        status = self.process.poll()
        if status is not None:
            message = f"{self.name} ended with status {status}; {self.log} ends:\n{self.tail()}"
            raise ControlPlaneError(message)

    def tail(self) -> str:
        """Return the end of the log."""
        return self.log.read_text(errors="replace")[-LOG_TAIL:]


def start(
    log: Path, command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
) -> Server:
    """Start a program that writes to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_tied_to_this_process(), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
    return Server(log.stem, log, process)


def stop(servers: Sequence[Server]) -> None:
    """End the programs: all are asked at once, and the slow ones are killed."""
    for server in servers:
        server.process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for server in servers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(max(0.0, deadline - time.monotonic()))
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()


def wait_for(predicate: Callable[[], T | None], what: str, timeout: float = 30.0) -> T:
    """Call `predicate` until it returns something true, and return that.

    Raises:
        TimeoutError: nothing true came within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            message = f"waited {timeout:g} s for {what}"
            raise TimeoutError(message)
        time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Return distinct loopback ports that were free a moment ago.

    They lie below those that the system gives to outgoing connections, so that none of these
    takes one before its program, or while its program is restarted.
    """
    found: set[int] = set()
    while len(found) < count:
        port = _chance.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.add(port)
    return list(found)


def _tied_to_this_process() -> list[str]:
    """Return a prefix that makes the kernel kill the program when this process dies.

    The kernel looks at the starting thread, so only the main thread may use it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return []
    return [setpriv, "--pdeathsig", "KILL", "--"]
