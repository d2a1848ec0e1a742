"""The full-text index: found is what a plain search finds, whatever state the index is in."""

import contextlib
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.store.contract.alerts import matches
from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert
from tocsin.model.ports import AlertFilter, StoreUnavailable
from tocsin.model.queries import QueryTooWide
from tocsin.store import SqliteStore
from tocsin.store.sqlite import search
from tocsin.store.sqlite.database import READERS

ALPHABET = "abAB \"\\'\u0000\u0130\u0131S\u017fKk\u212aßé*-\U0001f600"

texts = st.text(st.sampled_from(ALPHABET), max_size=12)


def found(store: SqliteStore, text: str) -> set[str]:
    return {row.alert.id for row in store.alerts(AlertFilter(text=text), 1000)}


@given(stored=st.lists(texts, max_size=6), wanted=texts, known=st.integers(0, 6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_found_is_what_contains_the_text(
    store: SqliteStore, stored: list[str], wanted: str, known: int
) -> None:
    alerts = [make_alert(f"a{n}", description=text) for n, text in enumerate(stored)]
    with store._database.write() as connection:
        connection.execute("DELETE FROM alert")
    while store.text.catch_up(100):
        pass
    store.record(alerts, {}, 1.0)
    if known:
        store.text.catch_up(known)
    where = AlertFilter(text=wanted)
    assert found(store, wanted) == {alert.id for alert in alerts if matches(alert, where)}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_indexed_and_found(store: SqliteStore, text: str) -> None:
    store.record([hostile_alert(text), make_alert("other")], {}, 1.0)
    assert not store.text.catch_up(10)
    assert "a1" in found(store, text)
    assert "a1" in found(store, text[-40:])


def test_what_an_alert_no_longer_says_is_not_found(store: SqliteStore) -> None:
    forged = make_alert(description="forged words", time="2026-11-23T09:00:00.000000Z")
    store.record([], {}, 1.0, unauthenticated=[forged])
    store.text.catch_up(10)
    store.record([make_alert(description="honest words")], {}, 2.0)
    for _ in range(2):
        assert found(store, "forged") == set()
        assert found(store, "honest") == {"a1"}
        assert not store.text.catch_up(10)


def test_the_index_is_filled_in_steps(store: SqliteStore) -> None:
    store.record([make_alert(f"a{n}") for n in range(25)], {}, 1.0)
    assert store.usage(1.0).unindexed == 25
    assert store.text.catch_up(10)
    assert store.usage(1.0).unindexed == 15
    assert store.text.catch_up(10)
    assert not store.text.catch_up(10)
    assert not store.text.catch_up(10)
    assert store.usage(1.0).unindexed == 0
    assert len(found(store, "privileged")) == 25


def test_what_many_have_is_found_without_the_index(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MANY_CANDIDATES", 5)
    store.record([make_alert(f"a{n}") for n in range(20)], {}, 1.0)
    store.text.catch_up(100)
    assert len(found(store, "privileged")) == 20
    assert store.count(AlertFilter(text="privileged")) == 20


def test_a_damaged_index_is_made_anew(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    store.record([make_alert("a1"), make_alert("a2", description="rare")], {}, 1.0)
    store.text.catch_up(10)
    ruin(store)
    assert found(store, "rare") == {"a2"}
    store.record([make_alert("a3", description="rare too")], {}, 2.0)
    with caplog.at_level(logging.ERROR):
        assert store.text.catch_up(10)
    assert "made anew" in caplog.text
    assert not store.text.catch_up(10)
    assert found(store, "rare") == {"a2", "a3"}
    assert [finding.key for finding in store.health.findings()] == ["text-index"]


def ruin(store: SqliteStore) -> None:
    with store._database.write() as connection:
        connection.execute("UPDATE alert_text_data SET block = x'00ff00ff00ff00ff'")


def test_what_takes_too_long_is_refused(store: SqliteStore) -> None:
    store.record([make_alert(f"a{n}") for n in range(1000)], {}, 1.0)
    with pytest.raises(QueryTooWide, match="narrow the time range"):
        store.count(AlertFilter(text="zz"), seconds=0.0)
    assert store.count(AlertFilter(text="zz")) == 0


def test_an_ordinary_alert_is_no_needle_in_a_haystack(store: SqliteStore) -> None:
    alerts = [make_alert(f"a{n}") for n in range(10)]
    store.record(alerts, {}, 1.0)
    assert found(store, "") == {alert.id for alert in alerts}


def test_whoever_finds_all_readers_busy_is_told_in_time(store: SqliteStore) -> None:
    with contextlib.ExitStack() as others:
        for _ in range(READERS):
            others.enter_context(store._database.read())
        with pytest.raises(StoreUnavailable, match="busy"):
            store.count(AlertFilter(text="x"), seconds=0.01)
    assert store.count() == 0
