"""Which rules no JSON event can reach: those above them exclude it, or a sibling takes it first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tocsin.dialects.wazuh import conditions as on
from tocsin.dialects.wazuh.decode import Decoders
from tocsin.dialects.wazuh.decoders import JSON_PLUGIN
from tocsin.dialects.wazuh.expressions import Expression
from tocsin.dialects.wazuh.rules import Rule
from tocsin.dialects.wazuh.tree import Node, RuleTree

# What a condition asks, comparable: two that are equal hold for the same events.
Asked: TypeAlias = tuple[object, ...]


@dataclass(slots=True)
class Reach:
    """Why rules cannot be reached, by rule id; a rule with several parents needs but one."""

    unreachable: dict[int, str] = field(default_factory=dict)
    reachable: set[int] = field(default_factory=set)

    def reasons(self) -> Mapping[int, str]:
        """Return the rules that no place in the tree lets an event reach."""
        return {
            rule: reason for rule, reason in self.unreachable.items() if rule not in self.reachable
        }


def json_decoders(decoders: Decoders) -> frozenset[str]:
    """Return the names that JSON events may have after decoding."""
    return frozenset(
        decoder.identity
        for root in decoders.tree.without_program
        if root.plugin == JSON_PLUGIN
        for decoder in (root, *root.children)
    )


def unreachable_rules(tree: RuleTree, json_names: frozenset[str]) -> Mapping[int, str]:
    """Return why rules cannot match a JSON event, by rule id; roots are no concern."""
    reach = Reach()
    waiting: list[tuple[Node, frozenset[Asked], str]] = []
    for root in tree.roots:
        category = root.rule.placement.category
        below = "" if category == "syslog" else f"it is for logs of category {category}"
        waiting.append((root, frozenset(), below))
    while waiting:
        node, known, reason = waiting.pop()
        earlier: list[tuple[Rule, frozenset[Asked]]] = []
        for child in node.children:
            asks = known | frozenset(map(_asked, child.rule.conditions))
            why = reason or _reason(child.rule, asks, earlier, json_names)
            if why:
                reach.unreachable[child.rule.id] = why
            else:
                reach.reachable.add(child.rule.id)
            if _always_takes(child.rule):
                earlier.append((child.rule, asks))
            below = f"its parent, rule {child.rule.id}, matches none: {why}" if why else ""
            waiting.append((child, asks, reason or below))
    return reach.reasons()


def _reason(
    rule: Rule,
    asks: frozenset[Asked],
    earlier: list[tuple[Rule, frozenset[Asked]]],
    json_names: frozenset[str],
) -> str:
    """Return why a rule matches no JSON event at its place; nothing if it may match."""
    names = {str(asked[1]) for asked in asks if asked[0] is on.DecodedAs}
    if names - json_names:
        return f"JSON events are not decoded as {', '.join(sorted(names - json_names))}"
    if len(names) > 1:
        return f"no event is decoded as {' and as '.join(sorted(names))}"
    opposed = _opposed(asks)
    if opposed:
        return opposed
    # A rule that asks for no decoder meets JSON events all the same.
    implied = asks | {(on.DecodedAs, "json")} if not names else asks
    for sibling, taken in earlier:
        if taken <= implied:
            end = ", and level 0 ends the search" if sibling.level == 0 else ""
            return f"rule {sibling.id} comes first and takes all that this rule could match{end}"
    return ""


def _always_takes(rule: Rule) -> bool:
    """Whether nothing but its conditions keeps a rule from being the result."""
    return not (rule.silent or rule.correlation or rule.first_time or rule.on_change)


def _asked(condition: on.Condition) -> Asked:
    match condition:
        case on.DecodedAs():
            return on.DecodedAs, condition.name
        case on.InLog():
            return on.InLog, *_spelled(condition.expression)
        case on.InValue():
            return on.InValue, condition.subject, *_spelled(condition.expression)
        case on.InField():
            return on.InField, condition.name.lower(), *_spelled(condition.expression)
        case _:
            # Of the others, only the very same one is known to hold for the same events.
            return type(condition), id(condition)


def _spelled(expression: Expression) -> tuple[str, str, bool]:
    return expression.kind, expression.pattern, expression.negate


def _opposed(asks: frozenset[Asked]) -> str:
    """Return which two whole values of one field are asked for; nothing if there are none."""
    wanted: dict[object, str] = {}
    for asked in sorted(filter(_is_whole_value, asks), key=str):
        name, value = asked[1], str(asked[3])
        if wanted.setdefault(name, value) != value:
            return f"{name} cannot be both {wanted[name]} and {value}"
    return ""


def _is_whole_value(asked: Asked) -> bool:
    """Whether a condition asks that a field is one plain text: `^get$`."""
    if asked[0] not in (on.InField, on.InValue) or asked[4]:
        return False
    pattern = str(asked[3])
    return pattern[:1] == "^" and pattern[-1:] == "$" and pattern[1:-1].isalnum()
