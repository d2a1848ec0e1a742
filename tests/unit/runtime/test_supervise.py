import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.runtime import childmains
from tocsin.model.errors import TocsinError
from tocsin.runtime import processlock, supervise
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.report import Report
from tocsin.runtime.supervise import Child, Supervisor

VARIABLES = {"TOCSIN__WEBHOOK__PORT": "0", "TOCSIN__HEALTH__PORT": "0"}

Make = Callable[..., Supervisor]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(None, VARIABLES, tmp_path / "data")


@pytest.fixture
def make(config: Config, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make supervisors of other processes than Tocsin's, and leave none behind."""
    monkeypatch.setattr(supervise, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(supervise, "RESTART_SECONDS", 0.05)
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
        while not condition():
            await asyncio.sleep(0.01)


def worker(name: str = "worker") -> Child:
    return Child(name, childmains.work, ("busy",))


def test_it_is_ready_when_its_processes_say_so(make: Make) -> None:
    supervisor = make(worker("a"), worker("b"))

    async def run() -> None:
        async with supervisor.running():
            assert not supervisor.ready
            await until(lambda: supervisor.ready)
            assert supervisor.children[0].report.reason == "busy"

    asyncio.run(run())
    assert not any(child.alive for child in supervisor.children)


def test_a_process_that_dies_is_started_again(make: Make) -> None:
    supervisor = make(worker())
    [child] = supervisor.children

    async def run() -> None:
        async with supervisor.running():
            await until(lambda: supervisor.ready)
            first = pid(child.process)
            child.signal(signal.SIGKILL)
            await until(lambda: child.restarts == 1)
            await until(lambda: supervisor.ready)
            assert pid(child.process) != first

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
    assert delays == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert child.restarts == 9


def test_the_delay_is_forgotten_after_a_stable_time() -> None:
    child = worker()
    for _ in range(5):
        bury(child, lived=1)
    assert bury(child, lived=supervise.STABLE_SECONDS + 1) == 0
    assert bury(child, lived=1) == 0
    assert bury(child, lived=1) > 0


def test_a_dead_process_says_that_it_restarts() -> None:
    child = worker()
    child.report = Report(ready=True, metrics=b"old 1\n")
    bury(child, lived=1)
    assert child.report == Report(ready=False, reason="restarting")
    assert not child.ready


def test_a_process_that_dies_at_once_is_tried_slower_and_slower(make: Make) -> None:
    supervisor = make(Child("worker", childmains.die, ()))
    [child] = supervisor.children

    async def run() -> None:
        async with supervisor.running():
            await until(lambda: child.restarts >= 3)
            assert not supervisor.ready
            assert child.quick_deaths >= 3

    asyncio.run(run())


def test_stopping_asks_every_process(make: Make, tmp_path: Path) -> None:
    names = ("receiver", "detector", "notifier")
    supervisor = make(
        *(Child(name, childmains.note_stop, (str(tmp_path), name)) for name in names)
    )

    async def run() -> None:
        async with supervisor.running():
            await until(lambda: supervisor.ready)

    asyncio.run(run())
    assert all((tmp_path / name).exists() for name in names)
    assert [child.process and child.process.exitcode for child in supervisor.children] == [0, 0, 0]


def test_who_does_not_stop_in_time_is_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "STOP_SECONDS", 0.3)
    supervisor = make(Child("stubborn", childmains.ignore_stop, ()))

    async def run() -> None:
        async with supervisor.running():
            await until(lambda: supervisor.ready)

    asyncio.run(run())
    process = supervisor.children[0].process
    assert process is not None
    process.join(5)
    assert process.exitcode == -signal.SIGKILL


def test_the_second_stop_ends_everything_at_once(make: Make) -> None:
    supervisor = make(Child("stubborn", childmains.ignore_stop, ()))

    async def run() -> float:
        async with supervisor.running():
            await until(lambda: supervisor.ready)
            supervisor.stop()
            await asyncio.sleep(0.2)
            assert supervisor.children[0].alive
            supervisor.stop()
            began = time.monotonic()
        return time.monotonic() - began

    assert asyncio.run(run()) < supervise.STOP_SECONDS / 2


def test_the_folder_and_the_ports_are_free_afterwards(make: Make, config: Config) -> None:
    supervisor = make(worker())
    port, health_port = supervisor.webhook_port, supervisor.health_port

    async def run() -> None:
        async with supervisor.running():
            await until(lambda: supervisor.ready)

    asyncio.run(run())
    for free in (port, health_port):
        socket.create_server(("127.0.0.1", free)).close()
    processlock.start_alone(config.folder).close()


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


def test_reloading_reaches_every_process(make: Make) -> None:
    supervisor = make(Child("worker", childmains.tell_signals, ()))
    [child] = supervisor.children

    async def run() -> None:
        async with supervisor.running():
            await until(lambda: child.report.reason == "waiting")
            supervisor.reload()
            await until(lambda: child.report.reason == "reloading")

    asyncio.run(run())


def test_its_own_processes_are_the_three_of_the_design(make: Make, config: Config) -> None:
    supervisor = make()
    assert not supervisor.children
    supervisor._lock.close()
    supervisor._webhook.close()
    supervisor._health.close()
    assert os.listdir(config.folder) == ["lock"]
