import json
from dataclasses import replace

import pytest

from tests.unit.dialects.wazuh.installed import Clock, installed, rule, rule_of, session
from tocsin.dialects.wazuh import evaluate
from tocsin.dialects.wazuh.event import Event
from tocsin.dialects.wazuh.expressions import BudgetSpent, Expression

PODS = (
    '<decoder name="pods"><parent>json</parent>'
    '<regex type="pcre2">"name": "(\\w+)"</regex><order>pod</order></decoder>'
)


def test_the_first_child_of_the_highest_level_wins_and_the_deepest_match_is_the_result() -> None:
    rules = (
        rule(100001, 3, "<match>a</match>")
        + rule(100002, 9, "<match>b</match>")
        + rule(100003, 1, "<match>c</match>", parent=100002)
    )
    running = session(installed(rules))
    assert [rule_of(running.feed(log)) for log in (b'{"a":1}', b'{"ab":1}', b'{"abc":1}')] == [
        100001,
        100002,
        100003,
    ]


def test_a_rule_of_level_0_hides_its_siblings() -> None:
    rules = rule(100001, 9, "<match>a</match>") + rule(100002, 0, "<match>quiet</match>")
    result = session(installed(rules)).feed(b'{"a":"quiet"}')
    assert (rule_of(result), result.alert) == (100002, False)


def test_a_tree_of_any_depth() -> None:
    deep = rule(100001, 3, "<match>a</match>") + "".join(
        rule(number, 3, "<match>a</match>", parent=number - 1) for number in range(100002, 102000)
    )
    assert rule_of(session(installed(deep)).feed(b'{"a":1}')) == 101999


FIELD_RULES = rule(100001, 3, "<match>p1</match>") + rule(
    100002, 9, '<field name="verb">get</field>'
)


def test_additive_never_changes_what_wazuh_finds() -> None:
    """Rule 100002 stands before 100001, but Wazuh has no field `verb` below this decoder."""
    log = b'{"name": "p1", "verb": "get"}'
    strict = session(installed(FIELD_RULES, PODS)).feed(log)
    additive = session(installed(FIELD_RULES, PODS, strict=False)).feed(log)
    assert rule_of(strict) == rule_of(additive) == 100001
    assert strict.fields.nested() == {"pod": "p1"}
    assert additive.fields.nested() == {"pod": "p1", "name": "p1", "verb": "get"}


def test_additive_finds_by_fields_where_wazuh_finds_nothing() -> None:
    log = b'{"name": "p2", "verb": "get"}'
    strict = session(installed(FIELD_RULES, PODS)).feed(log)
    additive = session(installed(FIELD_RULES, PODS, strict=False)).feed(log)
    assert (rule_of(strict), rule_of(additive)) == (100000, 100002)


def test_a_search_that_costs_too_much_is_told() -> None:
    installation = installed(rule(100001, 3, '<field name="a">x</field>'))
    node = installation.tree.nodes[100001]

    class Costly:
        def holds(self, event: Event) -> bool:
            raise BudgetSpent(event.location)

    node.rule = replace(node.rule, conditions=(Costly(),))
    result = session(installation).feed(b'{"a":"x"}')
    assert rule_of(result) == 100000
    assert result.unevaluated == (100001,)


def test_a_decoder_that_costs_too_much_does_not_hide_the_log_from_the_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def search(_self: Expression, _text: bytes) -> None:
        raise BudgetSpent

    installation = installed(rule(100001, 3, "<match>p1</match>"), PODS)
    pods = installation.decoders.tree.without_program[-1].children[0].regex
    assert pods is not None
    found = Expression.search
    monkeypatch.setattr(
        Expression,
        "search",
        lambda self, text: search(self, text) if self is pods else found(self, text),
    )
    result = session(installation).feed(b'{"name": "p1"}')
    assert (rule_of(result), result.decoded.given_up) == (100001, ("pods",))


def test_a_decoder_that_cannot_be_found_in_time_leaves_all_rules_unevaluated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def search(_self: Expression, _text: bytes) -> None:
        raise BudgetSpent

    running = session(installed(rule(100001, 3, "<match>p1</match>")))
    monkeypatch.setattr(Expression, "search", search)
    result = running.feed(b'{"name": "p1"}')
    assert result.rule is None
    assert {100000, 100001} <= set(result.unevaluated)


def test_a_log_ends_at_its_first_nul() -> None:
    result = session(installed(rule(100001, 3, "<match>tail</match>"))).feed(b'{"a":1}\0tail')
    assert rule_of(result) == 100000


