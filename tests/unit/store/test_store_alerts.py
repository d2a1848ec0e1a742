"""Recording, merging, listing and pruning alerts."""

import itertools
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert, with_severity
from tocsin.model.alert import Actor, Alert
from tocsin.model.ports import AlertFilter
from tocsin.store import SqliteStore, join_store, read_store

ALL = AlertFilter()


def ids(found: list[object]) -> list[str]:
    return [row.alert.id for row in found]  # type: ignore[attr-defined]


def shown(store: SqliteStore, alert_id: str = "a1") -> tuple[Alert, bool]:
    stored = store.alert(alert_id)
    assert stored is not None
    return stored.alert, stored.authenticated


def test_what_nobody_vouched_for_is_marked(store: SqliteStore) -> None:
    first, second = make_alert("a1"), make_alert("a2")
    assert store.record([first], {}, 1.0, unauthenticated=[second]) == [first, second]
    assert shown(store, "a1") == (first, True)
    assert shown(store, "a2") == (second, False)
    for found in (store.alerts(ALL, 10), store.follow(0, 10)):
        assert {row.alert.id: row.authenticated for row in found} == {"a1": True, "a2": False}


def test_an_authenticated_alert_replaces_a_forged_one(store: SqliteStore) -> None:
    forged = make_alert(
        description="nothing to see",
        time="2020-01-01T00:00:00.000000Z",
        first_seen="2020-01-01T00:00:00.000000Z",
        evidence=["forged"],
        actor=Actor(user="nobody"),
    )
    store.record([], {}, 1.0, unauthenticated=[forged])
    assert store.record([make_alert()], {}, 2.0) == []
    assert shown(store) == (make_alert(), True)
    assert store.count(AlertFilter(user="nobody")) == 0
    assert store.count(AlertFilter(user="alice")) == 1
    assert store.count(AlertFilter(until=datetime(2021, 1, 1, tzinfo=UTC))) == 0


def test_a_forged_alert_adds_nothing_to_an_authenticated_one(store: SqliteStore) -> None:
    store.record([make_alert()], {}, 1.0)
    store.record([], {}, 2.0, unauthenticated=[make_alert(evidence=["forged"])])
    assert shown(store) == (make_alert(), True)


def test_stages_of_unauthenticated_senders_merge(store: SqliteStore) -> None:
    for evidence in ("one", "two"):
        store.record([], {}, 1.0, unauthenticated=[make_alert(evidence=[evidence])])
    assert shown(store) == (make_alert(evidence=["one", "two"]), False)


def test_only_new_alerts_are_returned(store: SqliteStore) -> None:
    first, second = make_alert("a1"), make_alert("a2")
    assert store.record([first], {}, 1.0) == [first]
    assert store.record([first, second, second], {}, 2.0) == [second]
    assert store.count() == 2


def test_an_alert_comes_back_as_it_was(store: SqliteStore) -> None:
    alert = make_alert(fields={"big": 2**70, "list": [1, None, "x"], "nested": {"a": True}})
    store.record([alert], {}, 1.0)
    stored = store.alert("a1")
    assert stored is not None
    assert stored.alert == alert
    assert store.alert("absent") is None


def test_a_later_stage_adds_its_evidence_and_nothing_else(store: SqliteStore) -> None:
    store.record([make_alert()], {}, 1.0)
    later = make_alert(
        description="changed",
        count=7,
        evidence=["digest-1", "digest-2"],
        first_seen="2026-11-23T10:45:15.000000Z",
        last_seen="2026-11-23T10:45:17.000000Z",
    )
    for _ in range(3):
        store.record([later], {}, 2.0)
    stored = store.alert("a1")
    assert stored is not None
    assert stored.alert == make_alert(
        evidence=["digest-1", "digest-2"],
        first_seen="2026-11-23T10:45:15.000000Z",
        last_seen="2026-11-23T10:45:17.000000Z",
    )


def test_evaluating_again_changes_no_byte(store: SqliteStore, tmp_path: Path) -> None:
    alerts = [make_alert(f"a{n}") for n in range(10)]
    store.record(alerts, {"detector": 5}, 1.0)
    before = list(store.follow(0, 100))
    store.record(alerts, {"detector": 5}, 9.0)
    assert store.follow(0, 100) == before


def test_positions_are_kept_per_reader(store: SqliteStore) -> None:
    assert store.cursor("detector") == 0
    store.record([], {"detector": 5, "archive": 7}, 1.0)
    store.record([], {"detector": 6}, 1.0)
    assert (store.cursor("detector"), store.cursor("archive")) == (6, 7)


def test_alerts_and_position_fail_together(store: SqliteStore) -> None:
    broken = make_alert("a2", fields={"x": object()})
    with pytest.raises(TypeError):
        store.record([make_alert("a1"), broken], {"detector": 5}, 1.0)
    assert store.count() == 0
    assert store.cursor("detector") == 0


def at(minute: int) -> str:
    return f"2026-11-23T10:{minute:02d}:00.000000Z"


def test_lists_are_newest_event_first_and_page_by_row(store: SqliteStore) -> None:
    minutes = [3, 1, 2, 2, 5, 0]
    store.record([make_alert(f"a{n}", time=at(m)) for n, m in enumerate(minutes)], {}, 1.0)
    expected = ["a4", "a0", "a3", "a2", "a1", "a5"]
    assert ids([*store.alerts(ALL, 100)]) == expected
    for size in range(1, 7):
        pages: list[str] = []
        before = None
        while page := store.alerts(ALL, size, before):
            pages += ids([*page])
            before = page[-1].seq
        assert pages == expected


