"""Webhook and audit log of one API server together: everything twice, every alert once."""

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import encoded, event_list, item, new_engine, rule, text_is
from tests.unit.rules.strategies import JSON
from tocsin.detect.engine import Engine, fold_stages
from tocsin.detect.identity import event_digest
from tocsin.model.alert import Alert, merge
from tocsin.normalize.decode import decode
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.recording import bodies, events
from tocsin.runtime.rules import load_rules
from tocsin.store.sqlite import own_store

LOG_PREFIX = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",'
TRUNCATED = {"audit.k8s.io/truncated": "true"}


def log_line(one: bytes) -> bytes:
    """Return an item of a list as the log back end writes it."""
    return LOG_PREFIX + one[1:]


def truncated(one: dict[str, object]) -> dict[str, object]:
    """Return an event as the webhook sends it when it is larger than its limit."""
    return one | {"requestObject": None, "responseObject": None, "annotations": TRUNCATED}


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(load_rules([]).rules)


def recorded(name: str) -> list[bytes]:
    return [one for body in bodies(name) for one in events(body)]


def alerts_of(pipeline: Pipeline, posts: Iterable[bytes]) -> list[Alert]:
    return fold_stages(alert for post in posts for alert in pipeline.process(post, "prod").alerts)


@pytest.mark.parametrize("name", ["seed-policy", "full-policy"])
def test_a_recording_through_both_legs_gives_the_alerts_of_one(
    tmp_path: Path, pipeline: Pipeline, name: str
) -> None:
    """In any order of arrival, by a store that keeps what the first leg gave."""
    webhook = bodies(name)
    lines = [log_line(one) for one in recorded(name)]
    log = [b"\n".join(lines[start : start + 50]) + b"\n" for start in range(0, len(lines), 50)]
    wanted = {alert.id: set(alert.evidence) for alert in alerts_of(pipeline, webhook)}
    assert len(wanted) > 50

    posts = [*webhook, *log, *log[:5]]
    random.Random(7).shuffle(posts)
    with own_store(tmp_path / "tocsin.db", {}, 0) as store:
        new = [
            alert.id
            for post in posts
            for alert in store.record(pipeline.process(post, "prod").alerts, {}, 0)
        ]
        stored = store.follow(0, 10_000)

    assert len(new) == len(set(new))
    assert {one.alert.id: set(one.alert.evidence) for one in stored} == wanted


def test_two_legs_are_no_reuse_of_audit_ids(pipeline: Pipeline) -> None:
    posts = [*bodies("full-policy"), *map(log_line, recorded("full-policy"))]
    found = {alert.rule.id for alert in alerts_of(pipeline, posts)}
    assert "tocsin-audit-id-reused" not in found


@given(
    st.dictionaries(st.sampled_from(["requestObject", "responseObject"]), JSON),
    st.text(),
    st.booleans(),
)
def test_item_and_line_have_one_digest(
    objects: dict[str, object],
    agent: str,
    ascii_only: bool,  # noqa: FBT001 - hypothesis fills it
) -> None:
    one = item(**objects, userAgent=agent.encode("utf-8", "replace").decode())
    raw = json.dumps(one, separators=(",", ":"), ensure_ascii=ascii_only).encode()
    found = set()
    for body in (raw, log_line(raw), event_list([raw]), b"[" + log_line(raw) + b"]"):
        batch = decode(body)
        assert len(batch.events) == 1
        found.add(event_digest("prod", batch.events[0], batch.raw(0)))
    assert len(found) == 1


def evaluate(engine: Engine, *raws: bytes) -> list[Alert]:
    batches = [decode(raw) for raw in raws]
    return [
        alert for batch in batches for alert in engine.evaluate(batch.events, batch.raw, "prod")
    ]


POD = item(
    objectRef={"resource": "pods", "namespace": "shop"},
    requestObject={"metadata": {"generateName": "web-"}, "spec": {"hostPID": True}},
    responseObject={"metadata": {"name": "web-x7", "uid": "4711"}},
)
ON_CREATE = rule(
    text_is("verb", "create"),
    "created",
    message="$(user.username) created $(responseObject.metadata.name)",
    fields=("responseObject.metadata.name",),
)
ON_BODY = rule(text_is("requestObject.spec.hostPID", "true"), "host-pid")


def test_a_forwarder_that_writes_json_anew_gives_no_second_alert() -> None:
    """Its bytes are others, so they are evidence of their own; the request is the same."""
    engine = new_engine(ON_CREATE)
    anew = json.dumps(json.loads(log_line(encoded(POD))), sort_keys=True, indent=1).encode()
    found = evaluate(engine, encoded(POD), anew)
    (alert,) = fold_stages(found)
    assert len(alert.evidence) == 2
    assert [one.rule.id for one in found] == ["created", "created"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0), (0, 1, 1, 0)])
def test_a_truncated_copy_beside_the_whole_one(order: Sequence[int]) -> None:
    """The rules on bodies fire, and the alert of the others says what the bodies tell."""
    short = {key: value for key, value in truncated(POD).items() if value is not None}
    copies = (encoded(short), log_line(encoded(POD)))
    engine = new_engine(ON_CREATE, ON_BODY)
    found = {
        alert.rule.id: alert
        for alert in fold_stages(evaluate(engine, *(copies[number] for number in order)))
    }
    assert found.keys() == {"created", "host-pid"}
    alert = found["created"]
    assert alert.description == "alice created web-x7"
    assert (alert.target.name, alert.target.uid) == ("web-x7", "4711")
    assert alert.fields == {"responseObject.metadata.name": "web-x7"}
    assert len(alert.evidence) == 2


def test_a_fuller_alert_of_another_stage_takes_nothing_over() -> None:
    started = POD | {"stage": "ResponseStarted", "responseObject": None}
    started = {key: value for key, value in started.items() if value is not None}
    engine = new_engine(ON_CREATE)
    first, second = evaluate(engine, encoded(started), encoded(POD))
    assert merge(first, second).target == first.target
    assert merge(first, second).fields == first.fields


def test_a_whole_copy_that_is_too_large_for_one_piece_is_judged(tmp_path: Path) -> None:
    """The log back end does not truncate where the webhook does."""
    padded = POD | {"requestObject": {"spec": {"hostPID": True}, "pad": "x" * 9_000_000}}
    rules = tmp_path / "rule.yml"
    rules.write_text(
        "title: Host PID\nid: 5f113a8f-8b61-41ca-b90f-d374fa7e4a39\nstatus: test\n"
        "logsource: {product: kubernetes, service: audit}\n"
        "detection: {selection: {requestObject.spec.hostPID: true}, condition: selection}\n"
        "level: high\n"
    )
    pipeline = Pipeline(load_rules([rules], builtin=False).rules)
    body = log_line(encoded(padded)) + b"\n" + log_line(encoded(POD)) + b"\n"
    pieces = [body[: 8 << 20], body[8 << 20 :]]
    outcome = pipeline.process_pieces(pieces, "prod")
    assert (outcome.events, outcome.rejects) == (2, [])
    assert len(outcome.alerts) == 1
