"""All channels together, with a real store and real sockets."""

import asyncio
import contextlib
import random
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from tests.unit.notify.sinks import Reply, Sink, answer, in_turn, never, sink
from tests.unit.notify.stories import close, group, make_incident, save
from tests.unit.store.samples import make_alert
from tocsin.model.alert import Severity
from tocsin.model.errors import TocsinError
from tocsin.model.ports import Backlog
from tocsin.notify import (
    AnyNotifier,
    PagerDutySettings,
    Sender,
    SlackSettings,
    WebhookSettings,
    make_notifier,
    sender,
)
from tocsin.notify.channel import Pacing
from tocsin.store import SqliteStore, join_store, own_store
from tocsin.store.sqlite import database

CHANNELS: dict[str, Severity] = {"good": "medium", "bad": "medium"}


def webhook(name: str, url: str, timeout: float = 0.5) -> AnyNotifier:
    values = {
        "type": "webhook",
        "url": url,
        "secret": "0123456789abcdef",
        "timeout": timeout,
        "max_per_minute": 1000,
    }
    return make_notifier(name, msgspec.convert(values, WebhookSettings))


def told(receiver: Sink) -> list[str]:
    bodies = [msgspec.json.decode(request.body) for request in receiver.received]
    return [alert["id"] for body in bodies for alert in body["alerts"]]


async def until(condition: Callable[[], bool], seconds: float = 8.0) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "it did not happen"
        await asyncio.sleep(0.01)
    return time.monotonic() - start


@contextlib.asynccontextmanager
async def sending(store: SqliteStore, *notifiers: AnyNotifier) -> AsyncIterator[CollectorRegistry]:
    """Run a sender for the body, with pauses fit for tests."""
    registry = CollectorRegistry()
    pacing = Pacing(time.time, random.random, idle_seconds=0.02, first_seconds=0.05)
    task = asyncio.create_task(
        Sender(notifiers, store.outbox, store.incidents, registry, pacing=pacing).run()
    )
    try:
        yield registry
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tocsin.db"


def record(path: Path, count: int) -> list[str]:
    alert_ids = [f"a{n}" for n in range(count)]
    with own_store(path, CHANNELS, 1.0) as store:
        # Told one by one, without waiting for an incident.
        alerts = [make_alert(alert_id, source="health") for alert_id in alert_ids]
        store.record(alerts, {}, time.time())
    return alert_ids


def dead_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("bad", [never, answer("500 Oops"), None], ids=["never", "500", "dead"])
def test_a_bad_channel_delays_no_other(path: Path, bad: Reply | None) -> None:
    alert_ids = record(path, 30)

    async def run() -> None:
        async with sink(answer("200 OK")) as good, sink(bad or never) as other:
            url = other.url if bad else dead_port()
            with join_store(path) as store:
                async with sending(store, webhook("bad", url), webhook("good", good.url)):
                    await until(lambda: "good" not in store.outbox.backlog())
                backlog = store.outbox.backlog()
        assert sorted(told(good)) == sorted(alert_ids)
        assert backlog["bad"].pending == 30
        # A channel that fails is not hammered.
        assert len(other.received) < 30

    asyncio.run(run())


def test_delivered_after_recovery_with_the_same_delivery_id(path: Path) -> None:
    record(path, 1)
    reply = in_turn(
        answer("500 Oops"), never, answer("429 Slow", Retry_After="1"), answer("200 OK")
    )

    async def run() -> None:
        async with sink(reply) as receiver, sink(answer("200 OK")) as good:
            with join_store(path) as store:
                notifiers = webhook("bad", receiver.url), webhook("good", good.url)
                async with sending(store, *notifiers):
                    seconds = await until(lambda: not store.outbox.backlog())
        assert seconds > 1.0
        ids = {request.headers["X-Tocsin-Delivery"] for request in receiver.received}
        assert len(ids) == 1
        assert len(receiver.received) >= 4

    asyncio.run(run())


def test_a_stop_in_the_middle_repeats_and_loses_nothing(path: Path) -> None:
    alert_ids = record(path, 24)

    async def run() -> None:
        async with sink(answer("200 OK")) as receiver:
            with join_store(path) as store:
                notifiers = webhook("bad", receiver.url), webhook("good", receiver.url)
                for count in (1, 10, 20):
                    async with sending(store, *notifiers):
                        await until(lambda: len(receiver.received) >= count)  # noqa: B023 - awaited here
                async with sending(store, *notifiers):
                    await until(lambda: not store.outbox.backlog())
            assert set(told(receiver)) == set(alert_ids)

    asyncio.run(run())


