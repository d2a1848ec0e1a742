"""Why alerts of each dialect fired, and what is said where that cannot be told."""

import json
from pathlib import Path

import msgspec
import pytest

from tests.unit.audit import event, event_list, item
from tests.unit.runtime.spooled import spool
from tocsin.detect.audit_ids import RULE as AUDIT_ID_REUSED
from tocsin.detect.build import reference
from tocsin.dialects.sigma import load_sigma
from tocsin.model.alert import Alert
from tocsin.model.events import EventFilter, FoundEvent
from tocsin.rules.explain import Node, deciding
from tocsin.rules.ir import Rule
from tocsin.runtime.explaining import explain_alert, explain_event, explain_wazuh
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.rulefile import read_rule_file
from tocsin.runtime.rules import InForce, load_rules
from tocsin.runtime.wazuh import load_wazuh_files
from tocsin.runtime.wazuhfiles import WazuhFiles

CLUSTER = "prod"
SIGMA = """\
# A comment before the rule.
title: Exec
id: 00000000-0000-4000-8000-000000000001
description: |
  Somebody ran
  a command.
references: [https://example.org]
logsource: {product: kubernetes, service: audit}
detection:
  selection: {exec.command: mysql}
  condition: selection
level: high
---
title: Second
logsource: {product: kubernetes, service: audit}
detection:
  selection: {verb: delete}
  condition: selection
"""
WAZUH = """\
<group name="k8s,">
  <rule id="110000" level="3">
    <decoded_as>json</decoded_as>
    <field name="verb">create</field>
    <description>Something was created</description>
  </rule>
  <rule id="110001" level="9">
    <if_sid>110000</if_sid>
    <field name="objectRef.resource">pods</field>
    <description>Pod $(objectRef.name) was created</description>
  </rule>
  <rule id="110002" level="12" frequency="3" timeframe="60">
    <if_matched_sid>110001</if_matched_sid>
    <description>Many pods were created</description>
  </rule>
</group>
"""
EXEC: dict[str, object] = {
    "verb": "get",
    "objectRef": {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "db"},
    "requestURI": "/api/v1/namespaces/shop/pods/db/exec?command=mysql&command=--password"
    "&command=hunter2",
}


@pytest.fixture
def rules(tmp_path: Path) -> InForce:
    """Return the Sigma rules and the Wazuh rules in force."""
    (tmp_path / "exec.yml").write_text(SIGMA)
    (tmp_path / "exec.test.yml").write_text("- name: a test\n")
    (tmp_path / "k8s.xml").write_text(WAZUH)
    sigma = load_rules([tmp_path / "exec.yml"], builtin=False)
    assert not sigma.faults
    wazuh = load_wazuh_files(WazuhFiles(rules=(str(tmp_path / "k8s.xml"),)))
    return InForce(sigma.rules, wazuh=[wazuh])


def hit(rules: InForce, folder: Path, *items: dict[str, object]) -> tuple[Alert, FoundEvent]:
    """Return the last alert of some events, and its event as it is stored."""
    body = event_list(json.dumps(one).encode() for one in items)
    alert = Pipeline(rules.rules, rules.wazuh).process(body, CLUSTER).alerts[-1]
    log = spool(folder / "spool", body, cluster=CLUSTER)
    found = log.page(EventFilter(), 1).events[0]
    return alert, found


def texts(node: Node) -> list[str]:
    return [node.text, *(text for child in node.children for text in texts(child))]


def test_sigma_alert(rules: InForce, tmp_path: Path) -> None:
    alert, found = hit(rules, tmp_path, item(**EXEC))
    why = explain_alert(alert, rules, found)
    assert why.root is not None
    assert (why.root.holds, why.note) == (True, "")
    assert why.root.text == 'exec.command is "mysql"'


def test_secrets_are_taken_out_of_values(rules: InForce, tmp_path: Path) -> None:
    alert, found = hit(rules, tmp_path, item(**EXEC))
    why = explain_alert(alert, rules, found)
    assert why.root is not None
    assert "mysql" in " ".join(why.root.values)
    assert "hunter2" not in " ".join(why.root.values)


def test_what_a_secret_holds_is_a_secret() -> None:
    sigma = SIGMA.replace("exec.command: mysql", "requestObject.data.key: x")
    secret = event(
        objectRef={"resource": "secrets", "name": "db"}, requestObject={"data": {"key": "x"}}
    )
    root = explain_event(_loaded(sigma), secret)
    assert (root.holds, root.values) == (True, ("[redacted]",))


