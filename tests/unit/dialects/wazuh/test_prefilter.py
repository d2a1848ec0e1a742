"""The filter may let through too much, but never hides an event that rules make something of."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attack.recordings import recording
from tests.unit.dialects.wazuh.installed import BASE, Clock, installed, rule
from tests.unit.dialects.wazuh.jsontexts import random_members, spelled
from tocsin.dialects.wazuh.evaluate import Result, Thresholds
from tocsin.dialects.wazuh.install import Files, Installation, install
from tocsin.dialects.wazuh.output import reserialised
from tocsin.dialects.wazuh.prefilter import Prefilter
from tocsin.runtime.recording import events

PODS = (
    '<decoder name="pods"><parent>json</parent>'
    '<regex type="pcre2">"verb": "(\\w+)"</regex><order>verb</order></decoder>'
)
OTHER = (
    '<decoder name="aaa"><prematch>"a":"x</prematch><regex>(\\w)</regex><order>z</order></decoder>'
)


def new_filter(installation: Installation, thresholds: Thresholds | None = None) -> Prefilter:
    return Prefilter(installation.decoders.tree, installation.tree, thresholds or Thresholds())


def plain(text: str) -> str:
    """Return a PCRE2 pattern for a text, without characters that XML or Wazuh take for others."""
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def random_condition(rng: random.Random, log: str) -> str:
    at = rng.randrange(len(log))
    text = log[at : at + rng.randrange(3, 20)]
    name = rng.choice(
        ("verb", "resource", "a", "k8s", "a.verb", "user.a", "aws.source", "x.y.id", "A")
    )
    return rng.choice(
        (
            f'<regex type="pcre2">{plain(text)}</regex>',
            f'<regex type="pcre2" negate="yes">{plain(text)}</regex>',
            f'<field name="{name}" type="pcre2">.</field>',
            f'<field name="{name}" type="pcre2">.</field>',
            "<id>1</id>",
            "<user>a|p</user>",
            '<srcip negate="yes">10.0.0.1</srcip>',
            '<list field="verb" lookup="not_match_key">etc/lists/l</list>',
            "<decoded_as>aaa</decoded_as>",
            "<action>create</action>",
            "<check_diff/>" + f'<regex type="pcre2">{plain(text)}</regex>',
        )
    )


def random_rules(rng: random.Random, logs: list[str]) -> str:
    rules = []
    for number in range(100001, 100001 + rng.randrange(1, 7)):
        content = random_condition(rng, rng.choice(logs))
        if rng.random() < 0.3:
            content += '<field name="resource" type="pcre2">.</field>'
        attributes = ""
        parent = rng.randrange(100000, number)
        if rng.random() < 0.2 and parent > 100000:
            content += f"<if_matched_sid>{parent}</if_matched_sid>"
            attributes = ' frequency="2" timeframe="100"'
        rules.append(
            rule(number, rng.choice((0, 2, 5)), content, parent=parent, attributes=attributes)
        )
    return "".join(rules)


def told(result: Result) -> tuple[object, ...] | None:
    """Return what an alert says of a result."""
    return (result.rule.id, result.description) if result.alert and result.rule else None


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_same_alerts_with_and_without_the_filter(seed: int) -> None:
    rng = random.Random(seed)
    raws = [
        spelled(random_members(rng, 3), rng, plainly=rng.random() < 0.7).encode() for _ in range(6)
    ]
    logs = [reserialised(raw) for raw in raws]
    rules = random_rules(rng, [log.decode() for log in logs])
    files = Files(
        (
            (rng.choice(("0001.xml", "local.xml")), OTHER),
            *((("pods.xml", PODS),) if rng.random() < 0.5 else ()),
        ),
        (("local_rules.xml", f'<group name="t,">{BASE}{rules}</group>'),),
        {"etc/lists/l": "create:x"},
    )
    installation = install(files, strict=rng.random() < 0.5)
    keeps = new_filter(installation)
    whole, filtered = (installation.session(Clock(), Thresholds()) for _ in range(2))
    for raw, log in zip(raws, logs, strict=True):
        expected = told(whole.feed(log))
        found = told(filtered.feed(log)) if keeps(raw) else None
        assert found == expected, (raw, rules)


def compact(text: str) -> bytes:
    return text.replace("'", '"').encode()


def test_what_counts_is_let_through_and_the_rest_is_not() -> None:
    rules = (
        rule(100001, 5, "<match>alarm</match>")
        + rule(100002, 2, "<match>quiet</match>")
        + rule(100003, 2, "<match>counted</match>")
        + rule(100004, 5, "<match>closing</match><if_matched_sid>100003</if_matched_sid>")
        + rule(100005, 1, "<match>changes</match><check_diff/>")
        + rule(100006, 1, "<match>logged</match><options>log_alert</options>")
    )
    keeps = new_filter(installed(rules))
    words = ("alarm", "counted", "changes", "logged", "quiet", "nothing")
    assert [keeps(compact(f"{{'a':'{word}'}}")) for word in words] == [
        *[True] * 4,
        *[False] * 2,
    ]
    assert not keeps.open


def test_thresholds_and_parents_narrow_it() -> None:
    rules = rule(100001, 0, "<match>parent</match>") + rule(
        100002, 5, "<match>child</match>", parent=100001
    )
    installation = installed(rules)
    keeps = new_filter(installation)
    assert keeps(compact("{'a':'child of parent'}"))
    assert not keeps(compact("{'a':'child'}"))
    assert not new_filter(installation, Thresholds(alert=6))(compact("{'a':'child of parent'}"))


def test_a_rule_that_takes_all_events_hides_what_stands_behind_it() -> None:
    after = '<rule id="100009" level="5"><match>late</match><description>d</description></rule>'
    keeps = new_filter(installed(after))
    assert not keeps(compact("{'a':'late'}"))


def test_without_anything_to_look_for_everything_is_let_through() -> None:
    keeps = new_filter(installed(rule(100001, 5, '<match negate="yes">x</match>')))
    assert keeps.always == (100001,)
    assert keeps.open
    assert keeps(b'{"a":1}')
    decoder = '<decoder name="a0"><prematch>\\.</prematch></decoder>'
    rules = f'<group name="t,">{BASE}{rule(100001, 5, "<match>abc</match>")}</group>'
    files = Files((("0001.xml", decoder),), (("r.xml", rules),))
    assert new_filter(install(files, strict=True)).open


@pytest.mark.parametrize("raw", [b'{ "a":1}', b'{"a":"\\u0061larm"}', '{"a":"é"}'.encode()])
def test_what_is_spelled_oddly_is_let_through(raw: bytes) -> None:
    assert new_filter(installed(rule(100001, 5, "<match>alarm</match>")))(raw)


def test_few_events_of_a_recording_have_to_be_evaluated() -> None:
    text = '<regex type="pcre2">"verb": "create".+"securityContext": {"privileged": true}</regex>'
    keeps = new_filter(installed(rule(100001, 9, text)))
    raws = [raw for body in recording("seed-policy").bodies for raw in events(body)]
    assert sum(map(keeps, raws)) < len(raws) / 100
