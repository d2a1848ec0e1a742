"""Small Sigma rules and what became of them."""

from collections.abc import Mapping, Sequence

from tests.unit.audit import event
from tocsin.dialects.loaded import Loaded
from tocsin.dialects.sigma import load_sigma
from tocsin.normalize.fields import AUDIT
from tocsin.rules import ir
from tocsin.rules.dispatch import RuleSet
from tocsin.rules.interpret import EventView, matches

HEAD = """\
title: A rule
id: 5e9e9c06-3176-4ec0-8285-e1ffc51b8bc9
logsource: {product: kubernetes, service: audit}
"""


def load(*texts: str, sets: Mapping[str, Sequence[str]] | None = None) -> Loaded:
    """Load files named r0.yml, r1.yml, ..."""
    return load_sigma([(f"r{n}.yml", text) for n, text in enumerate(texts)], sets or {})


def faults(*texts: str) -> list[str]:
    """Return the faults of files; the rules that loaded do not matter."""
    return [str(fault) for fault in load(*texts).faults]


def detecting(detection: str, rest: str = "") -> str:
    """Return the text of a rule with this detection section, indented as it comes."""
    body = "".join(f"  {line}\n" for line in detection.strip("\n").splitlines())
    return f"{HEAD}detection:\n{body}{rest}"


def selecting(selection: str) -> str:
    """Return the text of a rule with one selection in flow style."""
    return detecting(f"s: {selection}\ncondition: s")


def rule_of(text: str, sets: Mapping[str, Sequence[str]] | None = None) -> ir.Rule:
    loaded = load(text, sets=sets)
    assert not loaded.faults, loaded.faults
    (rule,) = loaded.rules
    return rule


def matched(text: str, sets: Mapping[str, Sequence[str]] | None = None, **changes: object) -> bool:
    """Whether the rule matches the event, as compiled and by the reference."""
    rule = rule_of(text, sets)
    one = event(**changes)
    rules = RuleSet([rule], AUDIT)
    hit = bool(rules.match(one))
    assert hit is matches(rule.match, EventView(one, AUDIT))
    assert not rules.stats.faults
    return hit
