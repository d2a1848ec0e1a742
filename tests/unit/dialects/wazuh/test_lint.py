"""What may be wrong with rules for audit events, and what to write in their place."""

import json
from pathlib import Path

import msgspec
import pytest

from tests.attack.recordings import recording
from tests.unit.dialects.wazuh.installed import Clock, installed, rule
from tocsin.dialects.wazuh.cost import super_linear
from tocsin.dialects.wazuh.evaluate import Thresholds
from tocsin.dialects.wazuh.expressions import compile_expression
from tocsin.dialects.wazuh.install import Files, Installation, install
from tocsin.dialects.wazuh.lint import Finding, lint, rules_for_other_logs
from tocsin.normalize.fields import AUDIT

SEED = Path(__file__).parents[3] / "conformance" / "wazuh" / "seed"


def findings(rules: str, decoders: str = "") -> list[Finding]:
    return lint(installed(rules, decoders, strict=False), AUDIT)


def messages(rules: str, decoders: str = "") -> list[str]:
    return [f"{found.check}: {found.message}" for found in findings(rules, decoders)]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            rule(100002, 3, "<decoded_as>json-msgraph</decoded_as>"),
            "no event is decoded as json and as json-msgraph",
        ),
        (
            rule(100001, 3, '<field name="verb">^get$</field>')
            + rule(100002, 3, '<field name="verb">^create$</field>', parent=100001),
            "verb cannot be both ^create$ and ^get$",
        ),
        (
            rule(100001, 9, "<match>a</match>")
            + rule(100002, 3, "<match>a</match><match>b</match>")
            + rule(100002 + 1, 3, '<match>a</match><field name="verb">x</field>'),
            "rule 100001 comes first and takes all that this rule could match",
        ),
        (
            '<rule id="100002" level="9"><match>x</match><description>d</description></rule>',
            "rule 100000 comes first and takes all that this rule could match, "
            "and level 0 ends the search",
        ),
        (
            '<rule id="100001" level="9"><category>firewall</category><match>x</match>'
            "<description>d</description></rule>" + rule(100002, 3, "", parent=100001),
            "it is for logs of category firewall",
        ),
        (
            '<rule id="100002" level="9" frequency="3"><if_matched_sid>100000</if_matched_sid>'
            "<description>d</description></rule>",
            "rule 100002 counts rule 100000, whose level 0 is never remembered",
        ),
    ],
    ids=lambda text: text[:40],
)
def test_rules_that_nothing_reaches(rules: str, message: str) -> None:
    found = [text for text in messages(rules) if text.startswith("unreachable")]
    assert any(text.endswith(message) for text in found), found


def test_a_rule_that_can_be_reached_in_one_place_of_several() -> None:
    rules = (
        rule(100001, 3, '<field name="verb">^get$</field>')
        + rule(100002, 3, '<field name="verb">^create$</field>')
        + rule(100003, 3, '<field name="verb">^create$</field>', parent=100001).replace(
            ">100001<", ">100001,100002<"
        )
    )
    assert messages(rules) == []


def test_silent_and_counting_siblings_take_nothing_away() -> None:
    rules = rule(100001, 9, "<match>a</match>", attributes=' noalert="1"') + rule(
        100002, 3, "<match>a</match>"
    )
    assert messages(rules) == []


