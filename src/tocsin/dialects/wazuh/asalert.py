"""What alerts of every dialect say, of a Wazuh rule and of what it gave."""

import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Final

from tocsin.attack.catalog import catalog
from tocsin.dialects.wazuh.conditions import InField
from tocsin.dialects.wazuh.decoders import DecoderTree
from tocsin.dialects.wazuh.evaluate import Result
from tocsin.dialects.wazuh.fields import STATIC, Fields
from tocsin.dialects.wazuh.rules import Rule
from tocsin.model.alert import SEVERITIES, RuleRef, Severity

# The lowest level of each severity but the first.
_LEVELS: Final = (3, 7, 12, 15)
# Of the text of a description; event text never gets here.
_PLACEHOLDER = re.compile(r"\$\(([^)]*)\)")
_MAX_FIELDS = 50


def severity(level: int) -> Severity:
    """Return the severity that a rule's level stands for."""
    return SEVERITIES[bisect(_LEVELS, level)]


def reference(rule: Rule) -> RuleRef:
    """Return what an alert says about its rule; its title leaves out what each event fills in."""
    return RuleRef(
        id=str(rule.id),
        title=_PLACEHOLDER.sub("…", rule.description),
        dialect="wazuh",
        severity=severity(rule.level),
        level=str(rule.level),
        tags=tuple(filter(None, rule.groups.split(","))),
        attack=tuple(map(catalog().technique, rule.techniques)),
        source=str(rule.at),
    )


def template_is_filled(rule: Rule, result: Result) -> bool:
    """Whether every `$(field)` of the rule's description had a text."""
    fields = result.decoded.fields
    return all(_has(fields, name) for name in _PLACEHOLDER.findall(rule.description))


def named_fields(decoders: DecoderTree) -> dict[str, list[str]]:
    """Return the dynamic fields that decoders name, by the name that an event has from these."""
    named: defaultdict[str, list[str]] = defaultdict(list)
    for root in decoders.without_program:
        for decoder in (root, *root.children):
            named[decoder.identity] += (name for name in decoder.order if name not in STATIC)
    return dict(named)


def told_fields(rule: Rule, result: Result, named: Iterable[str]) -> dict[str, str | None]:
    """Return the dynamic fields that the decoder names, and those that the rule speaks of.

    All keys of the JSON are fields, too: they are the whole event, and not told.
    """
    fields = {name: result.decoded.fields.get(name) for name in named}
    asked = [condition.name for condition in rule.conditions if isinstance(condition, InField)]
    for name in (*asked, *_PLACEHOLDER.findall(rule.description)):
        if name not in fields and name not in STATIC:
            fields[name] = result.fields.get(name)
    return dict(islice(fields.items(), _MAX_FIELDS))


def _has(fields: Fields, name: str) -> bool:
    if name in ("hostname", "program_name"):
        return True
    return bool(fields.static.get(name) if name in STATIC else fields.get(name))
