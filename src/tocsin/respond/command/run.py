"""Run a program: no shell, a process group of its own, bounded time and output.

The only module that starts programs. Whatever a program does, after its time nothing of its
process group is left, and it is waited for.
"""

import contextlib
import os
import selectors
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from tocsin.model.errors import TocsinError

MAX_OUTPUT: Final = 1024 * 1024
SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PIECE = 64 * 1024
# What ended may have left its last words in the pipes.
_LAST_WORDS_SECONDS = 0.2


class ProgramError(TocsinError):
    """A program is not there, or cannot be started."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended.

    Attributes:
        code: its exit code; negative is the signal that killed it.
        out: what it wrote to standard output, at most 1 MiB.
        err: what it wrote to standard error, at most 1 MiB.
        cut: whether it wrote more.
        timed_out: whether it was killed, as its time was over or it was given up.
        seconds: how long it took.
    """

    code: int
    out: bytes
    err: bytes
    cut: bool
    timed_out: bool
    seconds: float


def environment(folder: Path, kubeconfig: Path | None, path: str = SYSTEM_PATH) -> dict[str, str]:
    """Return all that a program finds in its environment; nothing of an event ever is in it."""
    variables = {"PATH": path, "LANG": "C.UTF-8", "HOME": str(folder)}
    return variables | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})


def find_program(name: str, folders: Sequence[str]) -> Path:
    """Return the file of a program: the first of this name in the folders, or a full path.

    Raises:
        ProgramError: there is none, or others than its owner may change it.
    """
    if not name or ".." in name or "\0" in name or name.startswith("-"):
        message = f"{name!r} is no name of a program"
        raise ProgramError(message)
    if "/" in name and not name.startswith("/"):
        message = f"the program {name!r} needs a full path, or none"
        raise ProgramError(message)
    places = [Path(name)] if name.startswith("/") else [Path(one) / name for one in folders if one]
    for place in places:
        if place.is_absolute() and place.is_file():
            return _checked(place)
    message = f"there is no program {name} in {', '.join(map(str, folders)) or 'any folder'}"
    raise ProgramError(message)


def _checked(place: Path) -> Path:
    if not os.access(place, os.X_OK):
        message = f"{place} may not be run"
        raise ProgramError(message)
    if place.stat().st_mode & stat.S_IWOTH:
        message = f"{place} may be changed by everybody, so it is not run"
        raise ProgramError(message)
    return place


