"""Forgetting by age, number and size, and giving freed space back."""

from pathlib import Path

import pytest

from tests.unit.notify.stories import group, make_incident
from tests.unit.store.samples import make_alert, with_severity
from tocsin.model.alert import Alert
from tocsin.model.incident import Change, IncidentFilter
from tocsin.model.ports import AlertFilter, LineUpdate, Retention
from tocsin.store import SqliteStore
from tocsin.store.sqlite import retention

DAY = 86400.0
KEEP_ALL = Retention(keep_days=1e6, max_alerts=10**9, max_bytes=10**12)


def info(name: str, **changes: object) -> Alert:
    return with_severity(make_alert(name, **changes), "info")


def kept(store: SqliteStore, now: float, keep: Retention) -> list[str]:
    for _ in range(1000):
        if not store.prune(now, keep):
            break
        store.text.catch_up(1000)
    return [row.alert.id for row in store.follow(0, 1000)]


def test_old_and_surplus_alerts_are_pruned(store: SqliteStore) -> None:
    for n in range(10):
        store.record([info(f"a{n}")], {}, n * DAY)
    assert kept(store, 10 * DAY, KEEP_ALL) == [f"a{n}" for n in range(10)]
    assert kept(store, 10 * DAY, Retention(6.5, 100, 10**12)) == [f"a{n}" for n in range(4, 10)]
    assert kept(store, 10 * DAY, Retention(100, 2, 10**12)) == ["a8", "a9"]
    assert not store.prune(10 * DAY, Retention(100, 2, 10**12))


def test_row_numbers_are_not_used_again(store: SqliteStore) -> None:
    store.record([info("a1")], {}, 1.0)
    (first,) = store.follow(0, 10)
    assert kept(store, 2.0, Retention(100, 0, 10**12)) == []
    store.record([make_alert("a2")], {}, 3.0)
    (second,) = store.follow(first.seq, 10)
    assert second.alert.id == "a2"


def test_an_alert_with_a_waiting_notification_is_not_pruned(store: SqliteStore) -> None:
    store.record([make_alert("waiting"), info("quiet")], {}, 1.0)
    assert kept(store, 1e9, Retention(1, 0, 10**12)) == ["waiting"]
    (topic,) = store.outbox.topics("chat", 1e9)
    taken = store.outbox.take("chat", [topic.key], 10, 1e9, whole=True)
    store.outbox.sent("chat", taken.rows, {})
    assert kept(store, 1e9, Retention(1, 0, 10**12)) == []


def test_alerts_of_a_pinned_incident_stay(store: SqliteStore) -> None:
    store.record([info("a1"), info("a2")], {}, 1.0)
    group(store, make_incident("i1"))
    store.record([info("other")], {}, 1.0)
    store.incidents.change("i1", Change(pinned=True), "alice", 2.0)
    for keep in (Retention(1, 10, 10**12), Retention(1e6, 0, 10**12), Retention(1e6, 10, 1)):
        assert kept(store, 1e9, keep) == ["a1", "a2"]
    assert store.incidents.incident("i1")
    store.incidents.change("i1", Change(pinned=False), "alice", 3.0)
    assert kept(store, 1e9, Retention(1, 10, 10**12)) == []
    assert store.incidents.count(IncidentFilter()) == 0


def test_the_store_stays_within_its_size(store: SqliteStore) -> None:
    for start in range(0, 900, 100):
        store.record([info(f"a{n}") for n in range(start, start + 100)], {}, float(start))
        store.text.catch_up(100)
    before = store.usage(1000.0)
    limit = before.used_bytes // 2
    left = kept(store, 1000.0, Retention(100, 10**6, limit))
    after = store.usage(1000.0)
    assert 0.5 * limit < after.used_bytes <= limit
    assert left == [f"a{n}" for n in range(900 - len(left), 900)]
    assert len(left) > 200


def test_a_step_is_small_and_says_that_there_is_more(store: SqliteStore) -> None:
    store.record([info(f"a{n}") for n in range(450)], {}, 1.0)
    steps = []
    while store.prune(1e9, Retention(1, 10**6, 10**12)):
        steps.append(store.count())
    assert steps == [250, 50, 0]


def test_freed_space_goes_back_to_the_disk(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_SPARE_PAGES", 20)
    store.record([info(f"a{n}", description="x" * 9000) for n in range(200)], {}, 1.0)
    full = store.usage(1.0)
    assert kept(store, 1e9, Retention(1, 10**6, 10**12)) == []
    empty = store.usage(1.0)
    assert empty.used_bytes + empty.free_bytes < full.used_bytes / 4
    store.close()
    assert (tmp_path / "data" / "tocsin.db").stat().st_size < full.used_bytes / 4


def test_counts_of_events_go_with_their_time(store: SqliteStore) -> None:
    store.record([], {}, 1.0, line=LineUpdate(received={("prod", 5): 1, ("prod", 20_000): 2}))
    kept(store, 20_000 * 60.0, Retention(1, 10, 10**12))
    with store._database.read() as connection:
        assert connection.execute("SELECT minute, count FROM event_minute").fetchall() == [
            (20_000, 2)
        ]


def test_searches_and_counts_forget_too(store: SqliteStore) -> None:
    store.record([info("a1", description="findme"), info("a2")], {}, 1.0)
    store.text.catch_up(10)
    assert store.count(AlertFilter(text="findme")) == 1
    assert kept(store, 1e9, Retention(1, 10, 10**12)) == []
    assert store.count(AlertFilter(text="findme")) == 0
    assert store.count() == 0
