"""Kill -9 of the processes that write the store, again and again.

One child records alerts and writes the alert log, another settles their notifications. After
each kill the store must hold exactly what its position says, and all that was acknowledged.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.store.samples import make_alert
from tocsin.model.alert import Alert
from tocsin.store import AlertLog, join_store, own_store, read_store

READER = "detector"
LOG_BYTES, LOG_FILES = 200_000, 1000


def batch(number: int) -> list[Alert]:
    """Return the alerts of one batch: some new, one with more evidence for an older one."""
    alerts = [make_alert(f"{number}-{k}") for k in range(number % 4)]
    if number > 4:
        alerts.append(make_alert(f"{number - number % 4 - 1}-0", evidence=[f"stage-{number}"]))
    return alerts


def record_forever(folder: Path) -> None:
    """Record batch after batch from the stored position on, and print each number after it."""
    with (
        own_store(folder / "tocsin.db", {"chat": "medium"}, 1.0) as store,
        AlertLog(folder / "alerts.jsonl", LOG_BYTES, LOG_FILES) as log,
    ):
        if store.set_aside:
            sys.exit("a kill is no damage")
        log.catch_up(store)
        for number in itertools.count(store.cursor(READER) + 1):
            store.record(batch(number), {READER: number}, float(number))
            print(number, flush=True)
            log.catch_up(store)


def settle_forever(folder: Path) -> None:
    """Take deliveries from the outbox and print each id once it is settled."""
    with join_store(folder / "tocsin.db") as store:
        print(0, flush=True)
        while True:
            for topic in store.outbox.topics("chat", 1e9)[:10]:
                (row,) = store.outbox.take("chat", [topic.key], 1, 1e9, whole=True).rows
                store.outbox.sent("chat", [row], {})
                print(row, flush=True)


@contextmanager
def child(role: str, folder: Path) -> Iterator[list[int]]:
    """Run a child for the body, kill it, and fill the list with the numbers it printed."""
    printed: list[int] = []
    command = [sys.executable, "-m", "tests.robustness.test_store_kill9", role, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, "the child did not start"
        try:
            yield printed
        finally:
            process.send_signal(signal.SIGKILL)
            lines = [first, *process.stdout]
            # The kill can cut the last line.
            printed.extend(int(line) for line in lines if line.endswith("\n"))


def check(folder: Path, acknowledged: int, settled: set[int], kills: int) -> None:
    """Compare the store with a model that knows only the position."""
    with read_store(folder / "tocsin.db") as store:
        position = store.cursor(READER)
        assert position >= acknowledged
        model: dict[str, list[str]] = {}
        for number in range(1, position + 1):
            for alert in batch(number):
                evidence = model.setdefault(alert.id, [])
                evidence += [digest for digest in alert.evidence if digest not in evidence]
        rows = store.follow(0, 10**9)
        assert {row.alert.id: row.alert.evidence for row in rows} == model
        assert len(rows) == len(model)
        waiting = waiting_rows(folder)
        assert not waiting & settled
        # A kill can come between settling and printing, once in each round.
        assert 0 <= len(model) - len(waiting) - len(settled) <= kills


def waiting_rows(folder: Path) -> set[int]:
    with join_store(folder / "tocsin.db") as store:
        keys = [topic.key for topic in store.outbox.topics("chat", 1e9)]
        return set(store.outbox.take("chat", keys, 10**9, 1e9, whole=True).rows)


def check_log(folder: Path) -> None:
    """After one more clean start, every alert stands in the log exactly once, in order."""
    with (
        own_store(folder / "tocsin.db", {}, 1.0) as store,
        AlertLog(folder / "alerts.jsonl", LOG_BYTES, LOG_FILES) as log,
    ):
        log.catch_up(store)
        expected = [row.alert.id for row in store.follow(0, 10**9)]
    numbers = sorted(int(path.suffix[1:]) for path in folder.glob("alerts.jsonl.*"))
    files = [folder / f"alerts.jsonl.{number}" for number in reversed(numbers)]
    texts = [path.read_text("ascii") for path in [*files, folder / "alerts.jsonl"]]
    lines = [line for text in texts for line in text.splitlines()]
    assert [json.loads(line)["id"] for line in lines] == expected


def kill_rounds(folder: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged, settled = 0, set[int]()
    for kills in range(1, rounds + 1):
        with child("record", folder) as recorded, child("settle", folder) as sent:
            signal.sigtimedwait([], chance.uniform(0.01, 0.3))
        acknowledged = max(acknowledged, *recorded)
        settled.update(number for number in sent if number)
        check(folder, acknowledged, settled, kills)
    check_log(folder)
    assert acknowledged
    assert settled


@pytest.mark.robustness
@pytest.mark.timeout(60)
def test_two_kills(tmp_path: Path) -> None:
    kill_rounds(tmp_path, rounds=2, seed=1)


@pytest.mark.robustness
@pytest.mark.timeout(7200)
def test_many_kills(tmp_path: Path) -> None:
    kill_rounds(tmp_path, rounds=500 if os.environ.get("TOCSIN_LONG") else 20, seed=2)


if __name__ == "__main__":
    {"record": record_forever, "settle": settle_forever}[sys.argv[1]](Path(sys.argv[2]))
