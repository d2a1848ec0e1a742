from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.audit import event
from tocsin.ingest.spool import PostMeta
from tocsin.lifeline.canary import canary_id, canary_key
from tocsin.model.event import AuditEvent
from tocsin.model.ports import CanaryState, LineUpdate
from tocsin.respond.marks import Marks, marks_key
from tocsin.runtime.listener import KIND_POSTS, Listener
from tocsin.store import SqliteStore, own_store

KEY = b"k" * 32
RECEIVED = 1_700_000_000
NOW = RECEIVED + 0.5


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with own_store(tmp_path / "tocsin.db", {}, 1.0) as opened:
        yield opened


def hear(listener: Listener, *events: AuditEvent, at: int = RECEIVED) -> None:
    meta = PostMeta("prod", "cp-1", None, "webhook", at * 1_000_000)
    listener.begin(meta)
    listener.look(events)
    listener.note(meta, len(events), NOW)


def update(listener: Listener, store: SqliteStore, now: float = NOW) -> LineUpdate:
    made = listener.update(now)
    store.record([], {}, now, line=made)
    listener.stored()
    return made


def test_what_is_heard_is_stored_once_and_gone_on_from(store: SqliteStore) -> None:
    listener = Listener(store.sources, KEY, 300)
    hear(listener, event(), event())
    update(listener, store)
    (state,) = store.sources.sources()
    assert (state.events, state.posts, state.first_received) == (2, 1, RECEIVED)
    (observed,) = store.sources.observations("prod")
    assert (observed.resource, observed.count) == ("pods", 2)
    assert update(listener, store, NOW + 100) == LineUpdate([], {}, [], {})
    again = Listener(store.sources, KEY, 300)
    hear(again, event(), at=RECEIVED + 1)
    update(again, store)
    (state,) = store.sources.sources()
    assert (state.events, state.posts) == (3, 2)


def test_post_without_events_is_no_sign_of_life(store: SqliteStore) -> None:
    listener = Listener(store.sources, KEY, 300)
    hear(listener)
    assert not listener.update(NOW).sources


def test_what_could_not_be_stored_is_stored_next_time(store: SqliteStore) -> None:
    listener = Listener(store.sources, KEY, 300)
    hear(listener, event())
    first = listener.update(NOW)
    assert first.sources
    assert first.observations
    assert listener.update(NOW + 1) == first


def test_only_true_canaries_are_heard(store: SqliteStore) -> None:
    listener = Listener(store.sources, KEY, 300)
    sent = [canary_id(canary_key(KEY), "prod", RECEIVED + second) for second in (1, 3, 2)]
    forged = canary_id(canary_key(b"x" * 32), "prod", RECEIVED + 9)
    other = canary_id(canary_key(KEY), "dev", RECEIVED + 9)
    hear(listener, *(event(auditID=one) for one in [*sent, forged, other, "x"]))
    update(listener, store)
    assert store.sources.canaries() == [CanaryState("prod", "cp-1", RECEIVED + 3, NOW)]


def test_kinds_are_counted_in_so_many_posts_a_second(store: SqliteStore) -> None:
    listener = Listener(store.sources, KEY, 300)
    for _ in range(KIND_POSTS + 5):
        hear(listener, event())
    hear(listener, event(), at=RECEIVED + 1)
    update(listener, store)
    (observed,) = store.sources.observations("prod")
    assert observed.count == KIND_POSTS + 1


def test_observations_are_stored_now_and_then(store: SqliteStore) -> None:
    listener = Listener(store.sources, KEY, 300)
    hear(listener, event())
    update(listener, store)
    hear(listener, event())
    assert not update(listener, store, NOW + 1).observations
    assert update(listener, store, NOW + 6).observations


def test_only_a_verified_mark_is_a_proof(store: SqliteStore) -> None:
    """A request that claims to be the responder's proves nothing without the code."""
    listener = Listener(store.sources, KEY, 300)
    ours = Marks(marks_key(KEY), "prod").mint("0a" * 16, 1)
    foreign = Marks(marks_key(KEY), "other").mint("0a" * 16, 1)
    hear(listener, *(event(auditID=one) for one in (ours, foreign, "tocsin-x", "tocsin-")))
    update(listener, store)
    (proof,) = store.responses.proofs(0)
    assert (proof.response, proof.audit_id, proof.resource) == ("0a" * 16, ours, "pods")
    assert listener.is_ours("prod", ours)
    assert not listener.is_ours("prod", foreign)
    meta = PostMeta("prod", "cp-1", None, "unauthenticated", RECEIVED * 1_000_000)
    listener.begin(meta)
    listener.look([event(auditID=Marks(marks_key(KEY), "prod").mint("0b" * 16, 1))])
    listener.note(meta, 1, NOW)
    update(listener, store)
    assert len(store.responses.proofs(0)) == 1
