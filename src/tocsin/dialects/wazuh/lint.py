"""Look at Wazuh rules with the eyes of somebody who watches audit events.

Faults are rules that can never have an effect; warnings are those that may not do what their
author means.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tocsin.dialects.wazuh import conditions as on
from tocsin.dialects.wazuh.cost import super_linear
from tocsin.dialects.wazuh.decoders import JSON_PLUGIN, Decoder, DecoderTree
from tocsin.dialects.wazuh.expressions import Expression
from tocsin.dialects.wazuh.expressions.ossyntax import never_found, parse
from tocsin.dialects.wazuh.fragile import fragile, suggestion
from tocsin.dialects.wazuh.install import Installation
from tocsin.dialects.wazuh.reach import json_decoders, unreachable_rules
from tocsin.dialects.wazuh.rules import Rule
from tocsin.dialects.wazuh.tree import RuleTree
from tocsin.model.errors import Fault, Location
from tocsin.rules.schema import Schema

Check = Literal["load", "unreachable", "cost", "field", "text", "fragile"]

# Rules below are the vendor's: most of them are for other logs, which is as it should be.
FIRST_OWN_RULE = 100_000
# Parts of an event that go on below what the schema tells.
_OPEN = ("responseStatus.details", "responseStatus.metadata")
# Arrays are one field each: nothing below their names is ever a field.
_ARRAYS = frozenset(
    {
        "containers",
        "ephemeralContainers",
        "imagePullSecrets",
        "initContainers",
        "items",
        "managedFields",
        "ownerReferences",
        "rules",
        "subjects",
        "tolerations",
        "volumes",
        "webhooks",
    }
)
# A key and its value, or two members, without the blank that `json.dumps` puts between them.
_COMPACT = re.compile(r'":(?=["{\[\dtfn-])|",(?=")')
# How many rules a message names.
_SHOWN = 3
# What a warning of the loader says where a rule has no effect at all.
_WITHOUT_EFFECT = ("is ignored:", "is not supported:", "never fires", "(7612)")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about a rule or decoder; `instead` is a rule to write in its place."""

    check: Check
    message: str
    at: Location
    fault: bool = False
    instead: str | None = None


def lint(installation: Installation, schema: Schema) -> list[Finding]:
    """Return all findings, in the order of files and lines.

    Args:
        installation: what was loaded.
        schema: the fields of the events that will come.
    """
    tree = installation.tree
    names = json_decoders(installation.decoders)
    unreachable = unreachable_rules(tree, names)
    assigned = _assigned(installation.decoders.tree)
    findings = [_loaded(warning) for warning in installation.warnings]
    for rule in tree.rules():
        if rule.id in unreachable:
            if rule.id >= FIRST_OWN_RULE:
                message = f"rule {rule.id} never matches a JSON event: {unreachable[rule.id]}"
                findings.append(Finding("unreachable", message, rule.at))
            continue
        findings += _of_rule(rule, schema, assigned)
    findings += _without_memory(tree)
    findings += _without_fields(installation)
    for decoder in _decoders(installation.decoders.tree):
        if decoder.identity in names:
            findings += _of_decoder(decoder, schema)
    return sorted(findings, key=lambda finding: (finding.at.path, finding.at.line or 0))


def rules_for_other_logs(installation: Installation) -> int:
    """Return how many of the vendor's rules can match no JSON event."""
    names = json_decoders(installation.decoders)
    unreachable: Mapping[int, str] = unreachable_rules(installation.tree, names)
    return sum(rule < FIRST_OWN_RULE for rule in unreachable)


def _loaded(warning: Fault) -> Finding:
    fault = any(words in warning.message for words in _WITHOUT_EFFECT)
    return Finding("load", warning.message, warning.location, fault)


def _of_rule(rule: Rule, schema: Schema, assigned: Collection[str]) -> Iterator[Finding]:
    own = rule.id >= FIRST_OWN_RULE
    for condition in rule.conditions:
        expression = getattr(condition, "expression", None)
        if isinstance(expression, Expression):
            yield from _costly(f"rule {rule.id}", expression, rule.at)
            if _never_found_there(expression):
                message = f"rule {rule.id}: Wazuh never finds {expression.pattern!r}, Tocsin does"
                yield Finding("load", message, rule.at)
        if own and isinstance(condition, on.InLog):
            yield from _compact(rule, condition.expression)
            yield from _fragile(rule, condition.expression, schema)
        if own:
            yield from _missing_field(rule, condition, schema, assigned)


def _without_memory(tree: RuleTree) -> Iterator[Finding]:
    """Find rules that count events which are never remembered."""
    for rule in tree.rules():
        sid = None if rule.correlation is None else rule.correlation.sid
        counted = None if sid is None else tree.nodes.get(sid)
        if counted is not None and counted.rule.level == 0:
            message = f"rule {rule.id} counts rule {sid}, whose level 0 is never remembered"
            yield Finding("unreachable", message, rule.at)


