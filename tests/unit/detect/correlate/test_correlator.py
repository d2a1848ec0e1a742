"""Hits of rules become alerts of correlations, whatever is repeated, reloaded or restarted."""

from collections.abc import Sequence
from itertools import count

import msgspec
import pytest

from tests.unit.audit import HERE, alerts_of, item, rule, text_is
from tocsin.detect.correlate.windows import Windows
from tocsin.detect.engine import Engine
from tocsin.model.alert import Alert
from tocsin.rules.correlation import Correlation, Limit
from tocsin.rules.ir import FirstSeen, Rule
from tocsin.runtime.pipeline import new_engine

SECRET = rule(text_is("objectRef.resource", "secrets"), "secret")
POD = rule(text_is("objectRef.resource", "pods"), "pod")
DENIED = rule(text_is("outcome", "denied"), "denied")
numbers = count()


def burst(**parts: object) -> Correlation:
    given: dict[str, object] = {
        "id": "burst",
        "title": "Burst",
        "dialect": "sigma",
        "severity": "high",
        "level": "high",
        "at": HERE,
        "message": "$(user.username) read $(value_count) Secrets, $(count) times, by $(userAgent)",
        "kind": "value_count",
        "rules": ("secret",),
        "timespan": 300.0,
        "group_by": ("user.username",),
        "field": "objectRef.name",
        "limit": Limit("gte", 3),
    }
    return Correlation(**given | parts)  # type: ignore[arg-type]


def secret(
    name: str, second: int = 0, user: str | None = "alice", **more: object
) -> dict[str, object]:
    time = f"2026-11-23T10:{second // 60:02}:{second % 60:02}.000000Z"
    given: dict[str, object] = {
        "auditID": f"id-{next(numbers)}",
        "verb": "get",
        "user": {"username": user} if user else None,
        "objectRef": {"resource": "secrets", "namespace": "shop", "name": name},
        "requestReceivedTimestamp": time,
        "stageTimestamp": time,
    }
    return item(**given | more)


def pod_written(second: int) -> dict[str, object]:
    return secret("web", second, objectRef={"resource": "pods", "name": "web"})


def engine(*correlations: Correlation, rules: Sequence[Rule] = (SECRET, POD)) -> Engine:
    silent = [msgspec.structs.replace(rule, silent=True) for rule in rules]
    return new_engine(silent, correlations)


def found(one: Engine, *events: dict[str, object]) -> list[Alert]:
    return [alert for alert in alerts_of(one, *events) if alert.rule.dialect == "sigma"]


THREE = [secret("a", 0), secret("b", 10), secret("c", 20)]


def test_a_correlation_is_one_alert_on_the_request_that_completed_it() -> None:
    (alert,) = found(engine(burst()), *THREE, secret("d", 30))
    assert alert.description == "alice read 3 Secrets, 3 times, by kubectl/v1.36.3"
    assert (alert.count, len(alert.evidence)) == (3, 3)
    assert alert.fields == {"user.username": "alice", "count": "3", "value_count": "3"}
    assert alert.target.name == "c"
    assert alert.first_seen == "2026-11-23T10:00:00.000000Z"
    assert alert.time == alert.last_seen == "2026-11-23T10:00:20.000000Z"


def test_batches_make_no_difference() -> None:
    whole, pieces = engine(burst()), engine(burst())
    together = found(whole, *THREE)
    assert [alert for event in THREE for alert in found(pieces, event)] == together


def test_the_same_batch_again_is_the_same_alert() -> None:
    one = engine(burst())
    assert found(one, *THREE) == found(one, *THREE) != []


def test_stages_of_one_request_count_once() -> None:
    started = [event | {"stage": "ResponseStarted"} for event in THREE[:2]]
    counting = burst(kind="event_count", field=None)
    assert found(engine(counting), *started, *THREE[:2]) == []
    assert found(engine(counting), *started, *THREE)


