from pathlib import Path

import pytest

from tocsin.runtime.ruletest import TestReport, has_hit_and_miss, run_tests, sidecar

RULE = """\
title: Secret read
id: 00000000-0000-4000-8000-000000000001
tags: [attack.credential-access, attack.t1552.007]
logsource: {product: kubernetes, service: audit}
detection:
  selection: {verb: get, objectRef.resource: secrets}
  condition: selection
level: high
fields: [objectRef.name, outcome]
"""
HIT = "{verb: get, objectRef: {resource: secrets, namespace: shop, name: db}}"
MISS = "{verb: get, objectRef: {resource: configmaps, namespace: shop, name: db}}"


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "rule.yml"
    path.write_text(RULE)
    return path


def run(rule: Path, tests: str) -> TestReport:
    sidecar(rule).write_text(tests)
    return run_tests([rule])


def run_one(rule: Path, events: str, expect: str) -> str | None:
    """Run one test; return why it failed."""
    report = run(rule, f"- name: one\n  events: [{events}]\n  expect: {expect}\n")
    assert not report.faults
    assert report.total == 1
    return str(report.failures[0]).partition("one: ")[2] if report.failures else None


def fault(rule: Path, tests: str) -> str:
    """Return what is wrong with a test file that cannot be run."""
    report = run(rule, tests)
    assert report.total == 0
    [found] = report.faults
    return str(found)


@pytest.mark.parametrize(
    "expected",
    [
        "{}",
        "{rule: 00000000-0000-4000-8000-000000000001}",
        "{severity: high, level: high, user: alice, attack: [T1552.007]}",
        "{fields: {objectRef.name: db, outcome: allowed}}",
    ],
)
def test_an_alert_as_expected(rule: Path, expected: str) -> None:
    assert run_one(rule, HIT, f"{{alerts: [{expected}]}}") is None


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        ("{rule: other}", "rule is '00000000-0000-4000-8000-000000000001', not 'other'"),
        ("{severity: low}", "severity is 'high', not 'low'"),
        ("{level: 9}", "level is 'high', not '9'"),
        ("{user: bob}", "user is 'alice', not 'bob'"),
        ("{attack: [T1611]}", "ATT&CK T1611 is missing"),
        ("{fields: {objectRef.name: tls}}", "objectRef.name is 'db', not 'tls'"),
        ("{fields: {outcome: null}}", "outcome is 'allowed', not None"),
    ],
)
def test_an_alert_that_differs(rule: Path, expected: str, difference: str) -> None:
    reason = run_one(rule, HIT, f"{{alerts: [{expected}]}}")
    assert reason == (f"no alert as expected; high 'Secret read' (Secret read): {difference}")


def test_an_alert_that_does_not_come(rule: Path) -> None:
    assert run_one(rule, MISS, "{alerts: [{}]}") == "no alert where one was expected"


def test_an_alert_that_should_not_come(rule: Path) -> None:
    assert run_one(rule, MISS, "none") is None
    assert run_one(rule, HIT, "none") == "unexpected alert: high 'Secret read' (Secret read)"
    assert run_one(rule, f"{HIT}, {HIT}", "{alerts: [{}]}") is not None


def test_alerts_are_told_apart_in_any_order(rule: Path) -> None:
    bob = HIT.replace("{verb", "{user: {username: bob}, verb")
    assert run_one(rule, f"{HIT}, {bob}", "{alerts: [{user: bob}, {user: alice}]}") is None


def test_stages_of_one_request_are_one_alert(rule: Path) -> None:
    stages = [HIT.replace("{verb", f"{{auditID: a, stage: {s}, verb") for s in ("A", "B")]
    assert run_one(rule, ", ".join(stages), "{alerts: [{}]}") is None


def test_other_alerts_do_not_matter(rule: Path) -> None:
    """Two requests under one Audit-ID are an alert of the engine, not of this rule."""
    first = MISS.replace("{verb", "{auditID: a, verb")
    second = MISS.replace("{verb", "{auditID: a, user: {username: bob}, verb")
    assert run_one(rule, f"{first}, {second}", "none") is None


def test_events_are_filled_in(rule: Path) -> None:
    rule.write_text(
        RULE.replace(
            "{verb: get, objectRef.resource: secrets}",
            "{level: Request, stage: ResponseComplete, responseStatus.code: 201, "
            "user.groups: system:authenticated, objectRef.apiVersion: v1, "
            "requestURI: /apis/apps/namespaces/shop/deployments/web/scale}",
        ).replace("/apis/apps/", "/apis/apps/v1/")
    )
    event = (
        "{verb: create, requestObject: {}, objectRef: {resource: deployments, apiGroup: apps, "
        "namespace: shop, name: web, subresource: scale}}"
    )
    assert run_one(rule, event, "{alerts: [{fields: {outcome: allowed}}]}") is None


