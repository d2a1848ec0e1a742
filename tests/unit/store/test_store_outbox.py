"""The notification queue."""

import pytest

from tests.unit.store.samples import make_alert, with_severity
from tocsin.model.alert import SEVERITIES
from tocsin.model.ports import Backlog
from tocsin.store import SqliteStore


def queued(store: SqliteStore, channel: str, now: float = 1e9) -> list[str]:
    return [delivery.alert.id for delivery in store.outbox.due(channel, now, 100)]


def test_each_channel_gets_what_reaches_its_severity(store: SqliteStore) -> None:
    store.record([with_severity(make_alert(level), level) for level in SEVERITIES], {}, 1.0)
    assert queued(store, "chat") == ["medium", "high", "critical"]
    assert queued(store, "pager") == ["critical"]
    assert queued(store, "unknown") == []


def test_an_alert_is_queued_once_however_often_it_is_recorded(store: SqliteStore) -> None:
    for now in (1.0, 2.0, 3.0):
        store.record([make_alert(evidence=[f"digest-{now}"])], {}, now)
    (delivery,) = store.outbox.due("chat", 4.0, 100)
    assert (delivery.attempts, delivery.created) == (0, 1.0)
    assert delivery.alert.evidence == ["digest-1.0", "digest-2.0", "digest-3.0"]
    store.outbox.sent(delivery.id)
    store.record([make_alert()], {}, 5.0)
    assert queued(store, "chat") == []


def test_a_failed_delivery_waits_for_its_time(store: SqliteStore) -> None:
    store.record([make_alert("a1"), make_alert("a2")], {}, 1.0)
    first, second = store.outbox.due("chat", 2.0, 10)
    store.outbox.failed(first.id, "HTTP 500", 60.0)
    assert queued(store, "chat", 59.0) == ["a2"]
    assert queued(store, "chat", 60.0) == ["a2", "a1"]
    store.outbox.sent(second.id)
    (again,) = store.outbox.due("chat", 60.0, 10)
    assert again.attempts == 1
    assert store.outbox.backlog() == {"chat": Backlog(1, 0, 1.0, "HTTP 500")}


def test_a_dead_delivery_is_counted_and_shown(store: SqliteStore) -> None:
    store.record([make_alert("a1"), make_alert("a2")], {}, 1.0)
    for delivery in store.outbox.due("chat", 2.0, 10):
        store.outbox.dead(delivery.id, "HTTP 404", 90000.0)
        store.outbox.dead(delivery.id, "HTTP 404", 90000.0)
    assert queued(store, "chat") == []
    assert store.outbox.backlog() == {"chat": Backlog(0, 2, None, "HTTP 404")}
    (finding,) = store.health.findings()
    assert (finding.kind, finding.key, finding.count) == ("notify", "chat", 2)
    assert "HTTP 404" in finding.message


def test_channels_that_are_gone_are_given_up_aloud(store: SqliteStore) -> None:
    alerts = [with_severity(make_alert(f"a{n}"), "critical") for n in range(3)]
    store.record(alerts, {}, 1.0)
    assert store.outbox.abandon(["chat", "pager"], 2.0) == 0
    assert store.outbox.abandon(["chat"], 2.0) == 3
    assert store.outbox.abandon(["chat"], 2.0) == 0
    assert queued(store, "pager") == []
    assert len(queued(store, "chat")) == 3
    (finding,) = store.health.findings()
    assert finding.message.startswith("3 notifications were given up")


def test_the_queue_hands_out_a_few_at_a_time(store: SqliteStore) -> None:
    store.record([make_alert(f"a{n}") for n in range(10)], {}, 1.0)
    assert len(store.outbox.due("chat", 2.0, 4)) == 4


@pytest.mark.parametrize("method", ["sent", "failed", "dead"])
def test_settling_what_was_pruned_does_no_harm(store: SqliteStore, method: str) -> None:
    arguments = {"sent": (99,), "failed": (99, "x", 1.0), "dead": (99, "x", 1.0)}
    getattr(store.outbox, method)(*arguments[method])
    assert store.outbox.backlog() == {}
    assert store.health.findings() == []
