"""Bar S15: an Audit-ID that hides one request behind another is noticed."""

import pytest

from tests.unit.audit import alerts_of, event, item, new_engine, rule, text_is
from tocsin.detect import audit_ids
from tocsin.detect.audit_ids import AuditIds

STOLEN = "9a1b6b4e-0000-4000-8000-000000000001"
LATER = "2026-11-23T10:45:17.000000Z"
BENIGN = item(verb="get", requestURI="/healthz", objectRef=None)
EVIL = item(requestURI="/api/v1/namespaces/kube-system/pods", requestReceivedTimestamp=LATER)


def test_request_under_anothers_id_alerts_and_so_does_the_reuse() -> None:
    engine = new_engine(rule(text_is("verb", "create"), "evil"))
    found = alerts_of(engine, BENIGN, EVIL)
    assert [alert.rule.id for alert in found] == ["evil", "tocsin-audit-id-reused"]
    assert found[1].actor.user == "alice"
    assert found[1].fields == {"user.username": "alice"}
    assert found[1].description.startswith("alice sent a request under an Audit-ID")


def test_both_requests_alert_when_both_are_evil() -> None:
    engine = new_engine(rule(text_is("auditID", STOLEN), "evil"))
    found = alerts_of(engine, BENIGN, EVIL)
    assert [alert.rule.id for alert in found] == ["evil", "evil", "tocsin-audit-id-reused"]
    assert len({alert.id for alert in found}) == 3


def test_reuse_is_noticed_across_batches_and_in_the_first_stage() -> None:
    engine = new_engine()
    assert alerts_of(engine, BENIGN) == []
    (alert,) = alerts_of(engine, EVIL | {"stage": "ResponseStarted"})
    assert alert.rule.id == "tocsin-audit-id-reused"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"stage": "ResponseStarted"},
        {"requestReceivedTimestamp": LATER},
        {"requestURI": "/other"},
        {"user": {"username": "bob"}},
        {"auditID": "another", "requestReceivedTimestamp": LATER, "requestURI": "/other"},
    ],
)
def test_stages_resends_and_aggregated_servers_are_no_reuse(change: dict[str, object]) -> None:
    assert AuditIds().reused([event(), event(**change)]) == []


def test_same_id_in_another_cluster_is_no_reuse() -> None:
    engine = new_engine()
    assert alerts_of(engine, BENIGN, cluster="prod") == []
    assert alerts_of(engine, EVIL, cluster="test") == []


def test_events_without_an_id_are_not_taken_for_one_another() -> None:
    other = event(auditID="", requestURI="/x", requestReceivedTimestamp=LATER)
    assert AuditIds().reused([event(auditID=""), other]) == []


def test_memory_is_bounded_and_the_recent_past_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_ids, "GENERATION", 10)
    ids = AuditIds()
    first, second = (
        event(requestURI="/first"),
        event(requestURI="/second", requestReceivedTimestamp=LATER),
    )
    assert ids.reused([first, *(event(auditID=f"other-{number}") for number in range(12))]) == []
    assert ids.reused([event(auditID="new"), second]) == [1]
    for number in range(100):
        ids.reused([event(auditID=f"more-{number}")])
        assert len(ids._recent) + len(ids._older) <= 20


def test_endless_ids_take_no_more_memory_than_short_ones() -> None:
    ids = AuditIds()
    long = "x" * 1_000_000
    assert not ids.reused([event(auditID=long, requestURI="/" + long)])
    assert all(
        isinstance(part, int) for entry in ids._recent.items() for part in (entry[0], *entry[1])
    )


def test_hostile_id_is_quoted_within_bounds() -> None:
    hostile = "<script>alert(1)</script>\r\n\x1b[2J\x00" + "x" * 1_000_000
    engine = new_engine(rule(text_is("verb", "create"), "evil"))
    (alert,) = alerts_of(engine, item(auditID=hostile))
    assert alert.event is not None
    assert alert.event.audit_id == hostile[:4096]
    assert len(alert.id) == 32