def test_a_locked_store_delays_and_repeats_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    alert_ids = record(path, 3)

    async def run() -> None:
        async with sink(answer("200 OK")) as receiver:
            with join_store(path) as store, closing(sqlite3.connect(path)) as other:
                other.execute("BEGIN IMMEDIATE")
                async with sending(store, webhook("good", receiver.url)):
                    await until(lambda: len(receiver.received) == 3)
                    await asyncio.sleep(0.5)
                    assert store.outbox.backlog()["good"].pending == 3
                    other.execute("ROLLBACK")
                    await until(lambda: "good" not in store.outbox.backlog())
        assert sorted(told(receiver)) == alert_ids

    asyncio.run(run())


def test_metrics_and_channels_that_are_gone(path: Path) -> None:
    record(path, 3)

    async def run() -> None:
        with join_store(path) as store:
            async with sending(store, webhook("good", dead_port())) as registry:

                def sample(name: str, **labels: str) -> float:
                    return registry.get_sample_value(name, {"channel": "good", **labels}) or 0.0

                await until(lambda: sample("tocsin_notify_sent_total", outcome="failed") >= 3)
                assert sample("tocsin_notify_pending") == 3
                assert 0 < sample("tocsin_notify_oldest_pending_seconds") < 60
            assert store.outbox.backlog()["bad"] == Backlog(0, 3, None, "channel is not configured")
            assert "the connection was refused" in str(store.outbox.backlog()["good"].error)

    asyncio.run(run())


def test_a_name_server_that_hangs_delays_no_other_channel(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(path, 10)
    real = socket.getaddrinfo
    released = threading.Event()

    def resolve(host: str, *args: Any, **options: Any) -> list[Any]:
        if host == "slow.example":
            released.wait(5)
        return list(real(host, *args, **options))

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    async def run() -> None:
        async with sink(answer("200 OK")) as receiver:
            with join_store(path) as store:
                slow, good = webhook("bad", "http://slow.example"), webhook("good", receiver.url)
                async with sending(store, slow, good):
                    await until(lambda: "good" not in store.outbox.backlog())
                assert store.outbox.backlog()["bad"].pending == 10

    try:
        asyncio.run(run())
    finally:
        released.set()


def test_a_missing_ca_file_stops_the_sender_with_a_plain_error(path: Path) -> None:
    record(path, 1)
    values = {"type": "slack", "url": "https://hooks.example/x", "ca_file": "/no/such.pem"}
    notifier = make_notifier("chat", msgspec.convert(values, SlackSettings))
    with join_store(path) as store, pytest.raises(TocsinError, match=r"/no/such\.pem"):
        asyncio.run(Sender([notifier], store.outbox, store.incidents, CollectorRegistry()).run())


def test_an_incident_that_rises_reaches_the_pager_and_its_end_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "_FOLLOW_SECONDS", 0.05)
    lowest: dict[str, Severity] = {"pager": "critical"}

    async def run() -> None:
        async with sink(answer("202 Accepted")) as receiver:
            values = {"type": "pagerduty", "url": receiver.url, "routing_key": "R"}
            settings = msgspec.convert({**values, "min_severity": "critical"}, PagerDutySettings)
            with own_store(path, lowest, 1.0) as store:
                store.record([make_alert("a1")], {}, time.time())
                group(store, make_incident("i1", severity="high"), time.time())
                async with sending(store, make_notifier("pager", settings)):
                    await asyncio.sleep(0.2)
                    assert not receiver.received, "high is nothing for the pager"
                    save(store, make_incident("i1", severity="critical"), time.time())
                    await until(lambda: len(receiver.received) == 1)
                    await until(lambda: not store.outbox.backlog())
                    close(store, "i1", time.time())
                    await until(lambda: len(receiver.received) == 2)
        events = [msgspec.json.decode(request.body) for request in receiver.received]
        assert [(event["event_action"], event["dedup_key"]) for event in events] == [
            ("trigger", "i1"),
            ("resolve", "i1"),
        ]

    asyncio.run(run())