@pytest.mark.parametrize(
    ("rules", "message", "fault"),
    [
        (rule(100000, 3, ""), "rule 100000 is there already", True),
        (rule(100001, 3, "", parent=999), "rule 100001 is ignored: it has no parent", True),
        (rule(100001, 3, "<compiled_rule>x</compiled_rule>"), "rule 100001 never fires", True),
        (
            rule(100001, 3, '<list field="verb">etc/lists/x</list>'),
            "rule 100001 is ignored: there is no list",
            True,
        ),
        (
            rule(100001, 3, "", attributes=' overwrite="yes"'),
            "rule 100001 overwrites nothing",
            False,
        ),
        (rule(100001, 3, "<check_if_ignored>x</check_if_ignored>"), "has no effect on", True),
        (rule(100001, 3, "<match>é</match>"), "Wazuh never finds 'é'", False),
        (rule(100001, 3, "<regex>(a)(b)</regex>"), "Wazuh never finds '(a)(b)'", False),
        (rule(100001, 3, "<if_sid>,999</if_sid>"), "there is no rule 999", False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_loading_warns_of(rules: str, message: str, *, fault: bool) -> None:
    (found,) = [found for found in findings(rules) if message in found.message]
    assert found.fault is fault
    assert found.at.line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<field name="nope">x</field>', "they have no field 'nope'"),
        ('<field name="podspec">x</field>', "they have no field 'podspec'"),
        ('<field name="objectRef">x</field>', "'objectRef' is an object"),
        (
            '<field name="requestObject.spec.containers.image">x</field>',
            "ask the field 'requestObject.spec.containers'",
        ),
        ("<srcip>10.0.0.1</srcip>", "audit events have no 'srcip'"),
        ("<action>x</action>", "audit events have no 'action'"),
        ("<url>x</url>", "audit events have no 'url'"),
    ],
)
def test_fields_that_audit_events_never_carry(content: str, message: str) -> None:
    (found,) = findings(rule(100001, 3, content))
    assert found.check == "field"
    assert message in found.message


@pytest.mark.parametrize(
    "content",
    [
        '<field name="verb">x</field>',
        '<field name="annotations.authorization.k8s.io/decision">x</field>',
        '<field name="responseStatus.details.kind">x</field>',
        '<field name="requestObject.spec.containers">x</field>',
        '<field name="sourceIPs">x</field>',
        "<location>k8s</location>",
    ],
)
def test_fields_that_they_do_carry(content: str) -> None:
    assert findings(rule(100001, 3, content)) == []


@pytest.mark.parametrize(
    "content",
    [
        '<regex type="pcre2">"verb":"create"</regex>',
        '<match>"privileged":true</match>',
        '<regex>"a","b"</regex>',
    ],
)
def test_expressions_that_ask_for_compact_json(content: str) -> None:
    (found,) = findings(rule(100001, 3, content))
    assert found.check == "text"
    assert "asks for compact JSON" in found.message


@pytest.mark.parametrize(
    "content",
    ['<match>"verb": "create"</match>', '<regex type="pcre2">"verb":\\s*"create"</regex>'],
)
def test_expressions_that_find_what_rules_see(content: str) -> None:
    assert findings(rule(100001, 3, content)) == []


DECODER = (
    '<decoder name="pods"><parent>json</parent><regex>"a":"(\\w+)"</regex>'
    "<order>pod,srcip</order></decoder>"
)
PLUGGED = (
    '<decoder name="pods"><parent>json</parent><plugin_decoder>JSON_Decoder</plugin_decoder>'
    "</decoder>"
)


def test_fields_of_a_decoder_are_carried() -> None:
    asks = rule(100001, 3, '<field name="pod">x</field><srcip>1.1.1.1</srcip>')
    assert messages(asks, PLUGGED + DECODER) == []


def test_a_decoder_that_accumulates() -> None:
    plugged = PLUGGED.replace("</decoder>", "<accumulate/></decoder>")
    (found,) = findings("", plugged)
    assert found.fault
    assert "<accumulate> is not supported" in found.message


def test_a_decoder_that_takes_the_fields_away() -> None:
    asks = "".join(rule(100000 + n, 3, f'<field name="verb">{n}</field>') for n in range(1, 6))
    (found,) = findings(asks, DECODER)
    assert "decoder 'pods' takes the JSON fields away in Wazuh" in found.message
    assert "(100001, 100002, 100003, …)" in found.message


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ('"a".+"b"', "the square"),
        ('(?i)"a".+"b"', "the square"),
        ("a.*b.*c", "the cube"),
        ("a.*b.*c.*d", "power 4"),
        (r"(a+)+$", "repeats a repetition"),
        (r"(\w+\s?)*z", "repeats a repetition"),
    ],
)
def test_patterns_that_cost_more_than_their_text(pattern: str, reason: str) -> None:
    cost = super_linear(compile_expression("pcre2", pattern))
    assert cost is not None
    assert reason in cost.reason


@pytest.mark.parametrize(
    "pattern",
    ['"a": "[^"]+"', "^a.+b", "a.+", "abc", r"(\S+) b", r"x\d+y", "(?:[a+]{4})*"],
)
def test_patterns_that_do_not(pattern: str) -> None:
    assert super_linear(compile_expression("pcre2", pattern)) is None


def test_other_languages_are_linear() -> None:
    assert super_linear(compile_expression("osregex", r"\.+a\.+b")) is None


def test_the_vendors_rules_for_other_logs_are_counted() -> None:
    text = (
        '<group name="x,"><rule id="5000" level="3"><category>ids</category>'
        "<description>d</description></rule></group>"
    )
    installation = install(Files((), (("local.xml", text),)), strict=False)
    assert rules_for_other_logs(installation) == 1
    assert lint(installation, AUDIT) == []


def seed(rules: str, decoder: str = "local_decoder.xml") -> Installation:
    decoders = ((decoder, (SEED / decoder).read_text()),)
    return install(Files(decoders, (("local_rules.xml", rules),)), strict=False)


def seed_rules() -> str:
    text = (SEED / "local_rules.xml").read_text()
    return text[: text.index('<rule id="110020"')] + "</group>"


def answers(installation: Installation) -> list[tuple[int, int, str, bool]]:
    session = installation.session(Clock(), Thresholds(3, 7))
    results = [
        session.feed(json.dumps(item).encode())
        for body in recording("seed-policy").bodies
        for item in msgspec.json.decode(body)["items"]
    ]
    return [
        (result.rule.id, result.rule.level, result.description, result.alert)
        for result in results
        if result.rule is not None
    ]


def test_the_common_rules_and_what_is_suggested_for_them_agree_on_a_recording() -> None:
    rules = seed_rules()
    found = {one.at.line: one for one in lint(seed(rules), AUDIT) if one.instead}
    assert len(found) == 3
    assert any("securityContext" in one.message for one in found.values())
    replaced = "".join(one.instead or "" for one in found.values())
    root = rules[: rules.index('<rule id="110009"')]
    before = answers(seed(rules))
    assert answers(seed(f"{root}{replaced}</group>")) == before
    assert sum(level >= 3 for _, level, _, _ in before) == 42


def test_a_suggested_rule_is_not_defeated_by_further_keys() -> None:
    rules = seed_rules()
    replaced = "".join(one.instead or "" for one in lint(seed(rules), AUDIT))
    root = rules[: rules.index('<rule id="110009"')]
    event = {
        "verb": "create",
        "objectRef": {"resource": "pods"},
        "requestObject": {
            "spec": {
                "containers": [
                    {"name": "x", "securityContext": {"runAsUser": 0, "privileged": True}}
                ]
            }
        },
    }
    log = json.dumps(event).encode()
    fragile, robust = (
        seed(text).session(Clock()).feed(log).rule for text in (rules, f"{root}{replaced}</group>")
    )
    assert fragile is not None
    assert robust is not None
    assert (fragile.id, robust.id) == (110010, 110011)
