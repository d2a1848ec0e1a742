import asyncio
import signal
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from tests.unit.runtime import childmains
from tocsin.model.errors import TocsinError
from tocsin.runtime import process, processlock, supervise
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.process import Child
from tocsin.runtime.report import Report
from tocsin.runtime.supervise import Supervisor

VARIABLES = {
    "TOCSIN__WEBHOOK__PORT": "0",
    "TOCSIN__HEALTH__PORT": "0",
    "TOCSIN__WEB__PORT": "0",
}

Make = Callable[..., Supervisor]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(None, VARIABLES, tmp_path / "data")


@pytest.fixture
def make(config: Config, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make supervisors of other processes than Tocsin's, and leave none behind."""
    monkeypatch.setattr(supervise, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(process, "RESTART_SECONDS", 0.05)
    made: list[Supervisor] = []

    def supervisor(*children: Child) -> Supervisor:
        made.append(Supervisor(config))
        made[-1].children[:] = children
        return made[-1]

    yield supervisor
    for one in made:
        for child in one.children:
            if child.process is not None:
                child.process.kill()
                child.process.join()
            if child.pipe is not None:
                child.pipe.close()


async def until(condition: Callable[[], bool], seconds: float = 8) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(0.01)


def worker() -> Child:
    return Child("worker", childmains.work, ())


def test_it_is_ready_when_its_processes_are_and_leaves_nothing(
    make: Make, config: Config, tmp_path: Path
) -> None:
    names = ("receiver", "detector", "notifier")
    supervisor = make(*(Child(name, childmains.note_stop, (str(tmp_path), name)) for name in names))
    ports = supervisor.webhook_port, supervisor.health_port

    async def run() -> None:
        async with supervisor.running():
            assert not supervisor.ready
            await until(lambda: supervisor.ready)
            assert supervisor.children[0].report.metrics

    asyncio.run(run())
    assert all((tmp_path / name).exists() for name in names), "not all were asked to stop"
    assert [child.process and child.process.exitcode for child in supervisor.children] == [0, 0, 0]
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()
    processlock.start_alone(config.folder).close()


def test_a_process_that_dies_is_started_again(make: Make) -> None:
    supervisor = make(Child("worker", childmains.tell_signals, ()))
    [child] = supervisor.children

    async def run() -> None:
        async with supervisor.running():
            await until(lambda: child.report.reason == "waiting")
            first = pid(child.process)
            child.signal(signal.SIGKILL)
            await until(lambda: child.restarts == 1)
            await until(lambda: child.report.reason == "waiting")
            assert pid(child.process) != first
            supervisor.reload()
            await until(lambda: child.report.reason == "reloading")

    asyncio.run(run())


def pid(process: BaseProcess | None) -> int:
    assert process is not None
    assert process.pid is not None
    return process.pid


class Dead:
    exitcode = -9

    def is_alive(self) -> bool:
        return False


class Pipe:
    def close(self) -> None:
        pass


def bury(child: Child, lived: float) -> float:
    """Let the child die after some seconds; return how long it waits to start again."""
    process: Any = Dead()
    pipe: Any = Pipe()
    child.process, child.pipe = process, pipe
    child.started = time.monotonic() - lived
    child.bury()
    return max(0.0, child.start_at - time.monotonic())


def test_the_delay_grows_while_it_keeps_dying() -> None:
    child = worker()
    delays = [round(bury(child, lived=1), 1) for _ in range(9)]
    assert delays == [0.0, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    assert child.restarts == 9


def test_the_delay_is_forgotten_after_a_stable_time() -> None:
    child = worker()
    for _ in range(5):
        bury(child, lived=1)
    assert bury(child, lived=process.STABLE_SECONDS + 1) == 0
    assert bury(child, lived=1) == 0
    assert bury(child, lived=1) > 0


def test_a_dead_process_says_that_it_restarts() -> None:
    child = worker()
    child.report = Report(ready=True, metrics=b"old 1\n")
    bury(child, lived=1)
    assert child.report == Report(ready=False, reason="restarting")
    assert not child.ready


class Stubborn(Child):
    """A process that goes on when asked to stop; one that is ended is dead."""

    def __init__(self) -> None:
        super().__init__("stubborn", print, ())
        self.signals: list[signal.Signals] = []

    @override
    def start(self, lock: processlock.FolderLock) -> None:
        process: Any = self
        self.process = process

    def is_alive(self) -> bool:
        return signal.SIGKILL not in self.signals

    @override
    def signal(self, number: signal.Signals) -> None:
        self.signals.append(number)

    @override
    def join(self) -> None:
        deadline = time.monotonic() + process.STOP_SECONDS
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.01)

    def kill(self) -> None:
        """Do nothing: there is no process."""


def stop_times(supervisor: Supervisor, stops: int) -> float:
    """Stop so many times; return how long it takes to end."""

    async def run() -> float:
        async with supervisor.running():
            await asyncio.sleep(0.05)
            began = time.monotonic()
            for _ in range(stops - 1):
                supervisor.stop()
                await asyncio.sleep(0.05)
        return time.monotonic() - began

    return asyncio.run(run())


def test_who_does_not_stop_in_time_is_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "STOP_SECONDS", 0.3)
    stubborn = Stubborn()
    assert stop_times(make(stubborn), stops=1) >= 0.3
    assert stubborn.signals == [signal.SIGTERM, signal.SIGKILL]


def test_the_second_stop_ends_everything_at_once(make: Make) -> None:
    stubborn = Stubborn()
    assert stop_times(make(stubborn), stops=2) < process.STOP_SECONDS / 2
    assert stubborn.signals[:2] == [signal.SIGTERM, signal.SIGKILL]


def test_a_second_one_on_the_folder_is_refused(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processlock, "WAIT_SECONDS", 0.1)
    lock = processlock.start_alone(config.folder)
    with pytest.raises(TocsinError, match="another Tocsin is running on"):
        Supervisor(config)
    lock.close()


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = load_config(None, VARIABLES | {"TOCSIN__WEBHOOK__PORT": str(port)}, tmp_path)
        with pytest.raises(TocsinError, match=f"cannot listen on 127.0.0.1 port {port}: "):
            Supervisor(config)


def test_its_own_processes_are_those_of_the_design(config: Config) -> None:
    supervisor = Supervisor(config)
    names = [child.name for child in supervisor.children]
    for opened in (supervisor._lock, supervisor._webhook, supervisor._health, supervisor._web):
        assert opened is not None
        opened.close()
    assert names == ["receiver", "detector", "notifier", "watcher", "responder", "web"]