def counting(content: str, frequency: int = 3) -> str:
    attributes = f' frequency="{frequency}" timeframe="60"'
    return rule(100001, 3, "<match>a</match>") + (
        f'<rule id="100010" level="10"{attributes}><if_matched_sid>100001</if_matched_sid>'
        f"{content}<description>often</description></rule>"
    )


def fired(rules: str, logs: list[bytes], gap: float = 1.0) -> list[int | None]:
    clock = Clock()
    running = session(installed(rules), clock)
    found = []
    for log in logs:
        found.append(rule_of(running.feed(log)))
        clock.now += gap
    return found


@pytest.mark.parametrize(
    ("frequency", "at"), [(2, [2, 3, 4, 5, 6]), (3, [3, 6]), (4, [4]), (7, [])]
)
def test_a_frequency_fires_on_its_last_event(frequency: int, at: list[int]) -> None:
    found = fired(counting("", frequency), [b'{"a":1}'] * 6)
    assert [number for number, rule_id in enumerate(found, 1) if rule_id == 100010] == at


def test_events_as_old_as_the_timeframe_count() -> None:
    assert fired(counting(""), [b'{"a":1}'] * 3, gap=30)[-1] == 100010
    assert fired(counting(""), [b'{"a":1}'] * 3, gap=30.5)[-1] == 100001


def test_same_and_different_fields() -> None:
    logs = [json.dumps({"a": 1, "u": user}).encode() for user in "xyxx"]
    assert fired(counting("<same_field>u</same_field>"), logs)[-1] == 100010
    assert fired(counting("<different_field>u</different_field>"), logs)[-1] == 100001


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.dialects.wazuh.correlate.MAX_EVENTS", 5)
    running = session(installed(counting("", 9)))
    for _ in range(50):
        assert rule_of(running.feed(b'{"a":1}')) == 100001
    assert len(running._memory._order) == 5


def test_memory_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.dialects.wazuh.correlate.MAX_BYTES", 20)
    running = session(installed(counting("", 3)))
    assert [rule_of(running.feed(b'{"a":12345}')) for _ in range(5)] == [100001] * 5


def test_logs_of_any_rule_are_counted_by_an_expression() -> None:
    often = (
        '<rule id="100010" level="10" frequency="3" timeframe="60">'
        '<if_sid>100000</if_sid><if_matched_regex>"a":"x</if_matched_regex>'
        "<description>often</description></rule>"
    )
    rules = rule(100001, 3, "<match>x1</match>") + rule(100002, 3, "<match>x2</match>") + often
    logs = [f'{{"a":"{value}"}}'.encode() for value in ("x1", "y", "x2", "x3")]
    assert fired(rules, logs) == [100001, 100000, 100002, 100010]


def test_ignore_silences_for_a_while() -> None:
    clock = Clock()
    running = session(
        installed(rule(100001, 3, "<match>a</match>", attributes=' ignore="10"')), clock
    )
    alerts = []
    for gap in (0, 1, 5, 6, 0):
        clock.now += gap
        alerts.append(running.feed(b'{"a":1}').alert)
    assert alerts == [True, False, False, True, True]


def test_the_first_time_of_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "MAX_REMEMBERED", 2)
    decoder = (
        '<decoder name="seen"><parent>json</parent><prematch>"u"</prematch>'
        "<plugin_decoder>JSON_Decoder</plugin_decoder><fts>name,u</fts></decoder>"
    )
    running = session(installed(rule(100001, 3, "<if_fts/>"), decoder))
    found = [rule_of(running.feed(json.dumps({"u": user}).encode())) for user in "xxyyzx"]
    assert found == [100001, 100000, 100001, 100000, 100001, 100001]


def test_a_changed_log() -> None:
    running = session(installed(rule(100001, 3, "<check_diff/>")))
    found = [rule_of(running.feed(log)) for log in (b'{"a":1}', b'{"a":1}', b'{"a":2}')]
    assert found == [100000, 100000, 100001]


def test_descriptions() -> None:
    described = rule(100001, 3, "<match>a</match>").replace(
        "rule 100001", "v=$(A.b) [$(none)] $5 $(open $( x ) $(end"
    )
    result = session(installed(described)).feed(b'{"a":{"b":"$(none)"}}')
    assert result.description == "v=$(none) [] $5  $(end"
    long = session(installed(described)).feed(json.dumps({"a": {"b": "x" * 2000}}).encode())
    assert long.description.startswith("v=$(A.b)")
