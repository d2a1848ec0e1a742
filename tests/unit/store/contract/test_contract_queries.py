"""Lists, counts, timelines and facets say what a look at each alert says."""

from collections import Counter
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.store.contract.alerts import START, matches, varied
from tests.unit.store.samples import make_alert, with_severity
from tocsin.model.alert import SEVERITIES, Alert
from tocsin.model.errors import TocsinError
from tocsin.model.ports import AlertFilter, LineUpdate, Retention
from tocsin.model.queries import FACETS, FacetName
from tocsin.model.store import Store

ALERTS = varied(300)
MINUTE = timedelta(minutes=1)


def optional(*values: str) -> st.SearchStrategy[str | None]:
    return st.one_of(st.none(), st.sampled_from(values))


moments = st.one_of(
    st.none(),
    st.integers(-20, 200).map(lambda minutes: START + minutes * MINUTE),
    st.integers(0, 10_800).map(lambda seconds: START + timedelta(seconds=seconds)),
)
filters = st.builds(
    AlertFilter,
    since=moments,
    until=moments,
    min_severity=st.sampled_from(SEVERITIES),
    cluster=optional("prod", "test", "none"),
    rule_id=optional("rule-1", "none"),
    user=optional("alice", "none"),
    namespace=optional("shop"),
    technique=optional("T1611", "T1552", "T1552.007", "T155"),
    text=optional("that", "ÜMLAUT", "ümlaut", "a", "", 'user":"bob', "did thi", "x" * 40, '"'),
)


def fill(store: Store) -> None:
    if not store.count(AlertFilter()):
        store.record(ALERTS, {}, 1.0)


def expected(where: AlertFilter) -> list[Alert]:
    return [alert for alert in ALERTS if matches(alert, where)]


@given(where=filters)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lists_and_counts(store: Store, where: AlertFilter) -> None:
    fill(store)
    wanted = sorted(expected(where), key=lambda alert: alert.time, reverse=True)
    found = [row.alert for row in store.alerts(where, 1000)]
    assert [alert.time for alert in found] == [alert.time for alert in wanted]
    assert {alert.id for alert in found} == {alert.id for alert in wanted}
    assert store.count(where) == len(wanted)


