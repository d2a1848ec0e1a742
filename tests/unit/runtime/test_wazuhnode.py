"""Wazuh rules in the pipeline: alerts as of every other dialect."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.audit import encoded, event_list, item
from tests.unit.dialects.wazuh.installed import BASE, rule
from tocsin.dialects.wazuh.asalert import severity
from tocsin.dialects.wazuh.expressions import BudgetSpent, Expression
from tocsin.model.alert import Alert
from tocsin.normalize.decode import decode_pieces
from tocsin.runtime.pipeline import Outcome, Pipeline, not_evaluated
from tocsin.runtime.wazuh import Wazuh, load_wazuh

DECODER = (
    '<decoder name="pods"><parent>json</parent><regex type="pcre2">'
    '"metadata": {"name": "(\\S+)", "namespace": "(\\S+)"</regex><order>pod,ns</order></decoder>'
)
START = datetime(2026, 11, 23, 10, tzinfo=UTC)


def loaded(folder: Path, rules: str, *, strict: bool = False, config: str = "") -> Wazuh:
    folder.mkdir(exist_ok=True)
    (folder / "decoders.xml").write_text(DECODER)
    (folder / "rules.xml").write_text(f'<group name="k8s,audit,">{BASE}{rules}</group>')
    if config:
        (folder / "ossec.conf").write_text(f"<ossec_config>{config}</ossec_config>")
    return load_wazuh(folder, strict=strict)


def described(number: int, level: int, content: str, description: str) -> str:
    return re.sub("<description>.*?<", f"<description>{description}<", rule(number, level, content))


def pipeline(folder: Path, rules: str, *, strict: bool = False) -> Pipeline:
    return Pipeline([], [loaded(folder, rules, strict=strict)])


def process(running: Pipeline, *events: dict[str, object], cluster: str = "prod") -> Outcome:
    return running.process(event_list(map(encoded, events)), cluster)


def alert_of(running: Pipeline, event: dict[str, object]) -> Alert:
    (alert,) = process(running, event).alerts
    return alert


def at(seconds: float, **changes: object) -> dict[str, object]:
    """Return an event of so many seconds after the start, a request of its own."""
    time = (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds")[:26] + "Z"
    times = {"requestReceivedTimestamp": time, "stageTimestamp": time}
    return item(auditID=f"id-{seconds}", **{**times, **changes})


CREATED = '<regex type="pcre2">"verb": "create".+"resource": "pods"</regex>'


def test_an_alert_says_what_the_rule_says(tmp_path: Path) -> None:
    text = described(100001, 12, CREATED + "<mitre><id>T1611</id></mitre>", "Pod $(pod) in $(ns)!")
    body = {"metadata": {"name": "web", "namespace": "shop"}}
    alert = alert_of(pipeline(tmp_path, text), item(requestObject=body))
    assert alert.rule.id == "100001"
    assert (alert.rule.dialect, alert.rule.level, alert.rule.severity) == ("wazuh", "12", "high")
    assert alert.rule.title == "Pod … in …!"
    assert alert.rule.tags == ("k8s", "audit")
    assert [one.name for one in alert.rule.attack] == ["Escape to Host"]
    assert alert.rule.source == f"{tmp_path}/rules.xml:1"
    assert alert.description == "Pod web in shop!"
    assert alert.fields == {"pod": "web", "ns": "shop"}
    assert (alert.actor.user, alert.target.name) == ("alice", "web")


def test_a_description_with_gaps_names_the_object(tmp_path: Path) -> None:
    text = described(100001, 5, "<match>create</match>", "Pod: $(pod)")
    running = pipeline(tmp_path / "a", text)
    assert alert_of(running, item()).description == "Pod: (pods shop/web)"
    generated = {"resource": "pods", "namespace": "shop", "subresource": "exec"}
    answer = {"metadata": {"name": "web-x7", "uid": "u"}}
    event = item(objectRef=generated, responseObject=answer)
    assert alert_of(running, event).description == "Pod: (pods/exec shop/web-x7)"
    event = item(objectRef=None, requestURI="/healthz")
    assert alert_of(running, event).description == "Pod: (/healthz)"
    strict = pipeline(tmp_path / "b", text, strict=True)
    assert alert_of(strict, item()).description == "Pod: "


def test_fields_that_a_rule_asks_for_are_told(tmp_path: Path) -> None:
    text = described(100001, 5, '<field name="verb">create</field>', "by $(user.username)")
    alert = alert_of(pipeline(tmp_path, text), item())
    assert alert.fields == {"pod": None, "ns": None, "verb": "create", "user.username": "alice"}


def test_secrets_are_taken_out(tmp_path: Path) -> None:
    token = "eyJhbGciOiJSUzI1NiJ9." + "e30" * 20 + ".c2lnbmF0dXJl" + "x" * 20
    text = described(100001, 5, CREATED, "Pod $(pod)")
    body = {"metadata": {"name": token, "namespace": "shop"}}
    alert = alert_of(pipeline(tmp_path, text), item(requestObject=body))
    assert "c2lnbmF0dXJl" not in alert.description + str(alert.fields)


def test_stages_of_a_request_are_one_alert_unless_strict(tmp_path: Path) -> None:
    text = rule(100001, 5, CREATED)
    stages = [item(stage=stage) for stage in ("ResponseStarted", "ResponseComplete")]
    for strict, count in ((False, 1), (True, 2)):
        running = pipeline(tmp_path / str(strict), text, strict=strict)
        first = process(running, *stages)
        assert len(first.alerts) == count
        assert len(first.wazuh) == 2
        assert sum(len(alert.evidence) for alert in first.alerts) == 2
        again = process(pipeline(tmp_path / str(strict), text, strict=strict), *stages)
        assert {one.id for one in again.alerts} == {one.id for one in first.alerts}


def test_the_fragments_of_a_large_body_are_put_together(tmp_path: Path) -> None:
    running = pipeline(tmp_path, rule(100001, 5, CREATED))
    body = event_list([encoded(item(auditID=str(number))) for number in range(30)])
    pieces = [body[start : start + 500] for start in range(0, len(body), 500)]
    assert sum(len(batch.events) for batch in decode_pieces(iter(pieces))) == 30
    outcome = running.process_pieces(iter(pieces), "prod")
    assert (len(outcome.alerts), len(outcome.wazuh), outcome.events) == (30, 30, 30)


REPEATED = rule(100001, 3, CREATED) + rule(
    100002, 10, "<if_matched_sid>100001</if_matched_sid>", parent=100001,
    attributes=' frequency="3" timeframe="60"',
)  # fmt: skip


def ids(outcome: Outcome) -> list[str]:
    return [alert.rule.id for alert in outcome.alerts]


def test_the_time_of_events_counts_and_not_that_of_processing(tmp_path: Path) -> None:
    running = pipeline(tmp_path, REPEATED)
    assert ids(process(running, at(0), at(50), at(100))) == ["100001"] * 3
    running = pipeline(tmp_path, REPEATED)
    assert ids(process(running, at(0), at(30), at(60))) == ["100001", "100001", "100002"]


def test_strict_counts_at_the_time_of_processing(tmp_path: Path) -> None:
    running = pipeline(tmp_path, REPEATED, strict=True)
    assert ids(process(running, at(0), at(50), at(1000)))[-1] == "100002"


def test_clusters_are_counted_apart(tmp_path: Path) -> None:
    running = pipeline(tmp_path, REPEATED)
    found = [ids(process(running, at(n), cluster=f"c{n % 2}")) for n in range(4)]
    assert found == [["100001"]] * 4


def test_events_of_another_time_neither_count_nor_silence(tmp_path: Path) -> None:
    running = pipeline(tmp_path / "a", REPEATED)
    assert ids(process(running, at(0), at(1_000_000), at(1), at(2)))[-1] == "100002"
    once = rule(100001, 3, CREATED, attributes=' ignore="60"')
    running = pipeline(tmp_path / "b", once)
    assert len(process(running, at(1_000_000), at(0), at(1), at(2)).alerts) == 3


def test_thresholds_of_ossec_conf(tmp_path: Path) -> None:
    config = "<alerts><log_alert_level>6</log_alert_level></alerts>"
    wazuh = loaded(tmp_path, rule(100001, 5, CREATED), config=config)
    assert not process(Pipeline([], [wazuh]), item()).alerts


@pytest.mark.parametrize(
    ("levels", "expected"),
    [((0, 2), "info"), ((3, 6), "low"), ((7, 11), "medium"), ((12, 14), "high"),
     ((15, 16), "critical")],
)  # fmt: skip
def test_levels_are_severities(levels: tuple[int, ...], expected: str) -> None:
    assert {severity(level) for level in levels} == {expected}


def test_what_costs_too_much_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(self: Expression, text: bytes) -> bool:
        del self, text
        raise BudgetSpent

    running = pipeline(tmp_path, rule(100001, 5, CREATED))
    monkeypatch.setattr(Expression, "matches", give_up)
    outcome = process(running, item(), at(1))
    assert outcome.unevaluated == {"rule 100001": 2}
    assert list(not_evaluated(outcome.unevaluated)) == [
        "rule 100001 was not evaluated on 2 events: it cost too much to search them"
    ]
    many = {f"rule {number}": 1 for number in range(12)}
    assert list(not_evaluated(many))[-1] == "2 more rules were not evaluated on some events"


def test_changed_files_are_put_in_force_and_others_keep_their_memory(tmp_path: Path) -> None:
    running = pipeline(tmp_path / "a", REPEATED)
    process(running, at(0), at(1))
    running.replace_wazuh([loaded(tmp_path / "a", REPEATED)])
    assert ids(process(running, at(2))) == ["100002"]
    running.replace_wazuh([])
    assert running.rule_count == 3
    running.replace_wazuh([loaded(tmp_path / "a", rule(100009, 5, CREATED))])
    assert ids(process(running, at(3))) == ["100009"]
