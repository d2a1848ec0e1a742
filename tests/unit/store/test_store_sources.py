import pytest

from tests.unit.store.samples import make_alert
from tocsin.model.ports import CanaryState, LineUpdate, Observation, SourceState
from tocsin.store import SqliteStore

PODS = ("create", None, "pods", None, "Request")
ROLES = ("create", "rbac.authorization.k8s.io", "roles", None, None)


def source(node: str | None = "cp-1", way: str = "webhook", posts: int = 1) -> SourceState:
    return SourceState(
        cluster="prod", node=node, source=way, first_received=1.5, last_received=2.5, posts=posts
    )


def record(store: SqliteStore, line: LineUpdate, now: float = 1000.0) -> None:
    store.record([], {}, now, line=line)


def test_the_latest_state_of_each_source(store: SqliteStore) -> None:
    record(store, LineUpdate([source(), source(None), source(way="file")]))
    record(store, LineUpdate([source(posts=9)]))
    assert store.sources.sources() == [source(None), source(way="file"), source(posts=9)]


def test_what_the_lifeline_remembers_of_a_node(store: SqliteStore) -> None:
    record(store, LineUpdate(nodes={("prod", "cp-1"): b"\x00a", ("prod", None): b"b"}))
    record(store, LineUpdate(nodes={("prod", "cp-1"): b"c"}))
    assert store.sources.nodes() == {("prod", "cp-1"): b"c", ("prod", None): b"b"}


def test_the_newest_canary_of_each_cluster(store: SqliteStore) -> None:
    newest = CanaryState("prod", "cp-1", 20.0, 21.0)
    record(store, LineUpdate(canaries=[newest, CanaryState("dev", None, 5.0, 6.0)]))
    record(store, LineUpdate(canaries=[CanaryState("prod", "cp-2", 10.0, 30.0)]))
    assert sorted(store.sources.canaries(), key=lambda one: one.cluster) == [
        CanaryState("dev", None, 5.0, 6.0),
        newest,
    ]


def test_observations_are_summed_by_kind(store: SqliteStore) -> None:
    record(store, LineUpdate(observations={"prod": {PODS: 2, ROLES: 3}, "dev": {PODS: 1}}))
    record(store, LineUpdate(observations={"prod": {PODS: 2}}))
    assert store.sources.observations("prod") == [
        Observation("create", None, "pods", None, "Request", 4),
        Observation("create", "rbac.authorization.k8s.io", "roles", None, None, 3),
    ]
    assert store.sources.observations("other") == []
    assert store.sources.kinds() == {"prod": [ROLES, PODS], "dev": [PODS]}


def test_the_line_is_stored_with_the_position_or_not_at_all(store: SqliteStore) -> None:
    broken = LineUpdate([source()], nodes={("prod", "cp-1"): None})  # type: ignore[dict-item]
    with pytest.raises(Exception, match="NOT NULL"):
        store.record([make_alert()], {"detector": 7}, 1.0, line=broken)
    assert (store.count(), store.cursor("detector"), store.sources.sources()) == (0, 0, [])


def test_what_is_not_heard_any_more_is_forgotten(store: SqliteStore) -> None:
    old = LineUpdate([source()], {("prod", "cp-1"): b""}, [CanaryState("prod", None, 1.0, 100.0)])
    record(store, old, 100.0)
    record(store, LineUpdate([source("cp-2")], {("prod", "cp-2"): b""}), 200.0)
    store.sources.forget(150.0)
    assert [one.node for one in store.sources.sources()] == ["cp-2"]
    assert list(store.sources.nodes()) == [("prod", "cp-2")]
    assert store.sources.canaries() == []


def test_what_the_watcher_remembers(store: SqliteStore) -> None:
    assert store.sources.probe("prod") is None
    for state in ("{}", '{"a":1}'):
        store.sources.keep_probe("prod", state, 1.0)
        assert store.sources.probe("prod") == state
