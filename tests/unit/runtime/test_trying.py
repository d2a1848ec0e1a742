"""A trial is what production would do with the rule, within bounds, and it reads no files."""

import json
from pathlib import Path

from tests.unit.audit import item
from tocsin.runtime import trying
from tocsin.runtime.trying import MAX_TRIED, try_rule

RULE = """\
title: Secret read
id: 00000000-0000-4000-8000-000000000001
logsource: {product: kubernetes, service: audit}
detection:
  selection: {verb: get, objectRef.resource: secrets}
  condition: selection
level: high
"""
SECRET = {"verb": "get", "objectRef": {"resource": "secrets", "namespace": "shop", "name": "db"}}
SHORT = "verb: get\nobjectRef: {resource: secrets}\n"


def test_each_event_by_itself() -> None:
    events = "\n".join(json.dumps(item(**change)) for change in (SECRET, {}, SECRET))
    trial = try_rule(RULE, events, {})
    assert (trial.rules, trial.events, trial.fired) == (1, 3, 2)
    assert [one.root.holds for one in trial.tried] == [True, False, True]
    first = trial.tried[0].alert
    assert first is not None
    assert (first.rule.title, first.rule.severity) == ("Secret read", "high")
    assert trial.tried[0].request == "alice: get secrets db in shop"


def test_events_in_every_form() -> None:
    whole = item(**SECRET)
    laid_out = json.dumps(whole, indent=2)
    listed = json.dumps([whole])
    several = "- verb: get\n  objectRef: {resource: secrets}\n- verb: list\n"
    for text, count in ((laid_out, 1), (listed, 1), (SHORT, 1), (several, 2)):
        trial = try_rule(RULE, text, {})
        assert (trial.problem, trial.events) == ("", count), text
        assert trial.fired == 1


def test_faults_have_lines() -> None:
    trial = try_rule(RULE.replace("condition: selection", "condition: nothing"), SHORT, {})
    assert trial.faults[0].location.line > 1
    assert not trial.tried


def test_silent_rule_is_warned_about() -> None:
    trial = try_rule(RULE.replace("verb: get", "verb: frobnicate"), SHORT, {})
    assert "never" in trial.warnings[0].message
    assert trial.fired == 0


def test_rule_for_other_logs_is_told() -> None:
    trial = try_rule(RULE.replace("kubernetes", "windows"), SHORT, {})
    assert "another log source" in trial.faults[0].message


def test_bad_event_is_told() -> None:
    for text in ('{"verb": ', "nonsense", "[1]", "verb: get\nfrobs: 1", "42"):
        trial = try_rule(RULE, text, {})
        assert "cannot be read" in trial.problem, text
        assert not trial.tried


WAZUH = """\
<group name="k8s,">
  <rule id="110000" level="5">
    <decoded_as>json</decoded_as>
    <field name="objectRef.resource">secrets</field>
    <description>Secret $(objectRef.name)</description>
  </rule>
  <rule id="110001" level="10" frequency="2" timeframe="60">
    <if_matched_sid>110000</if_matched_sid>
    <description>Many Secrets</description>
  </rule>
</group>
"""


def test_wazuh_rules_in_the_order_of_events() -> None:
    events = "\n".join(json.dumps(item(**change)) for change in (SECRET, {}, SECRET))
    trial = try_rule(WAZUH, events, {})
    assert (trial.faults, trial.rules, trial.events) == ((), 2, 3)
    fired = {(one.title, one.event) for one in trial.tried if one.alert}
    assert fired == {("110000 Secret …", 0), ("110001 Many Secrets", 2)}
    by_event = {one.event: one for one in trial.tried if one.title.startswith("110000")}
    assert [by_event[event].root.holds for event in range(3)] == [True, False, True]


def test_faults_of_wazuh_rules_have_lines() -> None:
    trial = try_rule(WAZUH.replace('level="5"', 'level="high"'), "", {})
    assert trial.faults[0].location.line == 2


def test_without_an_event_the_rule_is_checked_only() -> None:
    trial = try_rule(RULE, " ", {})
    assert (trial.problem, trial.events, trial.rules) == ("", 0, 1)


def test_no_file_is_read(tmp_path: Path) -> None:
    recording = tmp_path / "events.jsonl"
    recording.write_text(json.dumps(item(**SECRET)))
    reference = f"capture: {recording}#9a1b6b4e-0000-4000-8000-000000000001"
    trial = try_rule(RULE, reference, {})
    assert trial.problem
    assert trial.events == 0


def test_bounds() -> None:
    many = "\n".join(json.dumps(item(**SECRET)) for _ in range(MAX_TRIED + 1))
    assert "at most" in try_rule(RULE, many, {}).problem
    assert "longer" in try_rule("x" * 100_000, "", {}).faults[0].message
    assert "longer" in try_rule(RULE, "x" * 1_000_000, {}).problem


def test_one_at_a_time() -> None:
    with trying._busy:
        assert "another rule" in try_rule(RULE, SHORT, {}).problem
    assert try_rule(RULE, SHORT, {}).fired == 1
