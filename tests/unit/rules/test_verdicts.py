"""Outcomes that are remembered are those of the tests, and take up bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import HERE, event, rule, text_is
from tests.unit.rules.strategies import OPERATORS, TEXTS
from tocsin.normalize.fields import AUDIT
from tocsin.rules import ir, verdicts
from tocsin.rules.dispatch import RuleSet
from tocsin.rules.operators import text_test
from tocsin.rules.verdicts import Verdicts

CURL = ir.TextIs("startswith", ("curl/",), fold=True)


@given(st.lists(OPERATORS, max_size=6), st.lists(st.none() | TEXTS, max_size=6))
def test_every_outcome_is_that_of_its_test(ops: list[ir.Operator], texts: list[str | None]) -> None:
    known = Verdicts()
    bits = [known.bit(op) for op in ops]
    for text in texts * 2:
        for op, bit in zip(ops, bits, strict=True):
            assert bool(known[text] & bit) is (text is not None and text_test(op)(text))


@given(st.lists(OPERATORS, max_size=4), st.lists(TEXTS, max_size=4))
def test_of_several_texts_one_is_enough(ops: list[ir.Operator], texts: list[str]) -> None:
    known = Verdicts()
    bits = [known.bit(op) for op in ops]
    for op, bit in zip(ops, bits, strict=True):
        assert bool(known[tuple(texts)] & bit) is any(map(text_test(op), texts))


def test_new_texts_without_end_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "MAX_VALUES", 10)
    known = Verdicts()
    bit = known.bit(CURL)
    for number in range(100):
        assert known[f"curl/{number}"] & bit
        assert not known[f"wget/{number}"] & bit
        assert len(known) <= 10


def test_endless_text_is_judged_and_not_kept() -> None:
    known = Verdicts()
    bit = known.bit(CURL)
    assert known["curl/" + "x" * 1_000_000] & bit
    assert known[("", "curl/" + "x" * 1_000_000)] & bit
    assert not known[("",) * 1_000_000] & bit
    assert not known


def test_rules_for_every_event_remember_users_agents_and_addresses() -> None:
    agent = ir.Test("userAgent", CURL, HERE)
    address = ir.Test("sourceIPs", ir.InNetwork(("192.0.2.0/24",)), HERE)
    rules = RuleSet([rule(agent), rule(address), rule(text_is("user.groups", "dev"))], AUDIT)
    for addresses, hits in (
        (["192.0.2.1"], [1]),
        (["::1", "192.0.2.1"], [1]),
        ([], []),
        (None, []),
    ):
        one = event(userAgent=None, sourceIPs=addresses, user=None)
        for _ in range(2):
            assert list(rules.match(one)) == hits
    for agent_text, hits in (("CURL/8", [0, 2]), ("kubectl", [2]), ("", [2])):
        one = event(userAgent=agent_text)
        for _ in range(2):
            assert list(rules.match(one)) == hits
    assert rules.stats.faults == 0
