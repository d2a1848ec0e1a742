"""Digests that tell events, requests and alerts apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import encoded, event, item
from tocsin.detect.identity import alert_id, event_digest
from tocsin.model.digest import digest
from tocsin.model.event import AuditEvent
from tocsin.normalize.decode import decode

PARTS = st.lists(st.none() | st.text(max_size=5), max_size=4)


@given(PARTS, PARTS)
def test_different_texts_have_different_digests(
    one: list[str | None], other: list[str | None]
) -> None:
    assert (digest(*one) == digest(*other)) is (one == other)


def test_borders_between_texts_count() -> None:
    found = [
        *(digest("ab", "c"), digest("a", "bc"), digest("abc"), digest("abc", "")),
        *(digest("abc", None), digest(), digest(""), digest(None), digest("1:a", "b"), digest("-")),
    ]
    assert len(set(found)) == len(found)
    assert all(len(one) == 32 for one in found)


def digest_of(raw: bytes, cluster: str = "prod") -> str:
    return event_digest(cluster, decode(raw).events[0], raw)


ITEM = encoded(item(userAgent="a&b <c> ä"))


@pytest.mark.parametrize(
    "header",
    [
        b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",',
        b'{"apiVersion":"audit.k8s.io/v1","kind":"Event",',
        b'{"kind":"Event","apiVersion":"audit.k8s.io/v1beta1",',
        b'{"kind":"Event",',
    ],
)
def test_log_line_and_list_item_are_the_same_event(header: bytes) -> None:
    assert digest_of(header + ITEM[1:]) == digest_of(ITEM)


def test_header_at_the_end_is_left_out_too() -> None:
    assert digest_of(ITEM[:-1] + b',"kind":"Event"}') == digest_of(ITEM)


def test_same_bytes_of_another_cluster_are_another_event() -> None:
    assert digest_of(ITEM) != digest_of(ITEM, "test")


def test_other_bytes_are_another_event() -> None:
    assert digest_of(ITEM) != digest_of(ITEM.replace(b"alice", b"malice"))


BASE: dict[str, object] = {"verb": "get", "requestURI": "/a"}


@pytest.mark.parametrize(
    "change",
    [
        {"auditID": "other"},
        {"user": {"username": "bob"}},
        {"user": None},
        {"verb": "list"},
        {"requestURI": "/b"},
        {"requestReceivedTimestamp": "2026-11-23T10:45:16.123457Z"},
        {"requestReceivedTimestamp": None},
    ],
)
def test_what_makes_another_request(change: dict[str, object]) -> None:
    assert identity(event(**BASE)) != identity(event(**BASE | change))


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "ResponseStarted"},
        {"stageTimestamp": None},
        {"responseStatus": {"code": 500}},
        {"annotations": None},
        {"level": "Metadata"},
        {"userAgent": "other"},
    ],
)
def test_what_makes_another_stage_only(change: dict[str, object]) -> None:
    assert identity(event(**BASE)) == identity(event(**BASE | change))


def identity(one: AuditEvent) -> str:
    return alert_id("sigma", "r1", "prod", one)


def test_rule_dialect_and_cluster_are_part_of_an_alert() -> None:
    one = event()
    found = {
        *(alert_id("sigma", "r1", "prod", one), alert_id("sigma", "r2", "prod", one)),
        *(alert_id("wazuh", "r1", "prod", one), alert_id("sigma", "r1", "test", one)),
    }
    assert len(found) == 4
