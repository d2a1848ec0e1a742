"""The common Wazuh rules in detection: per event what the analysis engine of Wazuh gave.

The events and the engine's answers are those of `test_wazuh_oracle`; here they go the way that
events go in production, and through the command line.
"""

import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.attack.recordings import recording
from tocsin.cli import app
from tocsin.normalize.decode import decode
from tocsin.runtime.pipeline import Outcome, Pipeline
from tocsin.runtime.wazuh import load_wazuh_files
from tocsin.runtime.wazuhfiles import WazuhFiles
from tocsin.runtime.wazuhnode import WazuhNode

DATA = Path(__file__).parent / "wazuh"
RULESET = Path(os.environ.get("TOCSIN_WAZUH_ORACLE", "/nonexistent")) / "wazuh-ruleset"
COUNTS = {"110000": 1666, "110009": 24, "110010": 17, "110011": 1}

Answer = dict[str, Any]


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    packed = (DATA / "seed-policy.jsonl.gz").read_bytes()
    return [json.loads(line) for line in gzip.decompress(packed).splitlines()]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> WazuhFiles:
    """Return decoder and rules as people have them, without the rule that only tests have."""
    folder = tmp_path_factory.mktemp("wazuh")
    seed = DATA / "seed"
    rules = (seed / "local_rules.xml").read_text()
    rules = rules[: rules.index('<rule id="110020"')] + "</group>"
    (folder / "local_rules.xml").write_text(rules)
    (folder / "local_decoder.xml").write_text((seed / "local_decoder.xml").read_text())
    return WazuhFiles(folder=str(folder), strict=True)


def detected(files: WazuhFiles, *, compact: bool = True) -> list[Outcome]:
    pipeline = Pipeline([], [load_wazuh_files(files)])
    bodies = recording("seed-policy").bodies
    texts = bodies if compact else [json.dumps(json.loads(body)).encode() for body in bodies]
    return [pipeline.process(body, "c") for body in texts]


def test_every_event_gets_the_rule_that_the_engine_gave(
    files: WazuhFiles, answers: list[Answer]
) -> None:
    (node,) = Pipeline([], [load_wazuh_files(files)]).wazuh
    found = [
        result_of(node, batch.raw(index), event)
        for batch in map(decode, recording("seed-policy").bodies)
        for index, event in enumerate(batch.events)
    ]
    assert found == [
        (one["auditID"], one["rule"], one["level"], one["description"], one["data"])
        for one in answers
    ]
    assert Counter(rule for _, rule, *_ in found) == COUNTS


def result_of(node: WazuhNode, raw: bytes, event: Any) -> tuple[object, ...]:
    """Return what the rules give for an event, whether or not the filter lets it through."""
    _, result = node.feed(raw, event, "c")
    assert result.rule is not None
    data = result.fields.nested() or None
    return event.audit_id, str(result.rule.id), result.rule.level, result.description, data


@pytest.mark.parametrize("compact", [True, False])
def test_alerts_are_those_of_the_engine(
    files: WazuhFiles, answers: list[Answer], *, compact: bool
) -> None:
    found = [alert for outcome in detected(files, compact=compact) for alert in outcome.alerts]
    expected = [one for one in answers if one["level"] >= 3]
    assert [
        (alert.event and alert.event.audit_id, alert.rule.id, alert.rule.level, alert.description)
        for alert in found
    ] == [(one["auditID"], one["rule"], str(one["level"]), one["description"]) for one in expected]
    assert [alert.fields for alert in found] == [
        {"pod": None, "ns": None} | (one["data"] or {}) for one in expected
    ]


def test_alerts_of_the_command(files: WazuhFiles, tmp_path: Path) -> None:
    (tmp_path / "lists.jsonl").write_bytes(b"\n".join(recording("seed-policy").bodies))
    arguments = ["detect", "--wazuh", files.folder, "--no-builtin", "-q"]
    result = CliRunner().invoke(app, [*arguments, str(tmp_path / "lists.jsonl")])
    alerts = [json.loads(line) for line in result.stdout.splitlines()]
    counts = Counter(alert["rule"]["id"] for alert in alerts)
    assert counts == {rule: count for rule, count in COUNTS.items() if rule != "110000"}
    (privileged,) = [alert for alert in alerts if alert["rule"]["id"] == "110011"]
    assert privileged["rule"]["severity"] == "medium"
    assert privileged["rule"]["attack"] == [
        {"technique": "T1611", "name": "Escape to Host", "tactics": ["privilege-escalation"]}
    ]
    assert privileged["fields"] == {
        "pod": "k8s.privilege-escalation.privileged-pod",
        "ns": "stratus-red-team-privileged-name-abc",
    }
    assert not [one for one in alerts if one["description"].rstrip().endswith("pod:")]


@pytest.mark.skipif(not RULESET.is_dir(), reason="TOCSIN_WAZUH_ORACLE has no wazuh-ruleset")
def test_the_stock_ruleset_beside_them_changes_no_alert(files: WazuhFiles) -> None:
    stock = WazuhFiles(
        decoders=(str(RULESET / "decoders"), f"{files.folder}/local_decoder.xml"),
        rules=(str(RULESET / "rules"), f"{files.folder}/local_rules.xml"),
        strict=True,
    )
    alone, beside = (
        [hit.alert.id for outcome in detected(one) for hit in outcome.wazuh]
        for one in (files, stock)
    )
    assert alone == beside
