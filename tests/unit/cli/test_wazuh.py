"""`tocsin wazuh compare`, and Wazuh's files in `tocsin rules lint`."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.commandline import Commands

SEED = Path(__file__).parents[2] / "conformance" / "wazuh" / "seed"


def event(name: str, verb: str) -> str:
    return json.dumps(
        {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": name,
            "stage": "ResponseComplete",
            "requestURI": f"/api/v1/namespaces/n/pods/{name}",
            "verb": verb,
            "user": {"username": "eve"},
            "objectRef": {"resource": "pods", "namespace": "n", "name": name},
            "requestReceivedTimestamp": "2026-11-23T10:45:16.123456Z",
            "stageTimestamp": "2026-11-23T10:45:16.123456Z",
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind, name in (("rules", "local_rules.xml"), ("decoders", "local_decoder.xml")):
        (tmp_path / "etc" / kind).mkdir(parents=True)
        (tmp_path / "etc" / kind / name).write_text((SEED / name).read_text())
    return tmp_path / "etc"


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_text("\n".join([event("p1", "delete"), event("p2", "delete"), event("p3", "list")]))
    return path


def alerts_json(tmp_path: Path, *names: str, level: int = 3) -> Path:
    path = tmp_path / "alerts.json"
    rule = {"id": "110009", "level": level, "description": "Kubernetes request to delete pod: "}
    lines = [json.dumps({"rule": rule, "full_log": event(name, "delete")}) for name in names]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_the_same_alerts(tocsin: Commands, tmp_path: Path, folder: Path, events: Path) -> None:
    there = alerts_json(tmp_path, "p1", "p2")
    ran = tocsin("wazuh", "compare", there, "--wazuh", folder, events)
    assert ran.out.splitlines()[-1] == "2 the same, 0 different"
    assert ran.code == 0


def test_other_alerts(tocsin: Commands, tmp_path: Path, folder: Path, events: Path) -> None:
    there = alerts_json(tmp_path, "p1", "gone\x1b", level=4)
    ran = tocsin("wazuh", "compare", there, "--wazuh", folder, events)
    assert ran.code == 1
    assert "rule 110009, another level: p1 ResponseComplete" in ran.out
    assert "  Wazuh: level 4, Kubernetes request to delete pod: " in ran.out
    assert "rule 110009, only in Wazuh: gone\\u001b ResponseComplete" in ran.out
    assert "rule 110009, only in Tocsin: p2 ResponseComplete" in ran.out
    assert ran.out.splitlines()[-1] == "0 the same, 3 different"


def test_a_comparison_as_data(tocsin: Commands, tmp_path: Path, folder: Path, events: Path) -> None:
    there = alerts_json(tmp_path, "p1")
    ran = tocsin("wazuh", "compare", there, "--wazuh", folder, events, "--json", "--strict")
    assert ran.code == 1
    assert json.loads(ran.out) == {
        "same": {"110009": 1},
        "differences": [
            {
                "rule": "110009",
                "kind": "only-here",
                "audit_id": "p2",
                "stage": "ResponseComplete",
                "there": None,
                "here": {"level": 3, "description": "Kubernetes request to delete pod: "},
            }
        ],
        "other_rules": {},
        "other_logs": 0,
        "unreadable": 0,
    }


def test_the_rules_of_a_configuration(
    tocsin: Commands, tmp_path: Path, folder: Path, events: Path
) -> None:
    there = alerts_json(tmp_path, "p1", "p2")
    config = tmp_path / "tocsin.yaml"
    config.write_text(f"rules: [{{wazuh: {{folder: {folder}}}}}]\n")
    assert tocsin("wazuh", "compare", there, events, "--config", config).code == 0
    ran = tocsin("wazuh", "compare", there, events)
    assert ran.code == 2
    assert "name the folder of your Wazuh files by --wazuh DIR" in ran.err


def test_many_differences_are_cut_short(tocsin: Commands, tmp_path: Path, folder: Path) -> None:
    events = tmp_path / "audit.log"
    events.write_text("\n".join(event(f"p{number}", "delete") for number in range(30)))
    ran = tocsin("wazuh", "compare", alerts_json(tmp_path), "--wazuh", folder, events)
    assert "... and 10 more; --json tells all" in ran.out


def test_an_alerts_file_that_is_not_there(
    tocsin: Commands, tmp_path: Path, folder: Path, events: Path
) -> None:
    ran = tocsin("wazuh", "compare", tmp_path / "none", "--wazuh", folder, events)
    assert ran.code == 2
    assert "none: No such file" in ran.err


@pytest.mark.parametrize("how", ["option", "folder", "file"])
def test_lint(tocsin: Commands, folder: Path, how: str) -> None:
    rules = folder / "rules" / "local_rules.xml"
    arguments = {"option": ("--wazuh", folder), "folder": (folder,), "file": (rules,)}[how]
    ran = tocsin("rules", "lint", *arguments)
    assert ran.code == 0
    assert f"{rules}:16: warning: rule 110011 reads JSON as text: any further key" in ran.out
    assert '      <rule id="110011" level="9">' in ran.out
    assert "0 faults" in ran.out.splitlines()[-1]


def test_lint_of_what_is_in_force(tocsin: Commands, tmp_path: Path, folder: Path) -> None:
    config = tmp_path / "tocsin.yaml"
    config.write_text(f"builtin_rules: false\nrules: [{{wazuh: {{folder: {folder}}}}}]\n")
    rules = folder / "rules" / "local_rules.xml"
    rules.write_text(rules.read_text().replace(">110000<", ">110000,999<", 1))
    ran = tocsin("rules", "lint", "--config", config)
    assert ran.code == 0
    assert ran.out.count("there is no rule 999") == 1
    assert "rule 110011 reads JSON as text" in ran.out
    assert ran.out.splitlines()[-1].startswith("12 rules, 0 faults")


def test_lint_fails_on_rules_without_effect(tocsin: Commands, folder: Path) -> None:
    rules = folder / "rules" / "local_rules.xml"
    rules.write_text(rules.read_text().replace("<if_sid>110000</if_sid>", "<if_sid>5</if_sid>", 1))
    rules.write_text(rules.read_text().replace('id="110010"', 'id="110009"'))
    ran = tocsin("rules", "lint", "--wazuh", folder, "--json")
    assert ran.code == 1
    faults = [found for found in json.loads(ran.out) if found["fault"]]
    assert [found["message"] for found in faults] == [
        "rule 110009 is there already, and the first counts (7612)"
    ]
    assert faults[0]["source"] == f"{rules}:11"


def test_lint_fails_on_files_that_do_not_load(tocsin: Commands, folder: Path) -> None:
    (folder / "rules" / "broken.xml").write_text("<group>")
    ran = tocsin("rules", "lint", "--wazuh", folder)
    assert ran.code == 1
    assert "broken.xml:1: element 'group' is not closed" in ran.out


def test_detect_writes_wazuhs_shape(tocsin: Commands, folder: Path, events: Path) -> None:
    ran = tocsin("detect", "--wazuh", folder, "--format", "wazuh", events)
    assert ran.code == 0
    alerts = [json.loads(line) for line in ran.out.splitlines()]
    ours = [alert for alert in alerts if alert["rule"]["id"] == "110009"]
    assert [json.loads(alert["full_log"])["auditID"] for alert in ours] == ["p1", "p2"]
    assert ours[0]["rule"]["description"] == "Kubernetes request to delete pod: "
    assert ours[0]["data"]["objectRef"]["name"] == "p1"
    assert ours[0]["location"] == "k8s"
    assert len({alert["id"] for alert in alerts}) == len(alerts)
