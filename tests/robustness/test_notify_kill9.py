"""Notifications over kill -9 and in storms: everything is told, and nobody is flooded.

The sender runs in a process of its own, over a real store and real HTTP; alerts are put into
incidents by the real grouping.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from tests.robustness.harness import Sink
from tests.unit.store.samples import make_alert
from tocsin.incidents.identities import Shared
from tocsin.model.alert import Actor, Alert, Target
from tocsin.model.incident import IncidentFilter
from tocsin.notify import AnyChannelSettings, Sender, SlackSettings, make_notifier
from tocsin.notify.base import Outcome
from tocsin.notify.channel import Channel, Pacing, Tally
from tocsin.runtime.grouping import Grouping
from tocsin.store import SqliteStore, join_store, own_store

ROUNDS = 100 if os.environ.get("TOCSIN_LONG") else 10


def send_forever(folder: Path, settings: str) -> None:
    """Deliver what waits, with pauses fit for tests, and print a line once it runs."""
    notifier = make_notifier("sink", msgspec.json.decode(settings, type=AnyChannelSettings))
    with join_store(folder / "tocsin.db") as store:
        print("ready", flush=True)
        pacing = Pacing(time.time, random.random, idle_seconds=0.02, first_seconds=0.05)
        sender = Sender(
            [notifier], store.outbox, store.incidents, CollectorRegistry(), pacing=pacing
        )
        asyncio.run(sender.run())


@contextmanager
def sending(folder: Path, settings: dict[str, object]) -> Iterator[None]:
    """Run a sender for the body, then kill it."""
    text = msgspec.json.encode(settings).decode()
    command = [sys.executable, "-m", "tests.robustness.test_notify_kill9", str(folder), text]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.send_signal(signal.SIGKILL)


def alert(number: int, user: str) -> Alert:
    return make_alert(
        f"a{number}",
        actor=Actor(user=user, source_ips=("203.0.113.9",)),
        target=Target("create", "", "pods", None, f"ns-{user}", f"pod-{user}", None),
        fields={},
    )


def record(store: SqliteStore, alerts: list[Alert]) -> None:
    store.record(alerts, {}, time.time())
    grouping = Grouping(store, Shared())
    while grouping.step(time.time()):
        pass


@pytest.mark.robustness
@pytest.mark.timeout(3600)
def test_everything_is_told_over_kills(tmp_path: Path) -> None:
    seed = int(os.environ.get("TOCSIN_SEED", random.randrange(1 << 32)))
    print(f"TOCSIN_SEED={seed}")
    chance = random.Random(seed)
    numbers = iter(range(1_000_000))
    recorded: set[str] = set()
    with Sink() as sink, own_store(tmp_path / "tocsin.db", {"sink": "high"}, 1.0) as store:
        for _ in range(ROUNDS):
            with sending(tmp_path, sink.channel):
                for _ in range(chance.randrange(1, 6)):
                    users = [f"u{chance.randrange(30)}" for _ in range(chance.randrange(20))]
                    batch = [alert(next(numbers), user) for user in users]
                    record(store, batch)
                    recorded |= {one.id for one in batch}
                    time.sleep(chance.uniform(0, 0.2))
        with sending(tmp_path, sink.channel):
            deadline = time.monotonic() + 60
            while store.outbox.backlog() and time.monotonic() < deadline:
                time.sleep(0.1)
        assert store.outbox.backlog() == {}
    assert recorded <= set(sink.told), "nobody was told of an alert"
    repeated = len(sink.told) - len(set(sink.told))
    print(f"{len(recorded)} alerts, {repeated} told again, {ROUNDS} kills")
    assert repeated <= len(recorded)


class Chat:
    """A chat that takes every message and keeps it, behind a real channel."""

    def __init__(self, store: SqliteStore) -> None:
        self.now = time.time()
        self.messages: list[Any] = []
        settings = msgspec.convert({"type": "slack", "url": "https://x"}, SlackSettings)
        notifier = make_notifier("sink", settings)
        tally = Tally(CollectorRegistry())
        pacing = Pacing(lambda: self.now, random.random)
        self._channel: Channel[Any] = Channel(
            notifier, self._post, store.outbox, store.incidents, pacing, tally
        )

    async def _post(self, request: Any, now: float) -> Outcome:
        self.messages.append((now, msgspec.json.decode(request.body)))
        return Outcome(ok=True, detail="taken")

    def minutes(self, count: int) -> None:
        """Let this much time go by, a second at a time."""
        for _ in range(count * 60):
            self.now += 1
            while asyncio.run(self._channel.round()) == 0.0:
                pass


@pytest.mark.robustness
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("users", "most"), [(1, 2), (10_000, 10)])
def test_a_storm_is_a_few_messages(tmp_path: Path, users: int, most: int) -> None:
    """10,000 alerts of one incident, and of 10,000 incidents that have nothing in common."""
    with own_store(tmp_path / "tocsin.db", {"sink": "high"}, 1.0) as store:
        record(store, [alert(number, f"u{number % users}") for number in range(10_000)])
        assert store.incidents.count(IncidentFilter()) == users
        chat = Chat(store)
        chat.minutes(6)
        assert store.outbox.backlog() == {}
    assert 1 <= len(chat.messages) <= most
    last = msgspec.json.encode(chat.messages[-1][1]).decode()
    if users > 1:
        assert "9991 incidents and single alerts" in last
        assert "and 9971 more" in last


if __name__ == "__main__":
    send_forever(Path(sys.argv[1]), sys.argv[2])