def test_groups_and_clusters_are_apart() -> None:
    one = engine(burst())
    assert found(one, *THREE[:2], secret("c", 20, "bob")) == []
    assert alerts_of(one, THREE[2], cluster="other") == []
    assert found(one, THREE[2])


def test_an_event_without_the_field_does_not_count() -> None:
    nobody = [secret(name, 0, None) for name in "abc"]
    assert found(engine(burst()), *nobody) == []


def test_rules_that_only_count_give_no_alerts() -> None:
    assert found(engine(burst()), THREE[0]) == []
    loud = new_engine([SECRET], [burst()])
    assert [alert.rule.id for alert in found(loud, *THREE)] == [*["secret"] * 3, "burst"]


def test_a_correlation_may_count_for_another() -> None:
    outer = burst(
        id="outer",
        kind="temporal_ordered",
        rules=("burst", "pod"),
        field=None,
        limit=None,
        message="$(user.username)",
    )
    one = engine(msgspec.structs.replace(burst(), silent=True), outer)
    assert found(one, pod_written(0), *THREE) == []
    (alert,) = found(one, pod_written(61))
    assert alert.rule.id == "outer"


def test_aliases_join_different_fields() -> None:
    joined = burst(
        kind="temporal",
        rules=("secret", "pod"),
        group_by=("name",),
        paths={"secret": ("objectRef.name",), "pod": ("user.username",)},
        field=None,
        limit=None,
        message="$(name)",
    )
    by_web = secret("x", 5, "web") | {"objectRef": {"resource": "pods", "name": "x"}}
    (alert,) = found(engine(joined), secret("web"), secret("other"), by_web)
    assert alert.description == "web"


def test_a_restart_in_between_changes_nothing() -> None:
    before, after = engine(burst()), engine(burst())
    assert found(before, *THREE[:2]) == []
    for old, new in zip(before.remembering, after.remembering, strict=True):
        new.restore(old.save())
    assert found(after, THREE[2]) == found(engine(burst()), *THREE)


@pytest.mark.parametrize("saved", [b"", b"\x80", b"\x93\x01\x02"])
def test_damaged_state_is_refused(saved: bytes) -> None:
    for part in engine(burst()).remembering:
        with pytest.raises((ValueError, msgspec.DecodeError)):
            part.restore(saved)


def test_a_reload_keeps_what_did_not_change() -> None:
    one = engine(burst())
    found(one, *THREE[:2])
    one.replace_rules(one.rules, [msgspec.structs.replace(burst(), title="Other words")])
    assert found(one, THREE[2])
    one.replace_rules(one.rules, [burst(limit=Limit("gte", 2))])
    assert found(one, secret("d", 30)) == []


def test_keys_are_bounded_and_counted() -> None:
    windows = Windows(max_keys=10)
    one = engine(burst())
    one.correlator.windows = windows
    found(one, *(secret("a", 0, f"user-{number}") for number in range(15)))
    assert (len(windows), windows.evictions) == (10, 5)


def test_late_hits_are_counted() -> None:
    one = engine(burst(timespan=10.0))
    found(one, secret("a", 600), secret("b", 0))
    assert one.correlator.windows.late == 1


FIRST = msgspec.structs.replace(
    SECRET, first_seen=FirstSeen(("user.username", "sourceIPs"), learning=60, forget=600)
)


def test_a_first_time_is_told_after_learning() -> None:
    one = new_engine([FIRST])
    events = [
        secret("a", 0),
        secret("a", 90),
        secret("a", 91, "bob"),
        secret("a", 92, "bob"),
        secret("a", 93, None, sourceIPs=None),
    ]
    assert [alert.actor.user for alert in found(one, *events)] == ["bob"]


def test_what_is_no_news_does_not_count_for_correlations() -> None:
    counting = burst(kind="event_count", field=None, limit=Limit("gte", 1))
    one = new_engine([FIRST], [counting])
    assert found(one, secret("a", 0), secret("a", 90)) == []
    assert [alert.rule.id for alert in found(one, secret("a", 91, "bob"))] == ["secret", "burst"]
