"""A15, A16: a storm of alerts, and the kill switch in the middle of a burst.

The responder runs in a process of its own, against an API server over HTTP that notes every
change which took effect and when.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.robustness.respond_child import api_server, responding, wait_for
from tests.unit.respond.bench import KEY, Bench, pod, settings
from tests.unit.respond.fakecluster import FakeApi
from tests.unit.store.samples import make_alert
from tocsin.model.alert import Alert, EventRef, Target
from tocsin.model.response import Entry
from tocsin.respond.chain import journal_key
from tocsin.respond.journal import verify
from tocsin.respond.settings import RespondSettings
from tocsin.respond.tell import STORM
from tocsin.store.sqlite import SqliteStore, join_store

STORM_ALERTS = 10_000
BATCH = 200
FEW = 30
PER_MINUTE = 10


class TimedApi(FakeApi):
    """An API server that notes when it was asked for each change, and takes its time."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.times: list[float] = []
        self._seconds = seconds
        self.before = self._note

    def _note(self) -> None:
        self.times.append(time.time())
        time.sleep(self._seconds)


def alerts(numbers: range, now: float) -> list[Alert]:
    """Return alerts about a pod each."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + ".000000Z"
    return [
        make_alert(
            f"alert-{number}",
            time=stamp,
            target=Target("create", "", "pods", None, "shop", f"web-{number}", f"u-{number}"),
            event=EventRef(f"id-{number}", "ResponseComplete", "RequestResponse", "/api/v1/x", 201),
        )
        for number in numbers
    ]


def add_pods(api: FakeApi, count: int) -> None:
    for number in range(count):
        api.add(pod(f"web-{number}", uid=f"u-{number}"), spec={"containers": []})


@contextmanager
def prepared(folder: Path, given: RespondSettings, api: FakeApi) -> Iterator[SqliteStore]:
    """Make journal and store of a responder; yield the store, for another process to write to."""
    folder.mkdir(parents=True)
    bench = Bench(folder, given, api)
    bench.record.show()
    bench.close()
    with join_store(folder / "tocsin.db") as store:
        yield store


def journal(folder: Path) -> list[Entry]:
    """Return the whole lines of the journal so far."""
    lines = (folder / "journal.jsonl").read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=Entry) for line in lines]


def states(folder: Path) -> dict[str, str]:
    """Return the state that each response is in."""
    return {one.response: one.state for one in journal(folder) if one.state}


def tocsin(*words: str) -> str:
    """Run the real command."""
    command = [sys.executable, "-m", "tocsin", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.robustness
@pytest.mark.timeout(300)
def test_a16_a_storm_opens_the_breaker_at_once(tmp_path: Path) -> None:
    api, given = TimedApi(), settings()
    add_pods(api, STORM_ALERTS)
    folder = tmp_path / "responses"
    with (
        prepared(folder, given, api) as store,
        api_server(api) as port,
        responding(folder, port, given) as process,
    ):
        # An ordinary day before: as many as may run by themselves do.
        store.record(alerts(range(FEW), time.time()), {}, time.time())
        assert wait_for(lambda: settled(folder, FEW))
        reached = 0.0
        began = time.time()
        for first in range(FEW, STORM_ALERTS, BATCH):
            numbers = range(first, min(first + BATCH, STORM_ALERTS))
            store.record(alerts(numbers, time.time()), {}, time.time())
            reached = reached or time.time()
        took = time.time() - began
        last = store.last_seq()
        assert wait_for(lambda: store.responses.position().get("alerts", 0) >= last, 120)
        assert wait_for(lambda: not {"planned", "started"} & set(states(folder).values()))
        assert process.is_alive()
        told = [one for one in store.follow(0, 20_000) if one.alert.rule.id == STORM]
    opened = next(one.time for one in journal(folder) if "storm_until" in one.data)
    print(f"{STORM_ALERTS} alerts in {took:.1f} s; open {opened - reached:.2f} s after the 100th")
    assert took < 10
    assert opened - reached <= 1.0
    assert len(api.changes) == PER_MINUTE
    assert not [moment for moment in api.times if moment > opened]
    assert len(told) == 1
    assert len(states(folder)) < given.limits.storm_alerts, "most are not even planned"
    assert not verify(folder / "journal.jsonl", journal_key(KEY), None)


@pytest.mark.robustness
@pytest.mark.timeout(300)
def test_a15_the_switch_stops_a_burst(tmp_path: Path) -> None:
    api = TimedApi(0.1)
    # Without limits but the switch: what stops it is nothing else.
    limits = {"per_owner": 1000, "per_minute": 1000, "storm_alerts": 1000}
    given = settings(limits=limits)
    add_pods(api, 110)
    folder = tmp_path / "responses"
    with prepared(folder, given, api) as store, api_server(api) as port:
        with responding(folder, port, given):
            store.record(alerts(range(100), time.time()), {}, time.time())
            assert wait_for(lambda: len(api.changes) >= 5)
            tocsin("respond", "stop", "--why", "a drill", "--data", str(tmp_path))
            stopped = time.time()
            assert wait_for(lambda: settled(folder, 100))
        done = len(api.changes)
        assert done < 100, "the burst was over before"
        assert not late(api.times, stopped), "asked for after the switch"
        with responding(folder, port, given):
            store.record(alerts(range(100, 105), time.time()), {}, time.time())
            assert wait_for(lambda: settled(folder, 105)), "it survives a restart"
            assert len(api.changes) == done
            tocsin("respond", "start", "--data", str(tmp_path))
            store.record(alerts(range(105, 110), time.time()), {}, time.time())
            assert wait_for(lambda: len(api.changes) == done + 5)
            assert wait_for(lambda: settled(folder, 110))
    found = list(states(folder).values())
    assert found.count("done") == done + 5
    assert found.count("refused") == 105 - done, "what was refused stays refused"
    print(f"{done} done before the switch, {105 - done} refused")


def settled(folder: Path, number: int) -> bool:
    """Return whether so many responses came to an end."""
    found = states(folder).values()
    return len(found) == number and not {"planned", "started"} & set(found)


def late(times: Sequence[float], stopped: float) -> list[float]:
    """Return the changes that were asked for a second after the switch."""
    return [moment for moment in times if moment > stopped + 1.0]
