"""The `tocsin:` block: a message, and selections bound to one element of a list."""

import pytest

from tests.unit.dialects.sigma.rules import detecting, faults, matched, rule_of, selecting
from tocsin.dialects.sigma import load_sigma

WILDCARD = "s: {requestObject.rules.verbs: '\\*', requestObject.rules.resources: secrets}"
APART = {"rules": [{"verbs": ["*"], "resources": ["pods"]}, {"resources": ["secrets"]}]}
TOGETHER = {"rules": [{"verbs": ["get"]}, {"verbs": ["get", "*"], "resources": ["secrets"]}]}


def bound(detection: str, path: str = "requestObject.rules", name: str = "s") -> str:
    return detecting(detection, f"tocsin:\n  each:\n    {name}: {path}\n")


def hits(text: str) -> tuple[bool, bool]:
    """Return whether the rule matches what stands apart, and what stands together."""
    return matched(text, requestObject=APART), matched(text, requestObject=TOGETHER)


def test_plain_sigma_lets_elements_meet() -> None:
    assert hits(detecting(f"{WILDCARD}\ncondition: s")) == (True, True)


@pytest.mark.parametrize("path", ["requestObject.rules", "requestObject.rules[]"])
def test_each_asks_for_one_element(path: str) -> None:
    assert hits(bound(f"{WILDCARD}\ncondition: s", path)) == (False, True)


def test_fields_beside_the_list_are_asked_of_the_event() -> None:
    more = WILDCARD.replace("s: {", "s: {verb: create, ")
    assert hits(bound(f"{more}\ncondition: s")) == (False, True)
    assert not matched(bound(f"{more}\ncondition: s"), requestObject=TOGETHER, verb="get")


def test_alternatives_are_bound_one_by_one() -> None:
    detection = (
        "s:\n"
        "  - {requestObject.rules.verbs: '\\*', requestObject.rules.resources: secrets}\n"
        "  - {verb: delete}\n"
        "condition: s"
    )
    assert hits(bound(detection)) == (False, True)
    assert matched(bound(detection), verb="delete")


def test_alternatives_below_the_list_are_bound_together() -> None:
    detection = (
        "s: [{requestObject.rules.verbs: x}, {requestObject.rules.verbs: '\\*'}]\ncondition: s"
    )
    assert hits(bound(detection)) == (True, True)
    assert not matched(bound(detection), requestObject={"rules": [{"verbs": ["y"]}]})


def test_negation_below_the_list_asks_for_an_element_that_differs() -> None:
    detection = "s: {'requestObject.rules.verbs|neq': '\\*'}\ncondition: s"
    assert matched(bound(detection), requestObject={"rules": [{"verbs": ["*"]}, {"verbs": ["x"]}]})
    assert not matched(bound(detection), requestObject={"rules": [{"verbs": ["*"]}]})


def test_negation_beside_the_list_stays_as_it_is() -> None:
    mixed = "s: {'verb|neq': get, requestObject.rules.verbs: '\\*'}\ncondition: s"
    assert matched(bound(mixed), requestObject=TOGETHER)
    assert not matched(bound(mixed), requestObject=TOGETHER, verb="get")


def test_other_selections_are_not_bound() -> None:
    detection = f"{WILDCARD}\nt: {WILDCARD[3:]}\ncondition: t"
    assert hits(bound(detection)) == (True, True)


def test_reference_to_another_field_is_not_bound() -> None:
    detection = "s: {'requestObject.rules.verbs|fieldref': verb, requestObject.rules.verbs: '\\*'}"
    assert matched(
        bound(f"{detection}\ncondition: s"), requestObject={"rules": [{"verbs": ["*", "create"]}]}
    )


def test_nested_negations_and_alternatives_below_the_list() -> None:
    detection = (
        "s:\n  requestObject.rules.verbs|neq: [a, b]\n  requestObject.rules.resources|contains: x\n"
        "condition: s"
    )
    assert matched(bound(detection), requestObject={"rules": [{"verbs": "c", "resources": "axa"}]})
    assert not matched(
        bound(detection),
        requestObject={"rules": [{"verbs": "a", "resources": "axa"}, {"verbs": "c"}]},
    )


def test_keywords_are_not_bound() -> None:
    (fault,) = faults(bound("s: [word]\ncondition: s"))
    assert "no field of this selection is below 'requestObject.rules'" in fault


def test_message_is_the_description_and_names_fields() -> None:
    rest = "fields: [verb]\ntocsin:\n  message: $(user.username) did $(verb) $(sourceIPs)\n"
    rule = rule_of(detecting("s: {verb: create}\ncondition: s", rest))
    assert rule.message == "$(user.username) did $(verb) $(sourceIPs)"
    assert rule.fields == ("verb", "user.username", "sourceIPs")


@pytest.mark.parametrize("block", ["{}", "~", "{each: {}}", "{message: ~}"])
def test_empty_block_changes_nothing(block: str) -> None:
    plain = selecting("{verb: create}")
    assert rule_of(plain + f"tocsin: {block}\n") == rule_of(plain)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("x", "Expected `object`"),
        ("[]", "Expected `object`"),
        ("{message: [a]}", "Expected `str"),
        ("{message: 7}", "Expected `str"),
        ("{each: [s]}", "Expected `object`"),
        ("{each: {s: 7}}", "Expected `str`"),
        ("{eech: {s: a}}", "unknown field `eech`"),
        ("{each: {t: requestObject.rules, u: a}}", "names no selection of this rule: t, u"),
        ("{each: {condition: requestObject.rules}}", "names no selection of this rule: condition"),
        ("{message: '$(a..b)'}", "empty part"),
    ],
)
def test_wrong_block_is_refused_with_its_line(block: str, reason: str) -> None:
    (fault,) = faults(selecting("{verb: create}") + f"tocsin: {block}\n")
    assert fault.startswith("r0.yml:7: ")
    assert reason in fault


def test_list_that_binds_none_of_several_fields_is_refused() -> None:
    text = bound("s: {verb: create, userAgent: x}\ncondition: s")
    (fault,) = faults(text)
    assert "no field of this selection is below" in fault


@pytest.mark.parametrize("path", ["requestObject.rulez", "verb", "requestObject", "''"])
def test_list_that_binds_nothing_is_refused(path: str) -> None:
    found = faults(bound("s: {verb: create}\ncondition: s", path))
    assert len(found) == 1
    assert found[0].startswith("r0.yml:5: ")


def test_block_is_refused_where_extensions_are_off() -> None:
    text = selecting("{verb: create}") + "tocsin: {message: x}\n"
    plain = selecting("{verb: create}")
    loaded = load_sigma([("r0.yml", text), ("r1.yml", plain)], {}, extensions=False)
    assert len(loaded.rules) == 1
    (fault,) = loaded.faults
    assert (
        str(fault)
        == "r0.yml:7: the rule uses the tocsin: extension, which is switched off (tocsin)"
    )
