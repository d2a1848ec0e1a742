"""A Sigma rule drafted from an event: its author picks the fields, and edits the rest.

Pure text. Values are quoted and escaped, so that no event
text can become anything but a value; what Sigma takes for a wildcard is escaped.
"""

import uuid
from collections.abc import Collection, Mapping

from tocsin.rules.sigmatext import literal, quoted

FIELDS = (
    "verb",
    "objectRef.resource",
    "objectRef.subresource",
    "objectRef.apiGroup",
    "objectRef.namespace",
    "objectRef.name",
    "user.username",
    "impersonatedUser.username",
    "userAgent",
    "sourceIPs",
    "requestURI",
    "responseStatus.code",
)
PRESET = frozenset({"verb", "objectRef.resource", "objectRef.subresource"})

_MAX_VALUE = 500


def offered(shown: Mapping[str, object], mark: str) -> dict[str, tuple[str, ...]]:
    """Return the fields that a rule can be made of, with what the event has there.

    Left out is what the event does not have, and where `mark` stands for a secret.
    """
    found = {}
    for path in FIELDS:
        value: object = shown
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        values = value if isinstance(value, list) else [value]
        texts = tuple(str(one) for one in values if isinstance(one, str | int))
        if texts and all(one and mark not in one and len(one) <= _MAX_VALUE for one in texts):
            found[path] = texts
    return found


def draft(fields: Mapping[str, tuple[str, ...]], chosen: Collection[str], digest: str) -> str:
    """Return the text of a rule that matches what has these fields.

    Args:
        fields: as `offered` returns them.
        chosen: the fields to use; without any of them, the preset ones.
        digest: the event's, 32 hexadecimal digits; makes the rule's id.
    """
    used = [path for path in fields if path in chosen] or [
        path for path in fields if path in PRESET
    ]
    selection = [f"    {path}{_value(fields[path])}" for path in used or list(fields)[:1]]
    what = " ".join(fields[path][0] for path in ("verb", "objectRef.resource") if path in fields)
    lines = [
        f"title: {quoted(f'Somebody does this: {what}')}",
        f"id: {uuid.UUID(hex=digest)}",
        "status: experimental",
        "description: Say what this means, and what to do about it.",
        "logsource: {product: kubernetes, service: audit}",
        "detection:",
        "  selection:",
        *selection,
        "  condition: selection",
        "falsepositives: [Say who does this for good reasons]",
        "level: medium",
    ]
    return "\n".join(lines) + "\n"


def _value(texts: tuple[str, ...]) -> str:
    if len(texts) == 1:
        return f": {literal(texts[0])}"
    return "|all: [" + ", ".join(map(literal, texts)) + "]"