def _without_fields(installation: Installation) -> Iterator[Finding]:
    """Find decoders that take away, in Wazuh itself, the fields that rules ask for."""
    asking = [
        rule.id
        for rule in installation.tree.rules()
        if rule.id >= FIRST_OWN_RULE
        and any(isinstance(condition, on.InField) for condition in rule.conditions)
    ]
    for root in installation.decoders.tree.without_program:
        plugged = {child.name for child in root.children if child.plugin == JSON_PLUGIN}
        for child in root.children:
            if asking and root.plugin == JSON_PLUGIN and child.name not in plugged:
                rules = ", ".join(map(str, asking[:_SHOWN])) + (
                    ", …" if len(asking) > _SHOWN else ""
                )
                message = (
                    f"decoder {child.name!r} takes the JSON fields away in Wazuh (not here), and "
                    f"rules ask for them ({rules}): put a decoder of the same name with "
                    f"<plugin_decoder>{JSON_PLUGIN}</plugin_decoder> above it"
                )
                yield Finding("field", message, child.at)


def _of_decoder(decoder: Decoder, schema: Schema) -> Iterator[Finding]:
    name = f"decoder {decoder.name!r}"
    if decoder.accumulates:
        message = f"{name}: <accumulate> is not supported: no field is filled in from earlier logs"
        yield Finding("load", message, decoder.at, fault=True)
    for expression in (decoder.prematch, decoder.regex):
        if expression is not None:
            yield from _costly(name, expression, decoder.at)
    found = None if decoder.regex is None else fragile(decoder.regex, schema)
    if found is not None:
        message = f"{name} reads JSON as text: {found.reason}; its fields are then empty"
        yield Finding("fragile", message, decoder.at)


def _costly(name: str, expression: Expression, at: Location) -> Iterator[Finding]:
    cost = super_linear(expression)
    if cost is not None:
        here = "Tocsin runs it in linear time" if cost.linear_here else "Tocsin stops it in time"
        yield Finding("cost", f"{name}: {cost.reason} ({here}, Wazuh does not)", at)


def _never_found_there(expression: Expression) -> bool:
    """Whether a mistake of the original keeps it from finding what Tocsin finds."""
    if expression.kind == "osmatch":
        return not expression.pattern.isascii()
    pattern = expression.pattern.encode("utf-8", "surrogateescape")
    return expression.kind == "osregex" and any(map(never_found, parse(pattern)))


def _compact(rule: Rule, expression: Expression) -> Iterator[Finding]:
    found = _COMPACT.search(expression.pattern)
    if found is not None:
        message = (
            f"rule {rule.id} asks for compact JSON (`{found[0]}`), but rules see JSON with a blank "
            f"behind colons and commas: write `{found[0]} `"
        )
        yield Finding("text", message, rule.at)


def _fragile(rule: Rule, expression: Expression, schema: Schema) -> Iterator[Finding]:
    found = fragile(expression, schema)
    if found is not None:
        instead = None if found.fields is None else suggestion(rule, found.fields)
        message = f"rule {rule.id} reads JSON as text: {found.reason}"
        yield Finding("fragile", message, rule.at, instead=instead)


def _missing_field(
    rule: Rule, condition: on.Condition, schema: Schema, assigned: Collection[str]
) -> Iterator[Finding]:
    match condition:
        case on.InField(name=name):
            reason = "" if name in assigned else _never_carried(name, schema)
        case on.InValue(subject=name) | on.InNetwork(subject=name):
            known = {"location", "hostname", *assigned}
            reason = "" if name in known else f"audit events have no {name!r}"
        case on.ActionIs():
            reason = "" if "action" in assigned else "audit events have no 'action'"
        case _:
            reason = ""
    if reason:
        yield Finding("field", f"rule {rule.id} never matches an audit event: {reason}", rule.at)


def _never_carried(name: str, schema: Schema) -> str:
    """Return why no audit event has a field; nothing if one may."""
    parents = name.split(".")[:-1]
    array = next((parent for parent in parents if parent in _ARRAYS), None)
    if array is not None:
        whole = name[: name.index(array) + len(array)]
        return f"{array!r} is an array, which is one field as text: ask the field {whole!r}"
    if name.startswith(_OPEN):
        return ""
    found = schema.resolve(name)
    if found is None or found[0] in schema.derived or not schema.has(name):
        return f"they have no field {name!r}"
    if schema.attributes[found[0]].kind == "struct":
        return f"{name!r} is an object: only what is in it is a field"
    return ""


def _assigned(tree: DecoderTree) -> frozenset[str]:
    """Return the fields that decoders set by name."""
    return frozenset(name for decoder in _decoders(tree) for name in decoder.order)


def _decoders(tree: DecoderTree) -> Iterator[Decoder]:
    for root in tree.without_program:
        yield root
        yield from root.children
