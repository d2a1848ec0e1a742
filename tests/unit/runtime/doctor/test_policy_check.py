from collections.abc import Sequence
from pathlib import Path

import pytest

from tocsin.model.ports import Observation
from tocsin.rules.ir import Rule
from tocsin.runtime.doctor.policy import examine_file, judge_events
from tocsin.runtime.rules import content_folder, load_rules

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n"


@pytest.fixture(scope="module")
def rules() -> Sequence[Rule]:
    return load_rules([]).rules


def test_the_recommended_policy_is_in_order(rules: Sequence[Rule]) -> None:
    [found] = examine_file(content_folder() / "policies" / "audit-policy.yaml", rules)
    assert found.state == "ok", found


def test_a_policy_without_bodies(rules: Sequence[Rule], tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(f"{HEAD}- level: Metadata\n")
    [found] = examine_file(path, rules)
    assert found.state == "warning"
    assert f"rules can never fire under {path}" in found.what
    assert "needs the request body" in found.why
    assert "tocsin setup --policy recommended" in found.mend


def test_what_else_is_odd(rules: Sequence[Rule], tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        HEAD.replace("omitStages", "omitStagess") + "- level: None\n- level: RequestResponse\n"
    )
    said = " | ".join(found.what for found in examine_file(path, rules))
    assert "omitStagess" in said
    assert "records the stage RequestReceived" in said


@pytest.mark.parametrize("text", ["kind: Policy\n", "- a\n", f"{HEAD}- level: All\n"])
def test_a_policy_that_stops_the_api_server(
    rules: Sequence[Rule], tmp_path: Path, text: str
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    [found] = examine_file(path, rules)
    assert found.state == "fault"
    assert "does not start" in found.why


def seen(level: str, count: int) -> list[Observation]:
    kinds = [
        ("create", None, "pods", None),
        ("create", "rbac.authorization.k8s.io", "clusterrolebindings", None),
        ("list", None, "secrets", None),
    ]
    return [Observation(*kind, level, count) for kind in kinds]


def test_the_policy_as_events_tell_it(rules: Sequence[Rule]) -> None:
    [found] = judge_events("prod", seen("Metadata", 1000), rules)
    assert found.state == "warning"
    assert "rules can never fire under what prod is seen to record" in found.what
    [found] = judge_events("prod", seen("RequestResponse", 1000), rules)
    assert found.state == "ok"
    assert "nothing is known yet" in found.what


def test_a_few_events_tell_nothing(rules: Sequence[Rule]) -> None:
    [found] = judge_events("prod", seen("Metadata", 1), rules)
    assert found.state == "skipped"
