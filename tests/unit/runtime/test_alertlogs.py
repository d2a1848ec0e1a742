"""The second alert log, in Wazuh's shape: written from the store like the first."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.dialects.wazuh.installed import installed, rule, session
from tests.unit.runtime.rulefiles import event, event_list
from tests.unit.store.samples import make_alert
from tocsin.dialects.wazuh.alertjson import alert_id
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import PostMeta, SpoolWriter
from tocsin.model.errors import LoadError
from tocsin.model.ports import Retention
from tocsin.runtime.alertlogs import AlertLogs
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.detector import Detector
from tocsin.runtime.wazuhnode import WazuhHit
from tocsin.store import SqliteStore, own_store

FIRST, SECOND, THIRD = ("0a" * 16, "0b" * 16, "0c" * 16)
META = PostMeta("prod", None, None, "webhook", 1_700_000_000_000_000)
LOG = b'{"verb": "create"}'


@pytest.fixture
def config(tmp_path: Path) -> Config:
    log = str(tmp_path / "wazuh" / "alerts.json")
    return load_config(None, {"TOCSIN__ALERTS__WAZUH_JSON": log}, tmp_path / "data")


def hit(alert_id: str) -> WazuhHit:
    running = session(installed(rule(100001, 9, "<match>create</match>")))
    return WazuhHit(make_alert(alert_id), running.feed(LOG), LOG)


def lines(config: Config) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(config.alerts.wazuh_json).read_text().splitlines()]


def opened(config: Config) -> SqliteStore:
    return own_store(config.store_path, {}, now=1.0)


def record(store: SqliteStore, logs: AlertLogs, *found: WazuhHit) -> None:
    logs.note(found)
    store.record([one.alert for one in found], {}, 1.0, forms=logs.forms)


def test_hits_are_told_in_full_and_others_in_the_same_shape(config: Config) -> None:
    with opened(config) as store:
        logs = AlertLogs(config, store)
        record(store, logs, hit(FIRST))
        store.record([make_alert(SECOND)], {}, 1.0)
        logs.catch_up(store)
        logs.close()
    first, second = lines(config)
    assert first["full_log"] == LOG.decode()
    assert first["rule"]["id"] == "100001"
    assert "full_log" not in second
    assert second["rule"]["id"] == make_alert().rule.id


def test_what_a_kill_kept_from_the_log_is_written_at_the_next_start(config: Config) -> None:
    with opened(config) as store:
        logs = AlertLogs(config, store)
        record(store, logs, hit(FIRST))
        logs.catch_up(store)
        record(store, logs, hit(SECOND))
        logs.close()
    with opened(config) as store:
        logs = AlertLogs(config, store)
        logs.catch_up(store)
        logs.catch_up(store)
        logs.close()
    assert [line["full_log"] for line in lines(config)] == [LOG.decode()] * 2
    assert len({line["id"] for line in lines(config)}) == 2


def test_a_forged_hit_does_not_speak_for_an_authenticated_one(config: Config) -> None:
    with opened(config) as store:
        logs = AlertLogs(config, store)
        alert = make_alert(FIRST)
        store.record([], {}, 1.0, [alert], forms={FIRST: b'{"id":"forged"}\n'})
        record(store, logs, hit(FIRST))
        store.record([], {}, 1.0, [alert], forms={FIRST: b'{"id":"forged"}\n'})
        logs.catch_up(store)
        logs.close()
    assert [line["full_log"] for line in lines(config)] == [LOG.decode()]


def test_a_new_store_repeats_no_line(config: Config) -> None:
    for alerts in ((FIRST,), (FIRST, SECOND)):
        config.store_path.unlink(missing_ok=True)
        with opened(config) as store:
            logs = AlertLogs(config, store)
            record(store, logs, *map(hit, alerts))
            logs.catch_up(store)
            logs.close()
    assert [alert_id(line["id"]) for line in lines(config)] == [FIRST, SECOND]


def test_forms_go_with_their_alerts(config: Config) -> None:
    with opened(config) as store:
        logs = AlertLogs(config, store)
        record(store, logs, hit(THIRD))
        assert store.forms.of(1) is not None
        store.prune(10**9, Retention(1, 10, 10**9))
        assert store.forms.of(1) is None
        logs.close()


def test_without_the_setting_nothing_is_kept(tmp_path: Path) -> None:
    config = load_config(None, {}, tmp_path / "data")
    with opened(config) as store:
        logs = AlertLogs(config, store)
        logs.note([hit(FIRST)])
        assert logs.forms == {}
        logs.close()


def test_both_logs_in_one_file_are_refused(tmp_path: Path) -> None:
    variables = {"TOCSIN__ALERTS__WAZUH_JSON": str(tmp_path / "data" / "alerts.jsonl")}
    with pytest.raises(LoadError, match="is the file of our own alert log"):
        load_config(None, variables, tmp_path / "data")


RULES = """
<group name="k,">
<rule id="100000" level="0"><decoded_as>json</decoded_as><description>audit</description></rule>
<rule id="100001" level="9"><if_sid>100000</if_sid><field name="verb">^create$</field>
<description>$(user.username) made $(objectRef.name)</description></rule>
</group>
"""


def test_the_detector_writes_both_logs(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "local_rules.xml").write_text(RULES)
    variables = {
        "TOCSIN__RULES": f"[{{wazuh: {{folder: {tmp_path}/etc}}}}]",
        "TOCSIN__BUILTIN_RULES": "false",
        "TOCSIN__SPOOL__MIN_FREE_BYTES": "0",
        "TOCSIN__ALERTS__WAZUH_JSON": str(tmp_path / "alerts.json"),
    }
    config = load_config(None, variables, tmp_path / "data")
    sealer = Sealer(load_or_create_key(config.key_path))
    with closing(SpoolWriter(config.spool_folder, sealer, config.spool)) as writer:
        writer.append(META, event_list(event(1), event(2, verb="list"))).result()
        detector = Detector(config)
        assert detector._step()
        detector._logs.close()
        detector._store.close()
    (line,) = lines(config)
    assert json.loads(line["full_log"])["auditID"] == "a-1"
    assert line["rule"]["id"] == "100001"
    (own,) = config.alert_log_path.read_bytes().splitlines()
    assert alert_id(line["id"]) == json.loads(own)["id"]