def test_what_an_event_says_is_kept(rule: Path) -> None:
    denied = (
        "{verb: get, objectRef: {resource: secrets}, responseStatus: {code: 403}, "
        "annotations: {authorization.k8s.io/decision: forbid}}"
    )
    assert run_one(rule, denied, "{alerts: [{fields: {outcome: denied}}]}") is None


def test_a_non_resource_request(rule: Path) -> None:
    rule.write_text(
        RULE.replace(
            "{verb: get, objectRef.resource: secrets}",
            "{requestURI: /healthz, objectRef.resource: null}",
        )
    )
    assert run_one(rule, "{verb: get, requestURI: /healthz}", "{alerts: [{}]}") is None


def test_a_recorded_event(rule: Path) -> None:
    """Plain JSON lines beside the test, here one event in two stages."""
    line = (
        '{"auditID":"a-1","stage":"%s","requestURI":"/api/v1/secrets","verb":"get",'
        '"user":{"username":"carol"},"objectRef":{"resource":"secrets"}}'
    )
    recorded = "\n".join(line % stage for stage in ("ResponseStarted", "ResponseComplete"))
    (rule.parent / "rec.jsonl").write_text(recorded)
    assert run_one(rule, "{capture: rec.jsonl#a-1}", "{alerts: [{user: carol}]}") is None


def test_an_event_of_a_shipped_recording(rule: Path) -> None:
    reference = "seed-policy.jsonl.zst#3c568f3c-d2a9-493e-9128-c54b976000b3"
    assert run_one(rule, f"{{capture: {reference}}}", "{alerts: [{user: alice}]}") is None


def test_an_event_that_cannot_be_read(rule: Path) -> None:
    reason = run_one(rule, "{verb: get, user: {username: 7}}", "none")
    assert reason is not None
    assert reason.startswith("the event cannot be read: ")


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("name: one\n", "1: a test file is a list of tests"),
        ("- name: one\n", "1: Object missing required field `events`"),
        ("- {name: one, events: [{verb: get}], expect: maybe}\n", "1: Invalid"),
        (
            "- {name: one, events: [{verb: get}], expect: none, note: x}\n",
            "1: Object contains unknown",
        ),
        ("- {name: one, events: [{}], expect: none}\n", "1: an event needs a verb"),
        ("- {name: one, events: [{verb: get, code: 1}], expect: none}\n", "no key code"),
        ("- {name: one, events: [{capture: a#b}], expect: none}\n", "no such recording: a"),
        (
            "- {name: a, events: [{verb: get}], expect: none}\n"
            "- {name: b, events: [{capture: 'rule.yml#x'}], expect: none}\n",
            "2: rule.yml has no event with auditID 'x'",
        ),
        ("- {name: one, events: [], expect: none}\n", "length >= 1"),
        ("- {name: one, events: [{capture: a#b, verb: get}], expect: none}\n", "stands alone"),
        ("- [\n", "2: "),
    ],
)
def test_a_faulty_test_file(rule: Path, tests: str, message: str) -> None:
    report = run(rule, tests)
    [found] = report.faults
    assert str(found).startswith(f"{sidecar(rule)}:")
    assert message in str(found)


def test_a_faulty_rule_file(rule: Path) -> None:
    rule.write_text(RULE.replace("condition: selection", "condition: selektion"))
    assert "selektion" in fault(rule, f"- {{name: a, events: [{MISS}], expect: none}}\n")


def test_one_faulty_file_does_not_stop_the_others(rule: Path) -> None:
    sidecar(rule).write_text("nonsense")
    other = rule.with_name("z.yml")
    other.write_text(RULE)
    sidecar(other).write_text(f"- {{name: a, events: [{HIT}], expect: {{alerts: [{{}}]}}}}\n")
    report = run_tests([rule.parent, rule.parent / "missing"])
    assert report.passed == 1
    assert [fault.message for fault in report.faults] == [
        "a test file is a list of tests",
        "no such rule file or folder",
    ]


def test_rules_without_tests_are_counted(rule: Path) -> None:
    report = run_tests([rule.parent])
    assert report.total == 0
    assert report.untested == [rule]


def test_a_test_file_stands_for_its_rule(rule: Path) -> None:
    sidecar(rule).write_text(f"- {{name: a, events: [{MISS}], expect: none}}\n")
    assert run_tests([sidecar(rule)]).passed == 1


def test_hits_and_near_misses(rule: Path) -> None:
    tests = sidecar(rule)
    hit = f"- {{name: a, events: [{HIT}], expect: {{alerts: [{{}}]}}}}\n"
    miss = f"- {{name: b, events: [{MISS}], expect: none}}\n"
    tests.write_text(hit)
    assert not has_hit_and_miss(tests)
    tests.write_text(hit + miss)
    assert has_hit_and_miss(tests)
