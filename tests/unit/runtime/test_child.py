import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection

import pytest

from tests.unit.runtime import childmains
from tocsin.runtime.child import REPORT_SECONDS, Link, run_child
from tocsin.runtime.report import Report, decode_report, encode_report

spawn = get_context("spawn")


@pytest.fixture
def pipe() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = spawn.Pipe()
    yield ours, theirs
    ours.close()
    theirs.close()


def receive(pipe: Connection) -> Report:
    assert pipe.poll(8), "no report"
    return decode_report(pipe.recv_bytes())


def test_a_report_survives_its_way() -> None:
    report = Report(ready=True, reason="a\nb", metrics=b"x 1\n")
    assert decode_report(encode_report(report)) == report


def test_reports_are_sent_at_once_and_then_regularly(pipe: tuple[Connection, Connection]) -> None:
    link, count = Link(pipe[1]), iter(range(10))
    began = time.monotonic()
    thread = link.report_regularly(lambda: Report(ready=True, reason=str(next(count))))
    assert receive(pipe[0]).reason == "0"
    assert time.monotonic() - began < REPORT_SECONDS / 2
    assert receive(pipe[0]).reason == "1"
    link.stopping.set()
    thread.join(2)
    assert not thread.is_alive()


def test_reports_end_when_nobody_listens(pipe: tuple[Connection, Connection]) -> None:
    link = Link(pipe[1])
    pipe[0].close()
    thread = link.report_regularly(lambda: Report(ready=True))
    thread.join(2)
    assert not thread.is_alive()


class Started:
    """A child process and the supervisor's end of its pipe."""

    def __init__(self, main: Callable[[Link], None]) -> None:
        self.pipe, end = spawn.Pipe()
        self.process = spawn.Process(target=run_child, args=(end, main, "tester"), daemon=True)
        self.process.start()
        end.close()

    def ended(self) -> int | None:
        self.process.join(8)
        return self.process.exitcode

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)


@pytest.fixture
def start() -> Iterator[Callable[[Callable[[Link], None]], Started]]:
    started: list[Started] = []

    def run(main: Callable[[Link], None]) -> Started:
        started.append(Started(main))
        return started[-1]

    yield run
    for child in started:
        child.process.kill()
        child.process.join()
        child.pipe.close()


Start = Callable[[Callable[[Link], None]], Started]


def test_signals_reach_a_child_as_requests(start: Start) -> None:
    child = start(childmains.tell_signals)
    assert receive(child.pipe).reason == "waiting"
    child.signal(signal.SIGINT)
    child.signal(signal.SIGHUP)
    assert receive(child.pipe).reason == "reloading"
    child.signal(signal.SIGTERM)
    assert receive(child.pipe).reason == "stopping"
    assert child.ended() == 0


def test_a_child_stops_when_its_supervisor_is_gone(start: Start) -> None:
    child = start(childmains.tell_signals)
    assert receive(child.pipe).reason == "waiting"
    child.pipe.close()
    assert child.ended() == 0


def test_what_a_person_can_put_right_is_one_line(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    assert start(childmains.complain).ended() == 2
    [line] = capfd.readouterr().err.splitlines()
    assert line.endswith(" ERROR tester: the key is not there")


def test_a_child_that_does_not_stop_without_its_supervisor_is_ended(
    monkeypatch: pytest.MonkeyPatch, pipe: tuple[Connection, Connection]
) -> None:
    ended = threading.Event()
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        ended.set()

    monkeypatch.setattr("tocsin.runtime.child.ORPHAN_SECONDS", 0.05)
    monkeypatch.setattr("tocsin.runtime.child.os._exit", leave)
    link = Link(pipe[1])
    pipe[0].close()
    childmains.watch(link)
    assert link.stopping.is_set()
    assert ended.wait(2)
    assert codes == [1]
