import itertools
import json
from pathlib import Path

import pytest

from tests.unit.runtime.rulefiles import event, event_list, lines, rule, write_rule
from tocsin.detect.engine import fold_stages
from tocsin.model.alert import Alert
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.recording import bodies
from tocsin.runtime.rules import load_rules

HUGE_NUMBER = "9" * 5000


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    write_rule(tmp_path / "curl.yml", 1, "curl")
    body_rule = rule(2).replace("userAgent: curl", "requestObject.spec.hostNetwork: true")
    (tmp_path / "body.yml").write_text(body_rule)
    return Pipeline(load_rules([tmp_path], builtin=False).rules)


def stages(number: int) -> tuple[dict[str, object], dict[str, object]]:
    received = event(number, stage="RequestReceived", stageTimestamp="2026-11-23T10:00:00Z")
    return received, event(number)


def pieces(body: bytes, size: int = 1000) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def test_an_event_that_matches_gives_an_alert(pipeline: Pipeline) -> None:
    outcome = pipeline.process(event_list(event(1), event(2, "wget")), "prod")
    [alert] = outcome.alerts
    assert (outcome.events, outcome.rejects) == (2, [])
    assert (alert.cluster, alert.rule.title, alert.actor.user) == ("prod", "Agent curl", "alice")


def test_the_stages_of_a_request_are_one_alert(pipeline: Pipeline) -> None:
    outcome = pipeline.process(event_list(*stages(1), *stages(2)), "prod")
    assert outcome.events == 4
    assert [alert.event and alert.event.audit_id for alert in outcome.alerts] == ["a-1", "a-2"]
    assert [len(alert.evidence) for alert in outcome.alerts] == [2, 2]
    assert outcome.alerts[0].event
    assert outcome.alerts[0].event.stage == "RequestReceived"
    assert outcome.alerts[0].last_seen == "2026-11-23T10:00:01.000002Z"


def test_stages_in_bodies_of_their_own_are_folded(pipeline: Pipeline) -> None:
    alerts = [
        alert for stage in stages(1) for alert in pipeline.process(event_list(stage), "prod").alerts
    ]
    [folded] = fold_stages(alerts)
    assert len(folded.evidence) == 2
    assert (folded.first_seen, folded.last_seen) == (
        "2026-11-23T10:00:00.000000Z",
        "2026-11-23T10:00:01.000002Z",
    )


def test_the_same_request_of_two_clusters_is_two_alerts(pipeline: Pipeline) -> None:
    body = event_list(event())
    found = [*pipeline.process(body, "a").alerts, *pipeline.process(body, "b").alerts]
    assert len(fold_stages(found)) == 2


def test_a_bad_event_costs_only_itself(pipeline: Pipeline) -> None:
    body = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[%s,{"verb":7},%s]}' % (
        json.dumps(event(1)).encode(),
        json.dumps(event(2)).encode(),
    )
    outcome = pipeline.process(body, "prod")
    assert len(outcome.alerts) == 2
    assert [reject.raw for reject in outcome.rejects] == [b'{"verb":7}']


def test_a_body_with_a_huge_number_is_reported_and_its_event_judged(pipeline: Pipeline) -> None:
    text = json.dumps(event(1, requestObject={"spec": {"hostNetwork": "N"}}))
    hidden = text.replace('"N"', f'true, "number": {HUGE_NUMBER}').encode()
    for _ in range(2):
        outcome = pipeline.process(hidden + b"\n" + lines(event(2)), "prod")
        assert outcome.events == 2
        assert len(outcome.alerts) == 2
        [reject] = outcome.rejects
        assert reject.reason.startswith("body cannot be read: ")
        assert reject.raw == hidden


def test_a_huge_number_does_not_hide_the_bodies_around_it(pipeline: Pipeline) -> None:
    good = event(1, "wget", requestObject={"spec": {"hostNetwork": True}})
    bad = json.dumps(event(2, "x", requestObject={"n": "N"})).replace('"N"', HUGE_NUMBER)
    outcome = pipeline.process(lines(good) + bad.encode() + b"\n", "prod")
    assert [alert.event and alert.event.audit_id for alert in outcome.alerts] == ["a-1"]
    assert len(outcome.rejects) == 1


def comparable(alerts: list[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: alert.id)


def test_a_large_body_in_pieces_gives_the_same_as_in_one(pipeline: Pipeline) -> None:
    requests = itertools.chain.from_iterable(stages(number) for number in range(700))
    body = event_list(*requests, {"verb": 7})
    whole = pipeline.process(body, "prod")
    for size in (len(body), 100_000, 997):
        parts = pipeline.process_pieces(pieces(body, size), "prod")
        assert parts.events == whole.events
        assert parts.rejects == whole.rejects
        assert comparable(parts.alerts) == comparable(whole.alerts)
        assert len(parts.alerts) == 700


def test_recorded_traffic_in_pieces_gives_the_same_as_in_one() -> None:
    rules = load_rules([]).rules
    body = max(bodies("full-policy"), key=len)
    whole = Pipeline(rules).process(body, "prod")
    parts = Pipeline(rules).process_pieces(pieces(body, 4096), "prod")
    assert comparable(parts.alerts) == comparable(whole.alerts)
    assert parts.events == whole.events > 0


def test_a_large_body_that_breaks_off_is_told(pipeline: Pipeline) -> None:
    body = event_list(event(1), event(2))
    outcome = pipeline.process_pieces(pieces(body[:-100]), "prod")
    assert len(outcome.alerts) == 1
    assert "ends in the middle" in outcome.rejects[0].reason


@pytest.mark.parametrize("body", [b"", b"\0", b"not json", b"[]]", b"\xff", b'{"items":7}'])
def test_garbage_is_rejected_with_a_reason(pipeline: Pipeline, body: bytes) -> None:
    outcome = pipeline.process(body, "prod")
    assert not outcome.alerts
    assert all(reject.reason for reject in outcome.rejects)
    assert outcome.rejects


def test_other_rules_can_be_put_in_force(pipeline: Pipeline) -> None:
    pipeline.engine.replace_rules(pipeline.engine.rules[1:])
    assert len(pipeline.process(event_list(event()), "prod").alerts) + 1 == 1 + len(
        [rule for rule in pipeline.engine.rules if rule.title == "Agent curl"]
    )