def test_followers_see_each_alert_once_in_order_of_arrival(store: SqliteStore) -> None:
    seen: list[str] = []
    position = 0
    for n in range(5):
        store.record([make_alert(f"a{n}-{k}", time=at(9 - n)) for k in range(3)], {}, 1.0)
        while rows := store.follow(position, 2):
            seen += ids([*rows])
            position = rows[-1].seq
    assert seen == [f"a{n}-{k}" for n, k in itertools.product(range(5), range(3))]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (ALL, {"base", "low", "other"}),
        (AlertFilter(min_severity="high"), {"base", "other"}),
        (AlertFilter(cluster="test"), {"other"}),
        (AlertFilter(rule_id="r2"), {"low"}),
        (AlertFilter(user="mallory"), {"other"}),
        (AlertFilter(namespace="shop"), {"base", "low"}),
        (AlertFilter(user="nobody"), set()),
        (AlertFilter(since=datetime(2026, 11, 23, 10, 5, tzinfo=UTC)), {"low", "other"}),
        (AlertFilter(until=datetime(2026, 11, 23, 10, 5, tzinfo=UTC)), {"base"}),
        (
            AlertFilter(since=datetime(2026, 11, 23, 11, 5, tzinfo=timezone(timedelta(hours=1)))),
            {"low", "other"},
        ),
        (AlertFilter(text="MALLORY"), {"other"}),
        (AlertFilter(text='say "hi"'), {"low"}),
        (AlertFilter(text="100%"), {"low"}),
        (AlertFilter(text="%"), {"low"}),
        (AlertFilter(text="\udcff"), set()),
        (AlertFilter(user="\udcff"), set()),
        (AlertFilter(namespace="shop", min_severity="high", text="alice"), {"base"}),
    ],
)
def test_filters(store: SqliteStore, where: AlertFilter, expected: set[str]) -> None:
    low = with_severity(make_alert("low", time=at(5), description='say "hi" 100%'), "low")
    other = make_alert("other", time=at(6), cluster="test")
    alerts = [
        make_alert("base", time=at(4)),
        msgspec.structs.replace(low, rule=msgspec.structs.replace(low.rule, id="r2")),
        msgspec.structs.replace(
            other,
            actor=msgspec.structs.replace(other.actor, user="mallory"),
            target=msgspec.structs.replace(other.target, namespace=None),
        ),
    ]
    store.record(alerts, {}, 1.0)
    assert set(ids([*store.alerts(where, 10)])) == expected
    assert set(ids([*store.follow(0, 10, where)])) == expected
    assert store.count(where) == len(expected)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_kept_and_found(store: SqliteStore, text: str) -> None:
    alert = hostile_alert(text)
    store.record([alert], {}, 1.0)
    (found,) = store.alerts(AlertFilter(user=text, namespace=text, text=text), 10)
    assert found.alert == alert


@given(text=st.text(), numbers=st.lists(st.integers()))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_text_makes_the_round_trip(store: SqliteStore, text: str, numbers: list[int]) -> None:
    alert = hostile_alert(text, alert_id=f"id-{text}-{numbers}")
    alert.fields["numbers"] = numbers
    store.record([alert], {}, 1.0)
    stored = store.alert(alert.id)
    assert stored is not None
    assert stored.alert == alert


def test_a_damaged_row_is_left_out_and_healed_by_its_next_evaluation(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.record([make_alert("a1"), make_alert("a2")], {}, 1.0)
    with store._database.write() as connection:
        connection.execute("UPDATE alert SET body = substr(body, 9) WHERE id = 'a1'")
    assert ids([*store.alerts(ALL, 10)]) == ["a2"]
    assert "damaged" in caplog.text
    keys = [topic.key for topic in store.outbox.topics("chat", 99.0)]
    taken = store.outbox.take("chat", keys, 10, 99.0, whole=True)
    assert [one.id for one in taken.alerts] == ["a2"]
    assert store.health.findings()[0].kind == "notify"
    store.record([make_alert("a1")], {}, 2.0)
    assert store.alert("a1") is not None


def test_other_processes_read_and_write_the_same_store(store: SqliteStore, tmp_path: Path) -> None:
    path = tmp_path / "data" / "tocsin.db"
    with join_store(path) as writer, read_store(path) as reader:
        store.record([make_alert("a1")], {"detector": 3}, 1.0)
        assert reader.cursor("detector") == 3
        assert [topic.key for topic in writer.outbox.topics("chat", 99.0)] == ["alert a1"]
        taken = writer.outbox.take("chat", ["alert a1"], 1, 99.0, whole=True)
        writer.outbox.sent("chat", taken.rows, {})
        assert store.outbox.backlog() == {}
        assert reader.count() == 1


def test_files_are_for_the_owner_only(store: SqliteStore, tmp_path: Path) -> None:
    store.record([make_alert()], {}, 1.0)
    folder = tmp_path / "data"
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert set(modes) == {
        "tocsin.db",
        "tocsin.db-wal",
        "tocsin.db-shm",
        "tocsin.db.lock",
    }
    assert set(modes.values()) == {0o600}


def test_health_findings_are_counted_and_cleared(store: SqliteStore) -> None:
    store.health.report("ingest", "gap", "first", 10.0)
    store.health.report("ingest", "gap", "second " + "x" * 5000, 20.0)
    store.health.report("rules", "r1", "other", 15.0)
    latest, other = store.health.findings()
    assert (latest.key, latest.since, latest.last, latest.count) == ("gap", 10.0, 20.0, 2)
    assert latest.message.startswith("second")
    assert len(latest.message) <= 2000
    assert other.key == "r1"
    store.health.clear("ingest", "gap")
    assert [finding.key for finding in store.health.findings()] == ["r1"]
