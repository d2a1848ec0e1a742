"""What the analysis engine of Wazuh 4.14.7 gave for the same files and logs, compared exactly.

`wazuh/` holds our own inputs with the engine's outputs. The stock ruleset stays outside of this
repository: TOCSIN_WAZUH_ORACLE names a folder with `wazuh-ruleset/` and
`wazuh-ruleset-sample.jsonl.gz`.
"""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.attack.recordings import recording
from tocsin.dialects.wazuh.evaluate import Result, Thresholds
from tocsin.dialects.wazuh.install import Files, Installation, install
from tocsin.dialects.wazuh.output import decoder, groups, reserialised
from tocsin.model.errors import LoadError

DATA = Path(__file__).parent / "wazuh"
FOLDER = Path(os.environ.get("TOCSIN_WAZUH_ORACLE", "/nonexistent"))
START = 1_800_000_000.0
# The engine does not start without a decoder for programs.
PROGRAM = ("zz-program.xml", '<decoder name="p"><program_name>^zz$</program_name></decoder>')

# Differences, each with its reason.
DIFFERENT = {
    "json-09": "the headers of text logs are not taken off yet",
    "dec-10": "the headers of text logs are not taken off yet",
}

Row = dict[str, Any]


def rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def seed_file(name: str) -> tuple[str, str]:
    return name, (DATA / "seed" / name).read_text()


def seed_installation(
    *decoders: str, extra_rule: bool = False, strict: bool = True
) -> Installation:
    name, rules = seed_file("local_rules.xml")
    if not extra_rule:
        rules = rules[: rules.index('<rule id="110020"')] + "</group>"
    files = Files((PROGRAM, *map(seed_file, decoders)), ((name, rules),))
    return install(files, strict=strict)


def as_alert(result: Result) -> Row:
    """Return a result in the engine's words."""
    alert: Row = {"decoder": decoder(result), "data": result.fields.nested()}
    if result.rule is not None:
        alert["rule"] = {
            "id": str(result.rule.id),
            "level": result.rule.level,
            "description": result.description,
            "firedtimes": result.fired,
            "mail": result.mail,
            **groups(result.rule),
        }
        if result.rule.correlation is not None and result.rule.correlation.frequency:
            alert["rule"]["frequency"] = result.rule.correlation.frequency
        if result.rule.info:
            alert["rule"]["info"] = result.rule.info
    if result.previous_output is not None:
        alert["previous_output"] = result.previous_output
    return alert


def expected(alert: Row) -> Row:
    kept: Row = {key: alert[key] for key in ("decoder", "previous_output") if key in alert}
    if "rule" in alert:
        kept["rule"] = {"level": 0, **alert["rule"]}
    return {"decoder": {}, "data": alert.get("data", {}), **kept}


CONFIGURATIONS = {
    "seed": ("local_decoder.xml",),
    "stock-json": (),
    "two-child": ("local_decoder.two-child.xml",),
}


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_common_rules_give_the_same_alerts(configuration: str) -> None:
    installation = seed_installation(*CONFIGURATIONS[configuration], extra_rule=True)
    cases = [row for row in rows(DATA / "seed.jsonl.gz") if row["config"] == configuration]
    assert len(cases) == 32
    for case in cases:
        session = installation.session(lambda: START, Thresholds(3, 7))
        result = session.feed(case["log"].encode())
        assert as_alert(result) == expected(case["alert"]), case["name"]
        assert result.alert == case["alert_flag"]


def recorded_events() -> list[Row]:
    return [
        item
        for body in recording("seed-policy").bodies
        for item in msgspec.json.decode(body)["items"]
    ]


def rule_level_description(result: Result) -> tuple[str, int, str]:
    assert result.rule is not None
    return str(result.rule.id), result.rule.level, result.description


def test_the_common_rules_on_a_recording() -> None:
    session = seed_installation("local_decoder.xml").session(lambda: START)
    answers = rows(DATA / "seed-policy.jsonl.gz")
    for event, answer in zip(recorded_events(), answers, strict=True):
        result = session.feed(json.dumps(event).encode())
        expected_rule = (answer["rule"], answer["level"], answer["description"])
        assert rule_level_description(result) == expected_rule
        assert (result.fields.nested() or None) == answer["data"]


