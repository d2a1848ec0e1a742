"""Correlations load as Sigma has them, over rules of any file; what cannot work is told."""

import pytest

from tocsin.dialects.loaded import Loaded
from tocsin.dialects.sigma import load_sigma
from tocsin.rules.correlation import Both, Limit, Named, Neither

RULE = """
title: {name}
id: {id}
name: {name}
logsource: {{product: kubernetes, service: audit}}
detection: {{s: {{verb: get}}, condition: s}}
"""
ONE, TWO = (f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2))
RULES = RULE.format(name="one", id=ONE) + "---" + RULE.format(name="two", id=TWO)
BURST = """
title: Burst
name: burst
level: high
tags: [attack.t1528]
correlation:
  type: event_count
  rules: [one]
  group-by: [user.username]
  timespan: 5m
  condition: {gte: 3}
"""


def load(*texts: str) -> Loaded:
    return load_sigma([(f"{number}.yml", text) for number, text in enumerate(texts)], {})


def correlation(**parts: object) -> str:
    whole = {"type": "temporal", "rules": ["one", "two"], "timespan": "1m"} | parts
    lines = "\n".join(f"  {key}: {value}" for key, value in whole.items() if value is not None)
    return f"title: C\nname: c\ncorrelation:\n{lines}\n".replace("'", "")


def test_a_correlation_is_a_rule_of_its_own() -> None:
    loaded = load(RULES, BURST)
    assert not loaded.faults
    (found,) = loaded.correlations
    assert (found.id, found.severity, found.kind, found.timespan) == (
        *("burst", "high", "event_count", 300.0),
    )
    assert found.rules == (ONE,)
    assert found.limit == Limit("gte", 3)
    assert found.paths == {ONE: ("user.username",)}
    assert [one.technique for one in found.attack] == ["T1528"]
    assert loaded.count == 3


def test_rules_are_named_by_id_as_well() -> None:
    assert load(RULES, correlation(rules=[ONE, TWO])).correlations[0].rules == (ONE, TWO)


def test_an_expression_names_rules() -> None:
    text = correlation(rules=None, condition="one and not two")
    (found,) = load(RULES, text).correlations
    assert found.formula == Both((Named(ONE), Neither(Named(TWO))))
    assert found.rules == (ONE, TWO)


def test_aliases_say_where_a_field_is() -> None:
    text = correlation(**{"group-by": "[who, verb]", "aliases": "{who: {one: a.b, two: c}}"})
    (found,) = load(RULES, text).correlations
    assert found.group_by == ("who", "verb")
    assert found.paths == {ONE: ("a.b", "verb"), TWO: ("c", "verb")}


def test_correlations_of_correlations_come_after_those() -> None:
    outer = "title: Outer\ncorrelation: {type: temporal, rules: [burst, two], timespan: 1h}\n"
    loaded = load(outer, BURST, RULES)
    assert not loaded.faults
    assert [one.title for one in loaded.correlations] == ["Burst", "Outer"]


def test_rules_of_the_same_file_only_count() -> None:
    def silent(*texts: str) -> list[bool]:
        return [rule.silent for rule in load(*texts).rules]

    assert silent(RULES + "---" + BURST) == [True, False]
    assert silent(RULES, BURST) == [False, False]
    told = BURST.replace("timespan", "generate: true\n  timespan")
    assert silent(RULES + "---" + told) == [False, False]
    assert silent(RULES + "---" + BURST + "---" + told.replace("burst", "b")) == [False, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (correlation(rules="[one, nobody]"), "there is no rule 'nobody'"),
        (correlation(timespan="soon"), "soon"),
        (correlation(type="event_sum"), "event_sum"),
        (correlation(type="event_count"), "condition"),
        (correlation(type="value_count", condition="{gte: 2}"), "field"),
        (correlation(type="temporal_ordered", condition="one and two"), "order of its rules"),
        (correlation(rules="[c, one]"), "leads back to itself"),
        (correlation(**{"group-by": "[a..b]"}), "a..b"),
        (correlation() + "tocsin: {each: {a: b}}\n", "each"),
        (correlation() + "tocsin: {first_seen: {by: [verb]}}\n", "one rule"),
    ],
)
def test_what_cannot_work_is_told_and_holds_back_nothing_else(text: str, said: str) -> None:
    loaded = load(RULES, text, BURST)
    assert [one.title for one in loaded.correlations] == ["Burst"]
    assert len(loaded.rules) == 2
    assert any(said in str(fault) for fault in loaded.faults), loaded.faults
    assert all(fault.location.path == "1.yml" for fault in loaded.faults)


def test_a_rule_that_did_not_load_is_none() -> None:
    broken = RULES.replace("{verb: get}, condition: s", "{verb: get}, condition: nope", 1)
    loaded = load(broken, BURST)
    assert loaded.correlations == []
    assert [fault.location.path for fault in loaded.faults] == ["0.yml", "1.yml"]
