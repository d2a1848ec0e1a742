"""Silences, and alerts that are kept though nobody is told of them."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.unit.store.samples import make_alert, with_severity
from tocsin.model.errors import TocsinError
from tocsin.model.matcher import Matcher
from tocsin.model.ports import AlertFilter
from tocsin.model.preview import preview
from tocsin.model.silence import MAX_ACTIVE, HiddenCount, Silence, new_silence
from tocsin.model.store import Store

NOW = 1_764_000_000.0
SHOWN, WITH, ONLY = AlertFilter(), AlertFilter(hidden="with"), AlertFilter(hidden="only")


def silence(**parts: str) -> Silence:
    return new_silence(Matcher(**parts), "eve", "a test", NOW, 60.0)  # type: ignore[arg-type]


def ids(store: Store, where: AlertFilter) -> list[str]:
    return [one.alert.id for one in store.alerts(where, 10)]


def test_a_silence_is_kept_as_it_was_made(store: Store) -> None:
    made = silence(rule="5c1b", user="al*", severity="low")
    added = store.silences.add(made)
    assert msgspec.structs.replace(added, id=0) == made
    assert store.silences.silence(added.id) == added
    second = store.silences.add(silence(rule="x"))
    assert store.silences.silences() == [second, added]
    assert store.silences.active(NOW + 59) == [added, second]
    assert store.silences.active(NOW + 60) == []


def test_ending_happens_once_and_is_noted(store: Store) -> None:
    added = store.silences.add(silence(rule="5c1b"))
    ended = store.silences.end(added.id, "bob", NOW + 10)
    assert (ended.ended, ended.ended_by) == (NOW + 10, "bob")
    assert store.silences.active(NOW + 11) == []
    assert store.silences.end(added.id, "eve", NOW + 20) == ended
    with pytest.raises(TocsinError, match="no silence 99"):
        store.silences.end(99, "bob", NOW)


def test_one_that_expired_is_not_ended(store: Store) -> None:
    added = store.silences.add(silence(rule="5c1b"))
    assert store.silences.end(added.id, "bob", NOW + 61) == added


def test_text_that_is_no_unicode_is_kept(store: Store) -> None:
    added = store.silences.add(silence(user="\udcff"))
    assert added.matcher.user == "?"


def test_active_silences_are_bounded(store: Store) -> None:
    first = store.silences.add(silence(rule="0"))
    for number in range(1, MAX_ACTIVE):
        store.silences.add(silence(rule=str(number)))
    with pytest.raises(TocsinError, match="end some of them"):
        store.silences.add(silence(rule="more"))
    store.silences.end(first.id, "eve", NOW)
    store.silences.add(silence(rule="more"))


def test_hidden_alerts_are_shown_only_when_asked_for(store: Store) -> None:
    store.record([make_alert("a"), make_alert("b")], {}, NOW, hidden={"b": "silence:7"})
    assert ids(store, SHOWN) == ["a"]
    assert set(ids(store, WITH)) == {"a", "b"}
    assert ids(store, ONLY) == ["b"]
    found = store.alert("b")
    assert found is not None
    assert found.hidden_by == "silence:7"
    assert [one.hidden_by for one in store.follow(0, 9, WITH)] == [None, "silence:7"]
    assert [one.alert.id for one in store.follow(0, 9)] == ["a"]


@pytest.mark.parametrize("narrowed", [{}, {"user": "alice"}])
def test_counts_tell_hidden_alerts_apart(store: Store, narrowed: dict[str, str]) -> None:
    alerts = [make_alert(str(number)) for number in range(5)]
    store.record(alerts, {}, NOW, hidden={"1": "suppress", "2": "suppress"})
    wheres = [AlertFilter(hidden=one, **narrowed) for one in ("without", "with", "only")]  # type: ignore[arg-type]
    assert [store.count(where) for where in wheres] == [3, 5, 2]
    start = datetime(2026, 11, 23, 10, tzinfo=UTC)
    drawn = [store.timeline(where, start, start + timedelta(hours=1), 6) for where in wheres]
    sums = [sum(sum(bucket.counts.values()) for bucket in one) for one in drawn]
    assert sums == [3, 5, 2]
    for by in ("rule", "severity", "technique"):
        assert [store.facets(where, by, 9)[0].count for where in wheres] == [3, 5, 2]
    assert store.usage(NOW).alerts == 5


def test_what_was_hidden_is_counted_by_rule(store: Store) -> None:
    added = store.silences.add(silence(user="alice"))
    other = msgspec.structs.replace(make_alert("o").rule, id="other")
    alerts = [make_alert("a"), make_alert("b"), make_alert("c", rule=other), make_alert("d")]
    hidden = {"a": added.mark, "b": "suppress", "c": added.mark}
    store.record(alerts, {}, NOW, hidden=hidden)
    # What is known is not hidden again.
    store.record(alerts, {}, NOW + 1, hidden=hidden | {"d": "suppress"})
    assert store.silences.hidden() == [
        HiddenCount(added.mark, "5c1b", 1, NOW),
        HiddenCount(added.mark, "other", 1, NOW),
        HiddenCount("suppress", "5c1b", 1, NOW),
    ]
    (found,) = store.silences.silences()
    assert found.hidden == 2
    shown = store.alert("d")
    assert shown is not None
    assert shown.hidden_by is None


def test_a_hidden_forgery_does_not_hide_the_real_alert(store: Store) -> None:
    store.record([], {}, NOW, [make_alert("a")], hidden={"a": "suppress"})
    assert ids(store, SHOWN) == []
    new = store.record([make_alert("a")], {}, NOW)
    assert [alert.id for alert in new] == ["a"]
    found = store.alert("a")
    assert found is not None
    assert (found.hidden_by, found.authenticated) == (None, True)
    assert store.count(WITH) == 1


def test_a_preview_says_what_would_have_been_hidden(store: Store) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
    alerts = [make_alert(str(number)) for number in range(8)]
    old = make_alert("old", time="2026-10-01T00:00:00.000000Z")
    worst = with_severity(make_alert("worst"), "critical")
    store.record([*alerts, old, worst], {}, NOW, hidden={"0": "suppress"})
    for matcher, count in (
        (Matcher(rule="5c1b"), 8),
        (Matcher(rule="5c1b", verb="create"), 8),
        (Matcher(user="alice"), 7),
        (Matcher(user="al*"), 7),
        (Matcher(user="bob"), 0),
        (Matcher(rule="5c1b", verb="get"), 0),
    ):
        found = preview(store, matcher, now)
        assert (found.count, found.complete) == (count, True), matcher
        assert len(found.alerts) == min(count, 5)
    with pytest.raises(TocsinError):
        preview(store, Matcher(), now)
