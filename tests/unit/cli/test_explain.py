"""`tocsin explain`: of a stored alert with its event, and of a rule on events of a file."""

import json
from pathlib import Path

import pytest

from tests.unit.audit import encoded, event_list, item
from tests.unit.cli.commandline import Commands
from tests.unit.web.findings import secret_read
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import PostMeta, SpoolSettings, SpoolWriter
from tocsin.model.alert import Alert
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.rules import load_rules
from tocsin.store import own_store

RULE = "00000000-0000-4000-8000-000000000001"
HOSTILE = "\x1b[31mred"


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Return a file of two events, of which one is a Secret read."""
    path = tmp_path / "events.jsonl"
    hostile = item(userAgent=HOSTILE, user={"username": HOSTILE})
    path.write_bytes(encoded(secret_read()) + b"\n" + encoded(hostile) + b"\n")
    return path


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rule.yml"
    path.write_text(
        f"title: Secret read\nid: {RULE}\nlevel: high\n"
        "logsource: {product: kubernetes, service: audit}\n"
        "detection:\n  selection: {verb: get, objectRef.resource: secrets}\n"
        "  known: {user.username: backup}\n  condition: selection and not known\n"
    )
    return path


def stored(tmp_path: Path, rules: Path, *, retained: bool) -> tuple[Path, Alert]:
    """Return a configuration over a store with one alert, and the alert."""
    path = tmp_path / "tocsin.yaml"
    path.write_text(f"data: {tmp_path}/data\nrules: [{rules}]\n")
    config = load_config(path)
    body = event_list([encoded(secret_read())])
    [alert] = Pipeline(load_rules([rules], builtin=False).rules).process(body, "prod").alerts
    with own_store(config.store_path, {}, 1000.0) as store:
        store.record([alert], {}, 1000.0)
    if retained:
        _spool(config, body)
    return path, alert


def _spool(config: Config, body: bytes) -> None:
    sealer = Sealer(load_or_create_key(config.key_path))
    writer = SpoolWriter(config.spool_folder, sealer, SpoolSettings(min_free_bytes=0))
    try:
        writer.append(PostMeta("prod", None, None, "webhook", 1_000_000), body).result()
    finally:
        writer.close()


def test_stored_alert(tocsin: Commands, tmp_path: Path, rules: Path) -> None:
    config, alert = stored(tmp_path, rules, retained=True)
    ran = tocsin("explain", alert.id, "--config", config)
    assert ran.code == 0, ran.err
    assert 'yes  verb is "get"   seen: get' in ran.out
    assert "Secret read" in ran.out
    found = json.loads(tocsin("explain", alert.id, "--config", config, "--json").out)
    assert found["alert"]["id"] == alert.id
    assert found["tree"]["holds"] is True


def test_event_that_is_gone(tocsin: Commands, tmp_path: Path, rules: Path) -> None:
    config, alert = stored(tmp_path, rules, retained=False)
    ran = tocsin("explain", alert.id, "--config", config)
    assert ran.code == 0
    assert "no longer retained" in ran.out
    assert "yes" not in ran.out


def test_rule_on_events_of_a_file(tocsin: Commands, events: Path, rules: Path) -> None:
    ran = tocsin("explain", "--event", events, "--rule", RULE, "--rules", rules)
    assert ran.code == 0, ran.err
    fires, rest = ran.out.split("event 2:")
    assert "'Secret read' fires." in fires
    assert "does not fire" in rest
    assert "What kept it from firing:\n" in rest
    assert f"({rules}:" in rest.replace("\n", "")
    assert "2 events, the rule fires on 1." in rest
    assert "\x1b[31m" not in ran.out
    lines = [
        json.loads(line)
        for line in tocsin(
            "explain", "--event", events, "--rule", RULE, "--rules", rules, "--json"
        ).out.splitlines()
    ]
    assert [line["fires"] for line in lines] == [True, False]
    assert lines[1]["tree"]["kind"] == "all"


def test_wrong_usage(tocsin: Commands, tmp_path: Path, events: Path, rules: Path) -> None:
    config, _ = stored(tmp_path, rules, retained=False)
    for arguments, said in (
        ((), "ALERT_ID"),
        (("--event", events), "--rule"),
        (("nothing", "--config", config), "no alert 'nothing'"),
        (("--event", events, "--rule", "no-such-rule"), "no rule has an id"),
        (("--event", tmp_path / "missing", "--rule", RULE, "--rules", rules), "no such file"),
        (("--event", rules, "--rule", RULE, "--rules", rules), "holds no audit event"),
    ):
        ran = tocsin("explain", *arguments)
        assert ran.code == 2, arguments
        assert said in ran.err
