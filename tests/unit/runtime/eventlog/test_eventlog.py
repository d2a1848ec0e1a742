"""The log of events over a real spool: what is found, in which order, and what is told."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from tests.unit.audit import encoded, event_list, item
from tests.unit.runtime.spooled import SEALER, START, log_of, post, posts_of, spool
from tocsin.detect.identity import event_digest
from tocsin.ingest.spool import SpoolHistory
from tocsin.ingest.spool import post as spool_post
from tocsin.ingest.spool.layout import spool_files
from tocsin.model.events import EventFilter, EventKey, FoundEvent, Progress
from tocsin.normalize.decode import decode
from tocsin.runtime.eventlog import posts
from tocsin.runtime.eventlog.log import SpoolEventLog


def names(log: SpoolEventLog, **where: object) -> list[str]:
    found = log.search(EventFilter(**where))  # type: ignore[arg-type]
    return [event.event.audit_id for event in found if isinstance(event, FoundEvent)]


def named(number: int, **changes: object) -> dict[str, object]:
    return {"auditID": f"a{number}", **changes}


def test_newest_first_through_posts_and_files(tmp_path: Path) -> None:
    spool(tmp_path, post(named(1), named(2)), post(named(3)))
    log = spool(tmp_path, post(named(4), named(5)), start=START + 600)
    assert len(spool_files(tmp_path)) == 2
    assert names(log) == ["a5", "a4", "a3", "a2", "a1"]


def test_what_a_found_event_tells(tmp_path: Path) -> None:
    body = post(named(1), named(2))
    log = spool(tmp_path, body)
    found = log.event(EventKey(1, 1))
    assert found is not None
    batch = decode(body)
    assert found.event == batch.events[1]
    assert found.raw == batch.raw(1)
    assert (found.cluster, found.node, found.source) == ("default", "cp-1", "webhook")
    assert found.received == START
    assert found.digest == event_digest("default", found.event, found.raw)
    assert found.shown["auditID"] == "a2"
    assert log.event(EventKey(1, 2)) is None
    assert log.event(EventKey(7, 0)) is None


MIXED = [
    named(0),
    named(1, verb="get"),
    named(2, user={"username": "bob"}),
    named(3, impersonatedUser={"username": "bob"}),
    named(4, objectRef={"resource": "pods", "subresource": "exec", "namespace": "shop"}),
    named(5, objectRef={"resource": "secrets", "namespace": "vault", "name": "tls"}),
    named(6, responseStatus={"code": 403}),
    named(7, objectRef=None, requestURI="/version"),
    named(8, annotations={"note": 'Say "Ünder\\Neath"'}),
]


FILTERS: tuple[tuple[dict[str, object], str], ...] = (
    ({"verb": "get"}, "a1"),
    ({"user": "bob"}, "a3 a2"),
    ({"resource": "pods/exec"}, "a4"),
    ({"resource": "secrets"}, "a5"),
    ({"resource": "pods", "user": "alice"}, "a8 a6 a4 a3 a1 a0"),
    ({"namespace": "vault"}, "a5"),
    ({"name": "tls"}, "a5"),
    ({"code": 403}, "a6"),
    ({"audit_id": "a7"}, "a7"),
    ({"text": "/VERSION"}, "a7"),
    ({"text": 'say "Ünder'}, "a8"),
    ({"text": "Under"}, ""),
    ({"text": '"code":403'}, "a6"),
    ({"cluster": "other"}, ""),
    ({"user": "alic"}, ""),
    ({"user": "bob", "verb": "get"}, ""),
)


def test_each_filter(tmp_path: Path) -> None:
    log = spool(tmp_path, *posts_of(MIXED, 4))
    for where, wanted in FILTERS:
        assert names(log, **where) == wanted.split(), where


def test_time_is_when_it_was_received(tmp_path: Path) -> None:
    log = spool(tmp_path, *(post(named(number)) for number in range(5)))

    def at(minute: int) -> datetime:
        return datetime.fromtimestamp(START + 60 * minute, UTC)

    assert names(log, since=at(3)) == ["a4", "a3"]
    assert names(log, until=at(2)) == ["a1", "a0"]
    assert names(log, since=at(1), until=at(2)) == ["a1"]


def test_a_search_ends_where_nothing_older_can_match(tmp_path: Path) -> None:
    log = spool(tmp_path, *(post(named(number)) for number in range(5)), step=3600)
    since = datetime.fromtimestamp(START + 4 * 3600, UTC)
    steps = [item for item in log.search(EventFilter(since=since)) if isinstance(item, Progress)]
    assert [step.finished for step in steps] == [False, True]
    assert steps[-1].posts == 1


def test_pages_follow_each_other_without_gap_or_double(tmp_path: Path) -> None:
    log = spool(tmp_path, *posts_of((named(number) for number in range(20)), 7))
    seen: list[str] = []
    page = log.page(EventFilter(), 3)
    while page.next:
        seen += [found.event.audit_id for found in page.events]
        page = log.page(EventFilter(), 3, page.next)
    seen += [found.event.audit_id for found in page.events]
    assert seen == [f"a{number}" for number in reversed(range(20))]
    assert page.progress.finished


def test_a_page_returns_in_time_and_says_where_to_go_on(tmp_path: Path) -> None:
    spool(tmp_path, *(post(named(number)) for number in range(10)))
    ticks = count()
    log = SpoolEventLog(SpoolHistory(tmp_path, SEALER), clock=lambda: next(ticks) * 0.3)
    page = log.page(EventFilter(user="nobody"), 50)
    assert page.events == ()
    assert not page.progress.finished
    assert page.progress.posts == 4
    assert page.progress.looked_back_to == START + 6 * 60
    assert page.next == EventKey(7, 0)
    rest = log.page(EventFilter(), 50, page.next)
    assert rest.events[0].event.audit_id == "a5"


def test_follow_sees_only_newer_posts(tmp_path: Path) -> None:
    log = spool(tmp_path, *(post(named(number)) for number in range(4)))
    found = [e for e in log.search(EventFilter(), after=2) if isinstance(e, FoundEvent)]
    assert [e.event.audit_id for e in found] == ["a3", "a2"]


def test_the_event_of_an_alert(tmp_path: Path) -> None:
    log = spool(tmp_path, *posts_of((named(number) for number in range(9)), 2))
    wanted = log.event(EventKey(2, 1))
    assert wanted is not None
    for around in (START, START - 86400):
        moment = datetime.fromtimestamp(around, UTC)
        assert log.find("default", wanted.digest, moment) == wanted
        assert log.find("default", wanted.digest, moment, "a3") == wanted
        assert log.find("default", wanted.digest, moment, "[redacted]") == wanted
        assert log.find("other", wanted.digest, moment) is None
        assert log.find("default", "0" * 32, moment) is None


def test_a_body_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts, "HELD_EVENTS", 3)
    padding = {"annotations": {"padding": "x" * 1_200_000}}
    body = post(*(named(number, **padding) for number in range(10)))
    assert len(body) > spool_post.PIECE_BYTES
    log = spool(tmp_path, body, post(named(10)))
    everything = [f"a{number}" for number in reversed(range(11))]
    assert names(log) == everything
    assert [e.event.audit_id for e in log.page(EventFilter(), 50, EventKey(1, 4)).events] == [
        *everything[7:]
    ]
    assert names(log, audit_id="a4") == ["a4"]


def test_a_body_too_large_for_a_page_is_told(tmp_path: Path) -> None:
    padding = {"annotations": {"padding": "x" * 1_200_000}}
    spool(tmp_path, post(named(0)), post(*(named(number, **padding) for number in range(1, 11))))
    ticks = count()
    log = SpoolEventLog(SpoolHistory(tmp_path, SEALER), clock=lambda: next(ticks) * 0.3)
    page = log.page(EventFilter(), 50)
    assert (page.events, page.progress.skipped) == ((), 1)
    assert names(log, audit_id="a0") == ["a0"]
    assert page.next is not None
    assert names(log)[-1] == "a0"
    assert len(names(log)) == 11


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    log = spool(tmp_path, *(post(named(number)) for number in range(3)))
    with closing(sqlite3.connect(spool_files(tmp_path)[0].path)) as db, db:
        db.execute("UPDATE post SET body = zeroblob(100) WHERE seq = 2")
    page = log.page(EventFilter(), 50)
    assert [e.event.audit_id for e in page.events] == ["a2", "a0"]
    assert page.progress.unreadable == 1


def test_a_file_that_is_no_database_is_counted(tmp_path: Path) -> None:
    spool(tmp_path, post(named(0)))
    log = spool(tmp_path, post(named(1)), start=START + 60)
    spool_files(tmp_path)[0].path.write_bytes(b"nothing" * 1000)
    page = log.page(EventFilter(), 50)
    assert [e.event.audit_id for e in page.events] == ["a1"]
    assert page.progress.unreadable == 1


def test_an_empty_spool(tmp_path: Path) -> None:
    page = log_of(tmp_path / "none").page(EventFilter(), 50)
    assert (page.events, page.next, page.progress.finished) == ((), None, True)


def test_what_is_not_shown_is_not_found(tmp_path: Path) -> None:
    secret = {"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}
    ref = {"resource": "secrets", "namespace": "shop", "name": "db"}
    log = spool(tmp_path, post(named(0, objectRef=ref, responseObject=secret), named(1)))
    assert names(log, text="aHVudGVy") == []
    assert names(log, text="[REDACTED]") == ["a0"]


def test_events_that_came_wrapped_or_broken(tmp_path: Path) -> None:
    whole = encoded(item(auditID="a1", kind="Event", apiVersion="audit.k8s.io/v1"))
    wrapped = encoded({"log": whole.decode()})
    salvaged = encoded(item(auditID="a2")).replace(b'"code":201', b'"code":"many"')
    log = spool(tmp_path, wrapped, event_list([salvaged, encoded(item(auditID="a3"))]))
    assert names(log) == ["a3", "a2", "a1"]
    assert names(log, user="alice", verb="create") == ["a3", "a2", "a1"]
    assert names(log, text="many") == ["a2"]
