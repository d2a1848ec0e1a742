import json
from typing import Any

import pytest

from tests.unit.dialects.wazuh.installed import installed, rule, session
from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert
from tocsin.dialects.wazuh.alertjson import (
    LEVELS,
    MAX_LOG_BYTES,
    Scribe,
    alert_id,
    alert_number,
    to_line,
)
from tocsin.model.alert import Alert
from tocsin.normalize.redactjson import redact_document, redact_json

SCRIBE = Scribe("tower", redact_json, redact_document)
ID = "00ff" * 8
EVENT = json.dumps(
    {
        "verb": "create",
        "user": {"username": "eve"},
        "items": [{"name": "a"}],
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }
)
PRIVILEGED = (
    "<match>create</match><mitre><id>T1611</id></mitre><group>attack,pci_dss_1.2,</group>"
    "<info>look</info>"
)


def alert(**changes: Any) -> Alert:
    return make_alert(ID, **changes)


def hit(content: str, log: str, attributes: str = "") -> dict[str, Any]:
    running = session(installed(rule(100001, 9, content, attributes=attributes), strict=False))
    result = running.feed(log.encode())
    shown: dict[str, Any] = json.loads(to_line(SCRIBE.hit(result, alert(), log.encode())))
    return shown


def test_a_hit_says_all_that_wazuh_says_in_its_order() -> None:
    shown = hit(PRIVILEGED, EVENT)
    assert shown == {
        "timestamp": "2026-11-23T10:45:16.123+0000",
        "rule": {
            "level": 9,
            "description": "rule 100001",
            "id": "100001",
            "mitre": {
                "id": ["T1611"],
                "tactic": ["Privilege Escalation"],
                "technique": ["Escape to Host"],
            },
            "info": "look",
            "firedtimes": 1,
            "mail": False,
            "groups": ["t", "attack"],
            "pci_dss": ["1.2"],
        },
        "agent": {"id": "000", "name": "tower"},
        "manager": {"name": "tower"},
        "id": f"1795430716.{int(ID, 16)}",
        "cluster": {"name": "prod", "node": "tower"},
        "full_log": EVENT,
        "decoder": {"name": "json"},
        "data": {
            "verb": "create",
            "user": {"username": "eve"},
            "items": [{"name": "a"}],
            "annotations": {"authorization": {"k8s": {"io/decision": "allow"}}},
        },
        "location": "k8s",
    }
    assert list(shown)[:6] == ["timestamp", "rule", "agent", "manager", "id", "cluster"]
    assert list(shown)[6:] == ["full_log", "decoder", "data", "location"]


def test_options_leave_parts_out() -> None:
    shown = hit("<match>create</match><options>no_full_log,no_counter</options>", EVENT)
    assert "full_log" not in shown
    assert "firedtimes" not in shown["rule"]


def test_a_technique_without_tactic_is_not_shown() -> None:
    assert "mitre" not in hit("<match>create</match><mitre><id>t1611</id></mitre>", EVENT)["rule"]


def test_a_correlation_quotes_what_it_counted() -> None:
    rules = rule(100001, 3, "<match>create</match>") + (
        '<rule id="100010" level="10" frequency="3"><if_matched_sid>100001</if_matched_sid>'
        "<description>often</description></rule>"
    )
    running = session(installed(rules))
    log = b'{"verb":"create","password":"hunter2"}'
    result = [running.feed(log) for _ in range(3)][-1]
    shown = SCRIBE.hit(result, alert(), b"{}")
    assert shown["rule"]["frequency"] == 3  # type: ignore[index]
    quoted = str(shown["previous_output"]).split("\n")
    assert quoted == ['{"verb": "create", "password": "[redacted]"}'] * 2


SECRETS = json.dumps(
    {
        "verb": "create",
        "requestObject": {
            "kind": "Secret",
            "data": {"innocent": "c2VjcmV0LXZhbHVl"},
            "stringData": "c2VjcmV0LXZhbHVl",
        },
        "status": {"token": "secret-value"},
        "pin": {"token": 1234567},
        "volumes": [{"name": "v", "secret": {"secretName": "kept"}}],
        "uri": "/x?password=secret-value",
    }
)


def test_secrets_stay_out_and_documents_stay_documents() -> None:
    shown = hit("<match>create</match>", SECRETS)
    line = to_line(shown)
    assert not any(text in line for text in (b"secret-value", b"c2VjcmV0LXZhbHVl", b"1234567"))
    assert json.loads(shown["full_log"])["volumes"] == [
        {"name": "v", "secret": {"secretName": "kept"}}
    ]


def test_data_beyond_that_is_left_out() -> None:
    large = {f"k{number}": "x" * 10_000 for number in range(100)}
    shown = hit(
        "<match>create</match>",
        json.dumps({"big": "x" * 100_000, "list": [{"a": 1}] * 50_000, **large, "verb": "create"}),
    )
    assert not {"big", "list"} & shown["data"].keys()
    assert shown["data"]["k0"] == "x" * 10_000
    assert shown["data"]["verb"] == "create"
    assert len(json.dumps(shown["data"])) < 2 * MAX_LOG_BYTES


def test_a_large_log_is_cut_as_wazuh_cuts_events() -> None:
    shown = hit("<match>create</match>", json.dumps({"verb": "create", "x": "é" * 100_000}))
    assert len(shown["full_log"].encode()) <= MAX_LOG_BYTES


def test_alerts_of_other_rules_have_the_same_shape() -> None:
    shown = SCRIBE.mapped(alert())
    assert list(shown) == list(hit("<options>no_full_log</options>", EVENT))
    assert shown["rule"]["level"] == LEVELS["high"]  # type: ignore[index]
    assert shown["data"]["verb"] == alert().target.verb  # type: ignore[index]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_is_printable_ascii_whatever_the_text(text: str) -> None:
    named = Alert(**{**_members(hostile_alert(text)), "id": ID})
    line = to_line(SCRIBE.mapped(named))
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert json.loads(line)["id"] == alert_number(named)


def _members(one: Alert) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


@pytest.mark.parametrize("number", ["", "x", "1.x", "1.²", "1." + "9" * 10_000])
def test_what_is_no_number_of_an_alert(number: str) -> None:
    assert alert_id(number) == ""


def test_the_number_leads_to_the_alert() -> None:
    assert alert_id(alert_number(alert())) == ID
