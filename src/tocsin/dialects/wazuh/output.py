"""Show what a log gave in the shapes that people of Wazuh know."""

import json
from collections.abc import Sequence
from typing import NoReturn

import msgspec

from tocsin.dialects.wazuh.evaluate import Result
from tocsin.dialects.wazuh.rules import Rule
from tocsin.dialects.wazuh.why import Stop
from tocsin.dialects.wazuh.whydecode import TriedDecoder

Shown = dict[str, object]


def _refuse_float(number: str) -> NoReturn:
    raise ValueError(number)


_decode = msgspec.json.Decoder(float_hook=_refuse_float).decode
_encode = msgspec.json.Encoder().encode
_DELETE = b"\x7f"

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


def why_object(result: Result, decoders: Sequence[TriedDecoder]) -> Shown:
    """Return the decoders and rules that were tried, in order, and what stopped each."""
    return {
        "decoders": [
            {
                "name": tried.decoder.name,
                "parent": tried.decoder.parent,
                "matched": tried.stopped is None,
                "stopped": _stop(tried.stopped),
            }
            for tried in decoders
        ],
        "rules": [
            {
                "id": str(tried.rule.id),
                "level": tried.rule.level,
                "description": tried.rule.description,
                "source": str(tried.rule.at),
                "matched": tried.matched,
                "stopped": _stop(tried.stopped),
            }
            for tried in result.tried
        ],
    }


def _stop(stopped: Stop | None) -> Shown | None:
    if stopped is None:
        return None
    return {"element": stopped.element, "asks": stopped.asks, "seen": stopped.seen}


def reserialised(log: bytes) -> bytes:
    """Return a JSON object as `json.dumps` writes it, which is what rules expect to see.

    Any other text stays as it is.
    """
    return _quickly(log) or _slowly(log)


def _slowly(log: bytes) -> bytes:
    try:
        document = json.loads(log)
    except (ValueError, RecursionError):
        return log
    return json.dumps(document).encode() if isinstance(document, dict) else log


def _quickly(log: bytes) -> bytes | None:
    """Return the same in less than half the time, where both ways agree; None: they might not.

    They differ in how floats are spelled, in characters that `json.dumps` escapes, and in what
    is no JSON to one of them.
    """
    try:
        document = _decode(log)
        if not isinstance(document, dict):
            return None
        text = msgspec.json.format(_encode(document), indent=0)
    except (ValueError, RecursionError):
        return None
    return text if text.isascii() and _DELETE not in text else None
