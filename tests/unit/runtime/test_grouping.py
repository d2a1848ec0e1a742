"""Grouping as a reader of its own: what it wrote and how far it read are one commit."""

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.incidents.samples import EVERYTHING, SHARED, alert, new_store, partition
from tocsin.incidents import group as grouping_code
from tocsin.model.ports import StoreUnavailable
from tocsin.runtime import grouping as module
from tocsin.runtime.grouping import BATCH, Grouping, GroupingMetrics, shared_identities
from tocsin.runtime.rules import named_sets
from tocsin.store.sqlite import SqliteStore
from tocsin.store.sqlite.grouping import READER


def samples(metrics: GroupingMetrics) -> dict[str, float]:
    return {
        "grouped": metrics.grouped._value.get(),
        "failed": metrics.failed._value.get(),
        "lag": metrics.lag._value.get(),
    }


def test_shared_identities_come_from_the_named_sets() -> None:
    shared = shared_identities(named_sets({"shared_identities": ["ci-*"]}))
    for user in (
        "system:serviceaccount:kube-system:deployment-controller",
        "system:kube-scheduler",
        "system:node:node-a",
        "ci-runner",
    ):
        assert user in shared
    for user in ("kubernetes-admin", "system:admin", "system:serviceaccount:shop:ci"):
        assert user not in shared


def test_an_old_store_is_grouped_in_bounded_batches() -> None:
    with new_store() as store:
        store.record([alert(f"a{n}", n / 60) for n in range(BATCH + 5)], {}, 1000.0)
        metrics = GroupingMetrics(CollectorRegistry())
        grouping = Grouping(store, SHARED, metrics)
        assert grouping.step(1000.0)
        assert store.cursor(READER) == BATCH
        assert grouping.step(1000.0)
        assert not grouping.step(1000.0)
        assert len(partition(store)) == 1
        assert samples(metrics) == {"grouped": BATCH + 5, "failed": 0, "lag": 0}


def test_a_fault_costs_one_alert_its_incident_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with new_store() as store:
        store.record([alert("a"), alert("bad", 1), alert("b", 2)], {}, 1000.0)
        metrics = GroupingMetrics(CollectorRegistry())
        real = grouping_code.place

        def place(stored, *rest):  # type: ignore[no-untyped-def]
            if stored.alert.id == "bad":
                message = "planted"
                raise KeyError(message)
            real(stored, *rest)

        monkeypatch.setattr(module, "place", place)
        grouping = Grouping(store, SHARED, metrics)
        assert grouping.step(1000.0)
        assert not grouping.step(1000.0)
        assert partition(store) == {frozenset({"a", "b"})}
        assert samples(metrics) == {"grouped": 2, "failed": 1, "lag": 0}
        (finding,) = store.health.findings()
        assert finding.kind == "incidents"
        assert "(KeyError): bad; it is recorded" in finding.message


def test_a_store_that_is_not_there_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with new_store() as store:
        store.record([alert("a")], {}, 1000.0)
        grouping = Grouping(store, SHARED)

        def place(*_: object) -> None:
            message = "locked"
            raise StoreUnavailable(message)

        with monkeypatch.context() as patch:
            patch.setattr(module, "place", place)
            with pytest.raises(StoreUnavailable):
                grouping.step(1000.0)
        assert store.cursor(READER) == 0
        assert grouping.step(1000.0)
        assert len(store.incidents.incidents(EVERYTHING, 9)) == 1


def test_links_of_old_facts_are_forgotten() -> None:
    with new_store() as store:
        store.record([alert("f", 0, severity="info")], {}, 1000.0)
        grouping = Grouping(store, SHARED)
        grouping.step(1000.0)
        assert facts(store)
        grouping.tend(1000.0 + 86400)
        assert facts(store)
        grouping.tend(1000.0 + 4 * 86400)
        assert not facts(store)


def facts(store: SqliteStore) -> int:
    with store._database.read() as connection:
        (count,) = connection.execute("SELECT count(*) FROM incident_fact").fetchone()
    return int(count)


def test_open_incidents_are_a_metric() -> None:
    with new_store() as store:
        store.record([alert("a", severity="high")], {}, 1000.0)
        metrics = GroupingMetrics(CollectorRegistry())
        grouping = Grouping(store, SHARED, metrics)
        grouping.step(1000.0)
        grouping.tend(1000.0)
        assert metrics.open.labels("high")._value.get() == 1
        assert metrics.open.labels("low")._value.get() == 0
