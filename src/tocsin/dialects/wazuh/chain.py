"""The way through the tree to a rule, on one event: each condition with what the log has there."""

from collections.abc import Collection

from tocsin.dialects.wazuh.conditions import Condition
from tocsin.dialects.wazuh.evaluate import Result
from tocsin.dialects.wazuh.event import Event
from tocsin.dialects.wazuh.expressions import BudgetSpent
from tocsin.dialects.wazuh.rules import Rule
from tocsin.dialects.wazuh.tree import Node as TreeNode
from tocsin.dialects.wazuh.tree import RuleTree
from tocsin.dialects.wazuh.why import NOT_THERE, SEEN_BEFORE, UNCHANGED, told
from tocsin.rules.explain import Node, Show


def explain_rule(
    tree: RuleTree, rule_id: int, event: Event, result: Result, show: Show, *, fired: bool
) -> Node | None:
    """Return the conditions of a rule and of those above it; None if there is no such rule.

    Args:
        tree: all rules.
        rule_id: the rule.
        event: the event, decoded.
        result: what the rules gave for it: of several parents it tells the one that matched.
        show: what the texts of the event go through before they are shown.
        fired: whether the rule fired, so that what it asks of earlier events held as well; these
            are not kept and not evaluated again.
    """
    node = tree.nodes.get(rule_id)
    if node is None:
        return None
    matched = {tried.rule.id for tried in result.tried if tried.matched}
    way = _above(tree, node, matched)
    # The roots ask nothing: they only lead to others.
    asking = [one.rule for one in way if one.rule.conditions or not one.rule.silent]
    children = tuple(_rule(rule, event, show, fired=fired) for rule in asking)
    text = f"rule {rule_id} and those above it"
    return Node(text, all(child.holds for child in children), (), children, "all")


def _above(tree: RuleTree, node: TreeNode, matched: Collection[int]) -> list[TreeNode]:
    """Return the way from a root to the rule, by the parents that matched."""
    way = [node]
    while True:
        parents = [one for one in tree.nodes.values() if way[-1] in one.children]
        parent = next((one for one in parents if one.rule.id in matched), None)
        parent = parent or next(iter(parents), None)
        if parent is None or parent in way:
            return way[::-1]
        way.append(parent)


def _rule(rule: Rule, event: Event, show: Show, *, fired: bool) -> Node:
    conditions = [_condition(one, event, show) for one in rule.conditions]
    children = (*conditions, *(Node(text, fired) for text in _of_earlier_events(rule)))
    text = f"rule {rule.id}, level {rule.level}: {rule.description}"
    holds = all(child.holds for child in children)
    return Node(text, holds, (), children, "all", at=str(rule.at))


def _condition(condition: Condition, event: Event, show: Show) -> Node:
    element, asks, seen = told(condition, event)
    try:
        holds = condition.holds(event)
    except BudgetSpent:
        return Node(f"{element}: {asks} (too costly to tell)", holds=False)
    values = () if seen == NOT_THERE else tuple(show(element.rstrip('"'), [seen]))
    return Node(f"{element}: {asks}", holds, values)


def _of_earlier_events(rule: Rule) -> list[str]:
    asked = [
        *([SEEN_BEFORE.asks] if rule.first_time else []),
        *([UNCHANGED.asks] if rule.on_change else []),
    ]
    if rule.correlation is not None:
        one = rule.correlation
        asked.append(f"{one.frequency} events like this one within {one.timeframe} s")
    return [f"{text} (depends on earlier events, which are not evaluated again)" for text in asked]
