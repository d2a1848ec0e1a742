"""Show what a log gave in the shapes that people of Wazuh know."""

import json

from tocsin.dialects.wazuh.evaluate import Result
from tocsin.dialects.wazuh.rules import Rule

Shown = dict[str, object]

# Groups that name a part of a standard stand in an array of their own.
_STANDARDS = ("pci_dss", "cis", "gdpr", "gpg13", "hipaa", "nist_800_53", "tsc")


def groups(rule: Rule) -> dict[str, list[str]]:
    """Return the groups of a rule, and the parts of standards by the standard's name."""
    found: dict[str, list[str]] = {"groups": []}
    for token in filter(None, rule.groups.split(",")):
        standard = next((name for name in _STANDARDS if token.startswith(f"{name}_")), None)
        if standard is None:
            found["groups"].append(token)
        else:
            found.setdefault(standard, []).append(token.removeprefix(f"{standard}_"))
    return found


def decoder(result: Result) -> Shown:
    """Return the decoder that recognised a log, with its parent if it took over from one."""
    named = {"parent": result.decoded.parent, "name": result.decoded.name}
    return {key: name for key, name in named.items() if name is not None}


def as_object(result: Result) -> Shown:
    """Return a result as one object: what was decoded, the rule, whether there is an alert."""
    rule = result.rule
    shown = None
    if rule is not None:
        shown = {
            "id": str(rule.id),
            "level": rule.level,
            "description": result.description,
            **groups(rule),
        }
    return {
        "predecoder": {},
        "decoder": decoder(result),
        "data": result.fields.nested(),
        "rule": shown,
        "alert": result.alert,
    }


def reserialised(log: bytes) -> bytes:
    """Return a JSON object as `json.dumps` writes it, which is what rules expect to see.

    Any other text stays as it is.
    """
    try:
        document = json.loads(log)
    except (ValueError, RecursionError):
        return log
    return json.dumps(document).encode() if isinstance(document, dict) else log
