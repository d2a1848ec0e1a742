"""Events in, alerts out: one alert per rule and request, whatever arrives twice."""

from tests.unit.audit import (
    alerts_of,
    encoded,
    event,
    event_list,
    item,
    new_engine,
    rule,
    text_is,
)
from tocsin.model.alert import Alert, merge
from tocsin.normalize.decode import decode, decode_pieces

EXEC = item(
    verb="get",
    stage="ResponseStarted",
    objectRef={"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web"},
    requestURI="/api/v1/namespaces/shop/pods/web/exec?command=sh",
    stageTimestamp="2026-11-23T10:45:16.200000Z",
    responseStatus={"code": 101},
)
ENDED = EXEC | {"stage": "ResponseComplete", "stageTimestamp": "2026-11-23T10:50:00.000000Z"}
ON_EXEC = rule(text_is("objectRef.subresource", "exec"), "exec")
ON_USER = rule(text_is("user.username", "alice"), "alice")


def test_stages_of_one_request_are_one_alert_per_rule() -> None:
    found = alerts_of(new_engine(ON_EXEC, ON_USER), EXEC, ENDED)
    assert [alert.rule.id for alert in found] == ["exec", "alice"]
    for alert in found:
        assert alert.event is not None
        assert alert.event.stage == "ResponseStarted"
        assert len(set(alert.evidence)) == 2
        assert alert.first_seen == alert.time == "2026-11-23T10:45:16.200000Z"
        assert alert.last_seen == "2026-11-23T10:50:00.000000Z"


def test_stages_in_separate_batches_have_one_id() -> None:
    engine = new_engine(ON_EXEC)
    (first,) = alerts_of(engine, EXEC)
    (second,) = alerts_of(engine, ENDED)
    assert first.id == second.id
    assert first.evidence != second.evidence


def test_same_event_twice_is_one_piece_of_evidence() -> None:
    (alert,) = alerts_of(new_engine(ON_EXEC), EXEC, EXEC)
    assert len(alert.evidence) == 1


def test_same_batch_again_is_the_same_alert() -> None:
    engine = new_engine(ON_EXEC, ON_USER)
    assert alerts_of(engine, EXEC, ENDED) == alerts_of(engine, EXEC, ENDED)
    assert alerts_of(new_engine(ON_EXEC, ON_USER), EXEC, ENDED) == alerts_of(engine, EXEC, ENDED)


def test_log_line_and_list_item_give_the_same_alert() -> None:
    def of(body: bytes) -> list[Alert]:
        batch = decode(body)
        return new_engine(ON_EXEC).evaluate(batch.events, batch.raw, "prod")

    raw = encoded(EXEC)
    log = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",' + raw[1:]
    assert of(log) == of(event_list([raw])) == of(raw) == of(b"[" + log + b"]")


def test_different_requests_are_different_alerts() -> None:
    found = alerts_of(new_engine(ON_USER), item(auditID="a"), item(auditID="b"))
    assert len({alert.id for alert in found}) == 2


def test_alerts_come_in_the_order_of_their_events() -> None:
    events = [item(auditID=f"a{number}") for number in range(5)]
    found = alerts_of(new_engine(ON_USER), *events)
    assert [alert.event.audit_id for alert in found if alert.event] == [f"a{n}" for n in range(5)]


def test_evidence_is_that_of_the_events_own_bytes() -> None:
    body = event_list([encoded(item(verb="get")), encoded(EXEC), encoded(ENDED)])
    engine = new_engine(ON_EXEC)
    whole = decode(body)
    (together,) = engine.evaluate(whole.events, whole.raw, "prod")
    (batch,) = decode_pieces([body[:50], body[50:]])
    (apart,) = engine.evaluate(batch.events, batch.raw, "prod")
    assert together == apart


def test_rules_are_replaced_from_the_next_event_on() -> None:
    engine = new_engine(ON_EXEC)
    assert engine.rules == (ON_EXEC,)
    assert len(alerts_of(engine, EXEC)) == 1
    engine.replace_rules([ON_USER])
    assert [alert.rule.id for alert in alerts_of(engine, EXEC)] == ["alice"]
    assert engine.stats.buckets == 1
    assert engine.candidates(event()) == 1


def test_hits_are_indices_of_rules() -> None:
    engine = new_engine(ON_EXEC, ON_USER)
    assert list(engine.match([event()])) == [(0, [1])]


def test_folding_keeps_the_earliest_and_the_latest() -> None:
    (late,) = alerts_of(new_engine(ON_EXEC), ENDED)
    (early,) = alerts_of(new_engine(ON_EXEC), EXEC)
    late = merge(late, early)
    assert late.first_seen == early.time
    assert late.last_seen == ENDED["stageTimestamp"]
    assert len(late.evidence) == 2