@given(where=filters, by=st.sampled_from(FACETS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_facets(store: Store, where: AlertFilter, by: FacetName) -> None:
    fill(store)
    counts: Counter[str | None] = Counter()
    for alert in expected(where):
        counts.update(values(alert, by))
    found = store.facets(where, by, 100)
    assert {facet.value: facet.count for facet in found} == counts
    assert [facet.count for facet in found] == sorted(counts.values(), reverse=True)
    assert store.facets(where, by, 1) == found[:1]


def values(alert: Alert, by: FacetName) -> list[str | None]:
    if by == "technique":
        return [found.technique for found in alert.rule.attack] or [None]
    single: dict[str, str | None] = {
        "rule": alert.rule.id,
        "user": alert.actor.user,
        "namespace": alert.target.namespace,
        "cluster": alert.cluster,
        "severity": alert.rule.severity,
    }
    return [single[by]]


@given(
    where=filters,
    start=st.integers(-90, 170),
    minutes=st.integers(1, 4000),
    buckets=st.integers(1, 300),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_timelines(
    store: Store, where: AlertFilter, start: int, minutes: int, buckets: int
) -> None:
    fill(store)
    begin, end = START + start * MINUTE, START + (start + minutes) * MINUTE
    found = store.timeline(where, begin, end, buckets)
    starts = [bucket.start for bucket in found]
    assert 1 <= len(found) <= buckets
    length = max(1, -(-minutes // buckets)) * MINUTE if len(found) == 1 else starts[1] - starts[0]
    assert starts == [starts[0] + number * length for number in range(len(found))]
    assert starts[0] <= begin
    assert starts[-1] < end <= starts[-1] + length or len(found) == 1
    counted = Counter[str]()
    for bucket in found:
        counted.update(bucket.counts)
    inside = msgspec.structs.replace(
        where,
        since=max(filter(None, (starts[0], where.since))),
        until=min(filter(None, (starts[-1] + length, where.until))),
    )
    if len(found) > 1:
        assert counted == Counter(alert.rule.severity for alert in expected(inside))


def test_a_timeline_of_whole_hours_leaves_out_what_is_before_its_start(store: Store) -> None:
    fill(store)
    start, end = START + 2 * MINUTE, START + 121 * MINUTE
    where = AlertFilter(since=start, until=end)
    found = store.timeline(where, start, end, 2)
    assert found[0].start == START
    assert sum(sum(bucket.counts.values()) for bucket in found) == len(expected(where))


def test_a_timeline_counts_each_alert_in_its_bucket(store: Store) -> None:
    fill(store)
    for bucket in store.timeline(AlertFilter(), START, START + 180 * MINUTE, 36):
        where = AlertFilter(since=bucket.start, until=bucket.start + 5 * MINUTE)
        assert bucket.counts == Counter(alert.rule.severity for alert in expected(where))


def test_a_timeline_follows_what_happens_to_alerts(store: Store) -> None:
    early = with_severity(make_alert("a1", time="2026-11-23T10:00:01.000000Z"), "low")
    late = with_severity(make_alert("a1", time="2026-11-23T11:30:00.000000Z"), "low")

    def counts() -> list[int]:
        line = store.timeline(AlertFilter(), START, START + 120 * MINUTE, 2)
        return [bucket.counts.get("low", 0) for bucket in line]

    store.record([], {}, 1.0, unauthenticated=[early])
    assert counts() == [1, 0]
    store.record([late], {}, 2.0)
    assert counts() == [0, 1]
    assert not store.prune(1e9, Retention(1, 10, 10**9)) or counts() == [0, 0]
    assert counts() == [0, 0]


@pytest.mark.parametrize(("hours", "buckets"), [(0, 10), (-1, 10), (1, 0), (1, 100_000)])
def test_a_timeline_that_makes_no_sense_is_refused(store: Store, hours: int, buckets: int) -> None:
    with pytest.raises(TocsinError, match="a timeline needs"):
        store.timeline(AlertFilter(), START, START + timedelta(hours=hours), buckets)


def test_pages_hold_each_alert_once(store: Store) -> None:
    fill(store)
    for where in (AlertFilter(), AlertFilter(text="that"), AlertFilter(user="alice")):
        seen: list[str] = []
        before = None
        while page := store.alerts(where, 7, before):
            seen += [row.alert.id for row in page]
            before = page[-1].seq
        assert len(seen) == len(set(seen))
        assert set(seen) == {alert.id for alert in expected(where)}


def test_events_are_counted_by_minute_and_cluster(store: Store) -> None:
    first = int(START.timestamp()) // 60
    store.record([], {}, 1.0, line=LineUpdate(received={("prod", first): 3, ("test", first): 4}))
    store.record(
        [], {}, 1.0, line=LineUpdate(received={("prod", first): 1, ("prod", first + 61): 9})
    )
    end = START + 120 * MINUTE
    for cluster, counts in ((None, [8, 9]), ("prod", [4, 9]), ("test", [4, 0]), ("none", [0, 0])):
        found = store.event_timeline(cluster, START, end, 2)
        assert [bucket.count for bucket in found] == counts


def test_the_version_changes_with_the_store_and_not_without(store: Store) -> None:
    versions = [store.version()]
    store.record([make_alert()], {}, 1.0)
    versions.append(store.version())
    store.health.report("kind", "key", "message", 1.0)
    versions.append(store.version())
    store.people.note("alice", "did", "it", 1.0)
    versions.append(store.version())
    assert len(set(versions)) == 4
    assert store.version() == versions[-1]


def test_usage(store: Store) -> None:
    store.record(varied(50), {}, 1000.0)
    found = store.usage(1000.0 + 90_000)
    assert (found.alerts, found.oldest, found.recent) == (50, 1000.0, 0)
    assert found.used_bytes > 50 * 500
    assert store.usage(1001.0).recent == 50


def test_alerts_of_one_moment_are_paged_too(store: Store) -> None:
    same = [msgspec.structs.replace(alert, time=ALERTS[0].time) for alert in ALERTS[:20]]
    store.record(same, {}, 1.0)
    first = store.alerts(AlertFilter(), 8)
    rest = store.alerts(AlertFilter(), 100, first[-1].seq)
    assert len({row.seq for row in [*first, *rest]}) == 20
