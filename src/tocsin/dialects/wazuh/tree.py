"""The tree of rules: files in, in the order of their loading; which rule stands below which."""

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from tocsin.dialects.wazuh.event import to_bytes
from tocsin.dialects.wazuh.expressions import compile_expression
from tocsin.dialects.wazuh.faults import Findings, RefusedError, refuse
from tocsin.dialects.wazuh.readrule import read_rule
from tocsin.dialects.wazuh.rules import Known, Placement, Rule
from tocsin.dialects.wazuh.variables import expand_variables
from tocsin.dialects.wazuh.xml import Element, read_xml
from tocsin.model.errors import LoadError, Location

# Rules with smaller ids are the roots of the tree, one per category of decoders.
FIRST_CHILD_ID = 10
# Where rules of level 0 stand among their siblings: first.
_IGNORING_LEVEL = 99


@dataclass(slots=True)
class Node:
    """A rule in the tree. `rank` is its place among siblings: the original's, for ever."""

    rule: Rule
    rank: int
    children: list["Node"] = field(default_factory=list)


@dataclass(slots=True)
class RuleTree:
    """All rules of an installation.

    `group_members` are the rules that the correlation of a rule counts by their group: those
    loaded before it, and itself.
    """

    roots: list[Node] = field(default_factory=list)
    nodes: dict[int, Node] = field(default_factory=dict)
    group_members: dict[int, frozenset[int]] = field(default_factory=dict)

    def rules(self) -> Iterator[Rule]:
        """Yield all rules in the order of their loading."""
        return (node.rule for node in self.nodes.values())


def load_rules(files: Iterable[tuple[str, str]], known: Known, findings: Findings) -> RuleTree:
    """Build the tree from pairs of path and text, already in the order of loading."""
    builder = _Builder(known, findings)
    for path, text in files:
        try:
            builder.add_file(expand_variables(read_xml(text, path), path), path)
        except LoadError as error:
            findings.faults.extend(error.faults)
    return builder.tree


class _Builder:
    """Adds one rule after the other."""

    def __init__(self, known: Known, findings: Findings) -> None:
        self.tree = RuleTree()
        self._known = known
        self._findings = findings

    def add_file(self, roots: list[Element], path: str) -> None:
        for group in roots:
            at = Location(path, group.line)
            try:
                name = self._group_name(group, at)
            except RefusedError as error:
                self._findings.faults.append(error.fault)
                continue
            for element in group.children:
                self._add_element(element, path, name)

    def _group_name(self, group: Element, at: Location) -> str:
        if group.name.lower() != "group":
            refuse(f"a file of rules has <group> elements, no <{group.name}>", at)
        if list(group.attributes) != ["name"]:
            refuse("a group has the attribute 'name', and no other", at)
        return group.attributes["name"]

    def _add_element(self, element: Element, path: str, group: str) -> None:
        at = Location(path, element.line)
        try:
            if element.name.lower() != "rule":
                refuse(f"a group has <rule> elements, no <{element.name}>", at)
            rule = read_rule(element, path, group, self._known, self._findings)
            if rule is not None:
                self._add(rule)
        except RefusedError as error:
            self._findings.faults.append(error.fault)

    def _add(self, rule: Rule) -> None:
        present = self.tree.nodes.get(rule.id)
        if present is not None:
            self._replace(present, rule)
            return
        if rule.overwrites:
            message = f"rule {rule.id} overwrites nothing: there is no such rule above it"
            self._findings.warn(message, rule.at)
        if rule.id < FIRST_CHILD_ID:
            self.tree.roots.append(self._node(rule))
        else:
            self._place(rule)

    def _replace(self, node: Node, rule: Rule) -> None:
        """Overwrite a rule in its place, if it says so; otherwise the first counts."""
        if not rule.overwrites:
            message = f"rule {rule.id} is there already, and the first counts (7612)"
            self._findings.warn(message, rule.at)
            return
        old = node.rule
        if _moved(rule.placement, old.placement):
            message = f"rule {rule.id} keeps its place: an overwriting rule cannot move (7605)"
            self._findings.warn(message, rule.at)
        correlation = rule.correlation
        if correlation is not None and old.correlation is not None:
            kept = old.correlation
            correlation = replace(correlation, sid=kept.sid, group=kept.group)
        node.rule = replace(rule, placement=old.placement, correlation=correlation)

    def _node(self, rule: Rule) -> Node:
        node = Node(rule, rank=1 if rule.last else -_level(rule))
        self.tree.nodes[rule.id] = node
        if rule.correlation is not None and rule.correlation.group is not None:
            group = rule.correlation.group
            self.tree.group_members[rule.id] = frozenset(
                known.id for known in self.tree.rules() if group.matches(to_bytes(known.groups))
            )
        return node

    def _place(self, rule: Rule) -> None:
        parents = self._parents(rule)
        if not parents:
            return
        node = self._node(rule)
        for parent in parents:
            insort(parent.children, node, key=lambda child: child.rank)

    def _parents(self, rule: Rule) -> list[Node]:
        placement = rule.placement
        if placement.sids:
            return self._by_id(rule, placement.sids)
        if placement.level is not None:
            wanted = placement.level
            return [node for node in self._nodes() if _level(node.rule) >= wanted]
        if placement.group is not None:
            return self._in_group(rule, placement.group)
        return self._by_category(rule, placement.category)

    def _nodes(self) -> list[Node]:
        return list(self.tree.nodes.values())

    def _by_id(self, rule: Rule, sids: tuple[int, ...]) -> list[Node]:
        parents: list[Node] = []
        for sid in dict.fromkeys(sids):
            node = self.tree.nodes.get(sid)
            if node is None:
                message = f"if_sid of rule {rule.id}: there is no rule {sid} above it (7617)"
                self._findings.warn(message, rule.at)
            else:
                parents.append(node)
        if not parents:
            self._findings.warn(f"rule {rule.id} is ignored: it has no parent (7619)", rule.at)
        return parents

    def _in_group(self, rule: Rule, group: str) -> list[Node]:
        expression = compile_expression("osmatch", group, strict=self._known.strict)
        parents = [node for node in self._nodes() if expression.matches(to_bytes(node.rule.groups))]
        if not parents:
            message = f"rule {rule.id} is ignored: no rule above it is in group {group!r}"
            self._findings.warn(message, rule.at)
        return parents

    def _by_category(self, rule: Rule, category: str) -> list[Node]:
        parents = [node for node in self.tree.roots if node.rule.placement.category == category]
        if not parents:
            message = f"rule {rule.id} is ignored: no root for category {category!r} (7611)"
            self._findings.warn(message, rule.at)
        return parents[:1]


def _level(rule: Rule) -> int:
    return rule.level or _IGNORING_LEVEL


def _moved(wanted: Placement, present: Placement) -> bool:
    """Whether an overwriting rule names another place than the rule has."""
    return wanted != Placement(category=wanted.category) and wanted != present