def test_additive_gives_the_same_for_compact_json() -> None:
    installation = seed_installation("local_decoder.xml", strict=False)
    session = installation.session(lambda: START)
    answers = rows(DATA / "seed-policy.jsonl.gz")
    for event, answer in zip(recorded_events(), answers, strict=True):
        result = session.feed(reserialised(msgspec.json.encode(event)))
        expected_rule = (answer["rule"], answer["level"], answer["description"])
        assert rule_level_description(result) == expected_rule
        assert result.fields.get("verb") == event["verb"]


EXPERIMENTS = rows(DATA / "experiments.jsonl.gz")


@pytest.mark.parametrize("case", EXPERIMENTS, ids=[case["id"] for case in EXPERIMENTS])
def test_experiments(request: pytest.FixtureRequest, case: Row) -> None:
    if case["id"] in DIFFERENT:
        request.applymarker(pytest.mark.xfail(reason=DIFFERENT[case["id"]], strict=True))
    try:
        installation = install(experiment_files(case), strict=True)
    except LoadError:
        assert not case["loaded"]
        return
    assert case["loaded"]
    assert warning_numbers(installation) == engine_numbers(case["load_messages"])
    if case["id"] not in ("tree-27", "tree-28"):  # they depend on the day
        feed_experiment(case, installation)


def experiment_files(case: Row) -> Files:
    decoders = [PROGRAM]
    if case["decoders"]:
        decoders.append(("local_decoder.xml", case["decoders"]))
    if case["json_decoder_override"]:
        decoders.append(("0006-json_decoders.xml", case["json_decoder_override"]))
    lists = {f"etc/lists/{name}": text for name, text in (case["lists"] or {}).items()}
    return Files(tuple(decoders), (("local_rules.xml", case["rules"]),), lists)


def warning_numbers(installation: Installation) -> list[str]:
    """Return the engine's numbers of our warnings; those of our own have none."""
    messages = (warning.message for warning in installation.warnings)
    return sorted(text[-5:-1] for text in messages if text.endswith(")"))


def engine_numbers(messages: list[str]) -> list[str]:
    return sorted(text.split("(")[1][:4] for text in messages if "(" in text)


def feed_experiment(case: Row, installation: Installation) -> None:
    now = START
    session = installation.session(lambda: now, Thresholds(1, 12), "oraclehost")
    answers = iter(case["observed"])
    for event in case["events"]:
        if not isinstance(event, str):
            now += event
            continue
        answer = next(answers)
        result = session.feed(event.encode())
        assert as_alert(result) == expected(answer["output"])
        assert result.alert == answer["alert"]
        assert tried(result) == [
            line for line in map(tried_rule, answer.get("rules_debug", [])) if line
        ]


def tried(result: Result) -> list[tuple[str, int]]:
    lines = []
    for step in result.tried:
        lines.append(("tried", step.rule.id))
        if step.matched:
            lines.append(("matched", step.rule.id))
    return lines


def tried_rule(line: str) -> tuple[str, int] | None:
    words = line.split()
    if line.startswith("Trying rule:"):
        return "tried", int(words[2])
    return ("matched", int(words[1])) if line.startswith("*Rule") else None


@pytest.fixture(scope="module")
def ruleset() -> Installation:
    if not FOLDER.is_dir():
        pytest.skip("TOCSIN_WAZUH_ORACLE names no folder with Wazuh's ruleset")
    decoders, rules = (
        tuple((path.name, path.read_text()) for path in (FOLDER / "wazuh-ruleset" / kind).iterdir())
        for kind in ("decoders", "rules")
    )
    return install(Files(decoders, rules), strict=True)


def test_the_official_rule_tests_of_json_logs(ruleset: Installation) -> None:
    cases = rows(FOLDER / "wazuh-ruleset-sample.jsonl.gz")
    cases = [case for case in cases if case["kind"] == "json"]
    assert len(cases) == 442
    for case in cases:
        session = ruleset.session(lambda: START, Thresholds(3, 7))
        for line, answer in zip(case["lines"], case["observed"], strict=True):
            result = session.feed(line.encode(), case["location"])
            found = as_alert(result)
            output = answer["output"]
            found.get("rule", {}).pop("mitre", None)
            assert found == expected(output), (case["file"], case["section"])
            assert result.alert == answer["alert"]
