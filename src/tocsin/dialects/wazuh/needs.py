"""What the bytes of a JSON event must hold for a rule to match, told from the files alone.

All of this is known before any event comes: the log begins with `{"`, it has no program name,
and its fields are the keys of its JSON and what decoders name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tocsin.dialects.wazuh import conditions as on
from tocsin.dialects.wazuh.decoders import Decoder, DecoderTree
from tocsin.dialects.wazuh.expressions import Expression
from tocsin.dialects.wazuh.expressions.ossyntax import parse
from tocsin.dialects.wazuh.fields import STATIC, fold
from tocsin.dialects.wazuh.literals import Term, key_term, one_of, scalar_key_term, terms_of
from tocsin.dialects.wazuh.rules import Rule
from tocsin.dialects.wazuh.tree import Node, RuleTree

# How the log of an event begins.
LOG_START: Final = b'{"'
# The prematch of the JSON decoder: it finds LOG_START at the start of a log.
_JSON_PREMATCH: Final = r'^{\s*"'
# Values that the session knows, whatever the event says.
_OF_SESSION: Final = ("location", "hostname")


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of the decoding of every event.

    Attributes:
        names: the decoders that it may end with; a single one is certain.
        categories: the categories that these have.
        assigned: the fields that these may set, in the form in which names are compared.
        others: what the bytes must hold for other decoders to recognise the log before.
    """

    names: frozenset[str]
    categories: frozenset[str]
    assigned: frozenset[str]
    others: tuple[tuple[Term, ...], ...]


@dataclass(slots=True)
class Reached:
    """The rules that can be reached, each with what it needs and the rules it stands below."""

    needs: dict[int, tuple[Term, ...]] = field(default_factory=dict)
    parents: dict[int, set[int]] = field(default_factory=dict)

    def of(self, rule: int) -> frozenset[Term]:
        """Return all that must be there for a rule: its own needs, and those of what is above."""
        needs = set(self.needs[rule])
        while len(above := self.parents[rule]) == 1:
            (rule,) = above
            needs.update(self.needs[rule])
        return frozenset(needs)


def ground_of(tree: DecoderTree) -> Ground | None:
    """Return what is known of the decoding of events; None: too little."""
    others: list[tuple[Term, ...]] = []
    for root in tree.without_program:
        if root.prematch is None or _is_json_prematch(root.prematch):
            return _ground(root, others)
        if _fits_start(root.prematch):
            terms = terms_of(root.prematch)
            if not terms:
                return None
            others.append(tuple(terms))
    return None


def reached(tree: RuleTree, ground: Ground) -> Reached:
    """Return the rules that events on this ground can reach."""
    found = Reached()
    roots = [root for root in tree.roots if root.rule.placement.category in ground.categories]
    waiting = list(_until_certain(roots, ground))
    found.parents.update((root.rule.id, set()) for root in waiting)
    while waiting:
        node = waiting.pop()
        if node.rule.id in found.needs:
            continue
        found.needs[node.rule.id] = needs_of(node.rule, ground) or ()
        for child in _until_certain(node.children, ground):
            found.parents.setdefault(child.rule.id, set()).add(node.rule.id)
            waiting.append(child)
    return found


def needs_of(rule: Rule, ground: Ground) -> tuple[Term, ...] | None:
    """Return what must be there for a rule's own conditions to hold; None: they never do."""
    needs: list[Term] = []
    for condition in rule.conditions:
        found = _needs(condition, ground)
        if found is None:
            return None
        needs.extend(found)
    return tuple(needs)


def _ground(root: Decoder, others: list[tuple[Term, ...]]) -> Ground:
    decoders = [root, *root.children]
    names = (name for decoder in decoders for name in decoder.order)
    return Ground(
        names=frozenset(decoder.identity for decoder in decoders),
        categories=frozenset(decoder.category for decoder in decoders),
        assigned=frozenset(fold("dstuser" if name == "user" else name) for name in names),
        others=tuple(others),
    )


def _is_json_prematch(prematch: Expression) -> bool:
    return (prematch.kind, prematch.pattern, prematch.negate) == ("osregex", _JSON_PREMATCH, False)


def _fits_start(prematch: Expression) -> bool:
    """Whether an expression may be found in a log that begins as events do."""
    if prematch.kind != "osregex" or prematch.negate:
        return True
    alternatives = parse(prematch.pattern.encode("utf-8", "surrogateescape"))
    return not all(
        alternative.at_start
        and alternative.elements
        and not alternative.elements[0].quantifier
        and LOG_START[0] not in alternative.elements[0].fits
        for alternative in alternatives
    )


def _until_certain(siblings: Iterable[Node], ground: Ground) -> Iterator[Node]:
    """Yield the siblings that may match, up to one that takes whatever comes to it."""
    for node in siblings:
        if needs_of(node.rule, ground) is None:
            continue
        yield node
        if _is_certain(node.rule, ground):
            return


def _is_certain(rule: Rule, ground: Ground) -> bool:
    """Whether a rule, other than a root, matches every event that comes to it."""
    if rule.correlation is not None or rule.first_time or rule.on_change or rule.silent:
        return False
    return bool(rule.conditions) and all(
        isinstance(condition, on.DecodedAs) and ground.names == {condition.name}
        for condition in rule.conditions
    )


def _needs(condition: on.Condition, ground: Ground) -> tuple[Term, ...] | None:
    if _is_never(condition, ground):
        return None
    match condition:
        case on.InLog(expression):
            return tuple(terms_of(expression))
        case on.InValue(subject, _) | on.InNetwork(subject) | on.InList(subject):
            return _value_needs(subject, ground)
        case on.ActionIs():
            return _value_needs("action", ground)
        case on.InField(name, _):
            return _field_needs(name, ground)
        case _:
            return ()


def _is_never(condition: on.Condition, ground: Ground) -> bool:
    match condition:
        case on.Never() | on.InValue("program_name", _):
            return True
        case on.DecodedAs(name):
            return name not in ground.names
        case _:
            return False


def _value_needs(subject: str, ground: Ground) -> tuple[Term, ...]:
    """Return what the bytes hold if an event has a value that rules call `subject`."""
    if subject in _OF_SESSION:
        return ()
    if subject not in (*STATIC, "user"):
        return _field_needs(subject, ground)
    names = {"user": ("dstuser", "srcuser"), "system_name": ("systemname",)}.get(
        subject, (subject,)
    )
    if ground.assigned.intersection((subject, *names)):
        return ()
    keys = [key_term(name) for name in names]
    if "dstuser" in names:
        # The plug-in takes a scalar `user` for the one it was done to; that of events is an object.
        keys.append(scalar_key_term("user"))
    return one_of(keys)


def _field_needs(name: str, ground: Ground) -> tuple[Term, ...]:
    """Return what the bytes hold if an event has a dynamic field of this name."""
    if fold(name) in ground.assigned:
        return ()
    return one_of([key_term(*name.split("."), caseless=True)])