class Program:
    """A program that runs; use it in a `with` block, whose end is its end.

    Not to be shared between threads.
    """

    def __init__(
        self, program: Path, arguments: Sequence[str], folder: Path, variables: Mapping[str, str]
    ) -> None:
        """Start it.

        Args:
            program: the file.
            arguments: those after its own name.
            folder: where it works.
            variables: its whole environment.

        Raises:
            ProgramError: it cannot be started.
        """
        try:
            self._process = subprocess.Popen(
                [str(program), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=dict(variables),
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            message = f"cannot start {program}: {error}"
            raise ProgramError(message) from error
        self._ended = False
        self._started = time.monotonic()
        self._stdin = _pipe(self._process.stdin)
        self._out, self._err = _Output(), _Output()
        self._unsent = b""
        self._selector = selectors.DefaultSelector()
        for stream, output in (
            (self._process.stdout, self._out),
            (self._process.stderr, self._err),
        ):
            self._selector.register(_pipe(stream), selectors.EVENT_READ, output)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def send(self, data: bytes) -> None:
        """Have it read this; it is written as fast as it is read."""
        self._unsent += data
        if self._unsent and self._stdin_is_open and self._stdin not in self._selector.get_map():
            self._selector.register(self._stdin, selectors.EVENT_WRITE)

    def answer(self, seconds: float, given_up: Callable[[], bool] = lambda: False) -> bytes | None:
        """Return the first line that it writes; None if it ends or closes its output before.

        None also if `given_up`, asked again and again, tells that nobody wants it any more.

        Raises:
            TimeoutError: nothing came in time.
        """
        deadline = time.monotonic() + seconds
        while (line := self._out.line()) is None:
            if self._out.closed or not self._runs():
                self._drain()
                return self._out.line()
            if given_up():
                return None
            if time.monotonic() >= deadline:
                raise TimeoutError
            self._turn(deadline)
        return line

    def finish(self, seconds: float, given_up: Callable[[], bool] = lambda: False) -> Ran:
        """Wait for its end, at most so long, then kill all of its process group.

        `given_up` tells, asked again and again, whether it is to end before its time.
        """
        deadline = time.monotonic() + seconds
        while self._runs() and time.monotonic() < deadline and not given_up():
            if not self._unsent:
                self._close_stdin()
            self._turn(deadline)
        timed_out = self._runs()
        code = self._end()
        self._drain()
        return Ran(
            code=code,
            out=bytes(self._out.kept),
            err=bytes(self._err.kept),
            cut=self._out.cut or self._err.cut,
            timed_out=timed_out,
            seconds=time.monotonic() - self._started,
        )

    def _turn(self, deadline: float) -> bool:
        """Write and read what can be; return whether anything could."""
        # The end of the process itself wakes nobody.
        wait = max(0.0, min(0.05, deadline - time.monotonic()))
        if not self._selector.get_map():
            time.sleep(wait)
            return False
        ready = self._selector.select(wait)
        for key, _ in ready:
            if isinstance(key.data, _Output):
                self._read(key.fd, key.data)
            else:
                self._write()
        return bool(ready)

    def _read(self, descriptor: int, output: "_Output") -> None:
        with contextlib.suppress(BlockingIOError):
            piece = os.read(descriptor, _PIECE)
            output.add(piece)
            if not piece:
                self._selector.unregister(descriptor)

    def _write(self) -> None:
        try:
            written = os.write(self._stdin, self._unsent[:_PIECE])
            self._unsent = self._unsent[written:]
        except BlockingIOError:
            return
        except OSError:
            # It does not read: that is its own business.
            self._unsent = b""
            self._close_stdin()
            return
        if not self._unsent:
            self._selector.unregister(self._stdin)

    @property
    def _stdin_is_open(self) -> bool:
        return self._process.stdin is not None and not self._process.stdin.closed

    def _close_stdin(self) -> None:
        if self._stdin_is_open:
            if self._stdin in self._selector.get_map():
                self._selector.unregister(self._stdin)
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _drain(self) -> None:
        """Read what is still in the pipes; a stranger who holds them open is not waited for."""
        self._close_stdin()
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while self._selector.get_map() and time.monotonic() < deadline:
            if not self._turn(time.monotonic()):
                return

    def _runs(self) -> bool:
        """Return whether it still runs; it is not waited for, so its number stays its own."""
        if self._ended:
            return False
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, how) is None

    def _end(self) -> int:
        """Kill what is left of its process group, wait for it, and return its exit code.

        What left the group escapes, and has nothing: the access ends with the run.
        """
        if not self._ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._ended = True
        return self._process.wait()


class _Output:
    """What came out of one pipe: the beginning is kept."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.cut = False
        self.closed = False

    def add(self, piece: bytes) -> None:
        self.closed = not piece
        room = MAX_OUTPUT - len(self.kept)
        self.kept += piece[:room]
        self.cut |= len(piece) > room

    def line(self) -> bytes | None:
        """Return the first line, None if it has no end yet; one too long to keep is cut."""
        head, end, _ = self.kept.partition(b"\n")
        if end or self.cut or (self.closed and head):
            return bytes(head)
        return None


def _pipe(stream: IO[bytes] | None) -> int:
    """Return the descriptor of a pipe, which never blocks us."""
    if stream is None:
        message = "a program without pipes"
        raise ProgramError(message)
    os.set_blocking(stream.fileno(), False)
    return stream.fileno()