def _loaded(text: str) -> Rule:
    return load_sigma([("rule.yml", text)], {}).rules[0]


def test_wazuh_alert_shows_the_chain_of_rules(rules: InForce, tmp_path: Path) -> None:
    alert, found = hit(rules, tmp_path, item())
    assert alert.rule.dialect == "wazuh"
    root = explain_alert(alert, rules, found).root
    assert root is not None
    assert root.holds
    assert [child.text.partition(":")[0] for child in root.children] == [
        "rule 110000, level 3",
        "rule 110001, level 9",
    ]
    assert [node.values for node in deciding(root)] == [("json",), ("create",), ("pods",)]


def test_of_several_parents_the_one_that_matched_is_shown(tmp_path: Path) -> None:
    other = WAZUH.replace("<if_sid>110000</if_sid>", "<if_sid>109999, 110000</if_sid>").replace(
        '<rule id="110000"',
        '<rule id="109999" level="3"><field name="verb">never</field>'
        '<description>Other</description></rule>\n  <rule id="110000"',
    )
    (tmp_path / "k8s.xml").write_text(other)
    wazuh = load_wazuh_files(WazuhFiles(rules=(str(tmp_path / "k8s.xml"),)))
    raw = json.dumps(item()).encode()
    root = explain_wazuh(wazuh, 110001, event(), raw, CLUSTER, fired=True)
    assert root is not None
    assert [child.text[:11] for child in root.children] == ["rule 110000", "rule 110001"]


def test_wazuh_rule_that_counts_says_what_is_not_evaluated_again(
    rules: InForce, tmp_path: Path
) -> None:
    pods = [item(auditID=f"id-{number}", requestURI=f"/{number}") for number in range(3)]
    alert, found = hit(rules, tmp_path, *pods)
    assert alert.rule.id == "110002"
    root = explain_alert(alert, rules, found).root
    assert root is not None
    assert root.holds
    assert "3 events like this one within 60 s" in texts(root)[-1]


def test_wazuh_rule_that_does_not_fire_shows_where_it_stopped(rules: InForce) -> None:
    one = event(verb="get")
    raw = json.dumps(item(verb="get")).encode()
    root = explain_wazuh(rules.wazuh[0], 110001, one, raw, CLUSTER, fired=False)
    assert root is not None
    assert not root.holds
    assert [node.values for node in deciding(root)] == [("get",)]
    assert explain_wazuh(rules.wazuh[0], 99, one, raw, CLUSTER, fired=False) is None


def test_what_cannot_be_told_is_said(rules: InForce, tmp_path: Path) -> None:
    alert, found = hit(rules, tmp_path, item(**EXEC))
    assert "no longer retained" in explain_alert(alert, rules, None).note
    assert "not in force" in explain_alert(alert, InForce(), found).note
    own = msgspec.structs.replace(alert, rule=reference(AUDIT_ID_REUSED))
    assert "Audit-ID" in explain_alert(own, rules, found).note
    other = hit(rules, tmp_path / "other", item(verb="list"), item(**EXEC))[1]
    other = msgspec.structs.replace(other, event=event(verb="list"))
    changed = explain_alert(alert, rules, other)
    assert changed.root is not None
    assert "changed" in changed.note


def test_file_of_a_sigma_rule(rules: InForce) -> None:
    first, second = [read_rule_file(reference(rule)) for rule in rules.rules]
    assert first.text.startswith("# A comment")
    assert "Second" not in first.text
    assert first.description == "Somebody ran a command."
    assert first.references == ("https://example.org",)
    assert first.tests == "- name: a test\n"
    assert second.text.startswith("title: Second")


def test_file_of_a_wazuh_rule(rules: InForce) -> None:
    ref = next(one for one in rules.references() if one.id == "110001")
    file = read_rule_file(ref)
    assert file.text.strip().startswith('<rule id="110001"')
    assert file.text.strip().endswith("</rule>")
    assert "110000" in file.text
    assert "110002" not in file.text


def test_file_that_is_gone_is_empty(rules: InForce, tmp_path: Path) -> None:
    ref = reference(rules.rules[0])
    (tmp_path / "exec.yml").unlink()
    assert read_rule_file(ref).text == ""
