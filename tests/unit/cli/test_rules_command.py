import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tocsin.cli.rules import rules_app
from tocsin.model.errors import TocsinError

RULE = """\
title: Secret read
id: 00000000-0000-4000-8000-000000000001
tags: [attack.credential-access, attack.t1552.007]
logsource: {product: kubernetes, service: audit}
detection:
  selection: {verb: get, objectRef.resource: secrets}
  condition: selection
level: high
"""
TEST = """\
- name: a Secret
  events: [{verb: get, objectRef: {resource: secrets, namespace: shop, name: db}}]
  expect: {alerts: [{severity: high}]}
"""


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "rule.yml"
    path.write_text(RULE)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(rules_app, [str(argument) for argument in arguments])


def listed(*arguments: object) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = json.loads(run("list", "--json", *arguments).stdout)
    return rules


def test_list_as_data(rule: Path) -> None:
    [own] = [one for one in listed(rule) if one["source"].startswith(str(rule))]
    assert own["title"] == "Secret read"
    assert own["severity"] == "high"
    assert own["attack"] == ["T1552.007"]


def test_list_from_a_severity_on() -> None:
    severities = {one["severity"] for one in listed("--severity", "high")}
    assert severities == {"high", "critical"}
    assert len(listed()) > len(listed("--severity", "low")) > len(listed("--severity", "critical"))


def test_list_as_a_table(rule: Path) -> None:
    result = run("list", rule)
    assert result.exit_code == 0
    assert "Secret read" in result.stdout
    assert "Privileged container" in result.stdout


def test_list_says_which_files_were_left_out(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("title: no rule\n")
    result = run("list", tmp_path)
    assert result.exit_code == 0
    assert "bad.yml:1: not a Sigma rule" in result.stderr


def test_show(rule: Path) -> None:
    result = run("show", "00000000", rule)
    assert "Secret read\nseverity high, T1552.007\n" in result.stdout
    assert RULE in result.stdout


def test_show_a_shipped_rule() -> None:
    [identifier] = [one["id"] for one in listed() if one["title"] == "Privileged container"]
    assert "k8s.privilege-escalation.privileged-pod" in run("show", identifier).stdout


@pytest.mark.parametrize(("start", "problem"), [("zzz", "no rule has"), ("", "several rules")])
def test_show_needs_one_rule(start: str, problem: str) -> None:
    error = run("show", start).exception
    assert isinstance(error, TocsinError)
    assert problem in str(error)


def test_lint_of_what_ships() -> None:
    result = run("lint")
    assert result.exit_code == 0
    assert "0 faults, 0 warnings, 0 skipped" in result.stdout


def test_lint_warns(rule: Path) -> None:
    rule.write_text(RULE.replace("verb: get", "verbs: get"))
    result = run("lint", rule)
    assert result.exit_code == 0
    assert f"{rule}:6: warning: no event has a field 'verbs'" in result.stdout
    assert "1 rules, 0 faults, 1 warnings" in result.stdout


def test_lint_fails_on_faults(rule: Path) -> None:
    rule.write_text(RULE.replace("condition: selection", "condition: selektion"))
    result = run("lint", rule)
    assert result.exit_code == 1
    assert f"{rule}:" in result.stdout
    assert "0 rules, 1 faults" in result.stdout


def test_lint_counts_rules_for_others(rule: Path) -> None:
    rule.write_text(RULE.replace("kubernetes", "windows"))
    assert "1 skipped" in run("lint", rule).stdout


def test_tests_pass(rule: Path) -> None:
    rule.with_name("rule.test.yml").write_text(TEST)
    result = run("test", rule.parent)
    assert result.exit_code == 0
    assert result.stdout == "1 tests, 0 failed\n"


def test_tests_fail(rule: Path) -> None:
    tests = rule.with_name("rule.test.yml")
    tests.write_text(TEST.replace("high", "low"))
    result = run("test", rule)
    assert result.exit_code == 1
    assert f"{tests}:1: a Secret: no alert as expected" in result.stdout
    assert "1 tests, 1 failed" in result.stdout


def test_rules_without_tests_are_no_failure(rule: Path) -> None:
    result = run("test", rule)
    assert result.exit_code == 0
    assert "0 tests, 0 failed, 1 rule files without tests" in result.stdout


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    result = run("test", tmp_path / "gone")
    assert result.exit_code == 1
    assert "no such rule file or folder" in result.stdout


@pytest.mark.parametrize("command", ["list", "show", "lint", "test"])
def test_help_has_an_example(command: str) -> None:
    assert f"Example: tocsin rules {command}" in run(command, "--help").stdout


def covered(*arguments: object) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(run("coverage", "--json", *arguments).stdout)
    return data


def test_coverage_as_data() -> None:
    data = covered("--policy", "seed")
    states = {one["title"]: one["state"] for one in data["rules"]}
    assert states["ClusterRole with all rights"] == "never"
    assert states["Privileged container"] == "partial"
    assert states["Shell in a container"] == "full"
    assert len(states) == len(listed())
    assert data["ignored"] == ["rules[3].resources[0].verbs"]


def test_coverage_for_a_person() -> None:
    result = run("coverage", "--policy", "seed")
    assert result.exit_code == 0
    assert "does not know rules[3].resources[0].verbs" in result.stdout
    never, partial, full = (
        result.stdout.index(title)
        for title in ("can never fire", "see only a part", "see all that they are for")
    )
    assert never < result.stdout.index("needs the body") < partial < full


def test_coverage_of_own_rules_and_policy(tmp_path: Path, rule: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, verbs: [list]}]"
    )
    config = tmp_path / "tocsin.yaml"
    config.write_text(f"rules: [{rule}]\nbuiltin_rules: false\n")
    [found] = covered("--policy", policy, "--config", config)["rules"]
    assert found["state"] == "never"
    assert found["why"] == "no rule of the policy matches get of secrets, so it is not recorded"
    with pytest.raises(TocsinError, match="there is no file none"):
        raise run("coverage", "--policy", "none").exception or AssertionError
