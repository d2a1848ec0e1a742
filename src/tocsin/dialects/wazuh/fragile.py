"""Expressions over the text of JSON: what defeats them, and conditions on fields instead.

`"verb": "create".+"securityContext": {"privileged": true}` wants its keys in this order, and
no other key beside `privileged`. A field has neither order nor neighbours.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tocsin.dialects.wazuh import conditions as on
from tocsin.dialects.wazuh.expressions import Expression
from tocsin.dialects.wazuh.plaintext import pieces
from tocsin.dialects.wazuh.rules import Rule
from tocsin.rules.schema import Schema

# A key, and a plain value behind it.
_MEMBER = re.compile(
    r'"(?P<key>[\w.$/-]+)": ?'
    r'(?:"(?P<text>[^"{}\[\]]*)"|(?P<other>true|false|null|-?\d+)|[{\[]|$)'
)
# Where keys of pod specifications are found, as fields; arrays are one field each.
_POD = "requestObject.spec"
_PLACES = {
    **dict.fromkeys(
        ("privileged", "allowPrivilegeEscalation", "image", "command", "runAsUser", "procMount"),
        f"{_POD}.containers",
    ),
    **dict.fromkeys(("hostNetwork", "hostPID", "hostIPC", "nodeName", "serviceAccountName"), _POD),
    **dict.fromkeys(("hostPath", "path"), f"{_POD}.volumes"),
}
_ARRAYS = (f"{_POD}.containers", f"{_POD}.volumes")
_ADJACENT = re.compile(r'": [{\[]"[^"]+":|[}\]]|, "')


@dataclass(frozen=True, slots=True)
class Fragile:
    """What defeats an expression, and conditions that mean the same (None: not known)."""

    reason: str
    fields: tuple[str, ...] | None


def fragile(expression: Expression, schema: Schema) -> Fragile | None:
    """Return what defeats an expression on a JSON text; None if it looks at single members."""
    if expression.kind != "pcre2":
        return None
    parts = pieces(expression.pattern)
    texts = [part.text for part in parts if part.text]
    members = [member for text in texts for member in _MEMBER.finditer(text)]
    if not members:
        return None
    reasons = list(_reasons(texts, [member["key"] for member in members]))
    if not reasons:
        return None
    return Fragile("; ".join(reasons), _as_fields(expression.pattern, members, schema))


def suggestion(rule: Rule, fields: tuple[str, ...]) -> str:
    """Return a rule that asks for fields, in the place of one that asks for text."""
    lines = [f'<rule id="{rule.id}" level="{rule.level}">']
    if rule.placement.sids:
        lines.append(f"  <if_sid>{', '.join(map(str, rule.placement.sids))}</if_sid>")
    lines += [
        f"  <decoded_as>{condition.name}</decoded_as>"
        for condition in rule.conditions
        if isinstance(condition, on.DecodedAs)
    ]
    lines += [f"  {condition}" for condition in fields]
    lines.append(f"  <description>{rule.description}</description>")
    lines += [f"  <mitre><id>{technique}</id></mitre>" for technique in rule.techniques]
    return "\n".join([*lines, "</rule>"])


def _reasons(texts: list[str], keys: list[str]) -> Iterator[str]:
    together = next((text for text in texts if _ADJACENT.search(text)), None)
    if together is not None:
        yield f"any further key inside or beside `{together}` defeats it"
    if len(keys) > 1:
        order = ", ".join(f'"{key}"' for key in keys)
        yield f"it finds the keys {order} in this order only, and in any part of the event"


def _as_fields(
    pattern: str, members: list[re.Match[str]], schema: Schema
) -> tuple[str, ...] | None:
    """Return conditions on fields; None if one of the members has no known place."""
    fields: list[str] = []
    for member in members:
        if member["text"] is None and member["other"] is None:
            continue
        condition = _as_field(member, schema)
        if condition is None:
            return None
        fields.append(condition)
    opened = members[-1]["key"]
    if opened == "securityContext" and not any(_PLACES["image"] in field for field in fields):
        unless = _unless(pattern)
        if unless is None:
            return None
        fields += unless
    return tuple(dict.fromkeys(fields)) or None


def _as_field(member: re.Match[str], schema: Schema) -> str | None:
    key = member["key"]
    value = member["text"] if member["text"] is not None else member["other"]
    path = _path(key, schema)
    if path is None:
        return None
    if path in _ARRAYS:
        quoted = f'"{value}"' if member["text"] is not None else value
        return f'<field name="{path}" type="pcre2">"{key}":\\s*{re.escape(quoted)}</field>'
    if value.isalnum():
        return f'<field name="{path}">^{value}$</field>'
    return f'<field name="{path}" type="pcre2">^{re.escape(value)}$</field>'


def _path(key: str, schema: Schema) -> str | None:
    """Return the field that a key is most likely meant to be."""
    if key in schema.attributes and schema.attributes[key].kind == "text":
        return key
    for parent in ("objectRef", "user"):
        if f"{parent}.{key}" in schema.attributes:
            return f"{parent}.{key}"
    place = _PLACES.get(key)
    return place if place is None or place in _ARRAYS else f"{place}.{key}"


def _unless(pattern: str) -> list[str] | None:
    """Return what asks for containers, without the member that a look-ahead rules out."""
    containers = _PLACES["image"]
    ruled_out = re.search(r'\(\?! ?\{"(\w+)": (true|false)\}\)$', pattern)
    if ruled_out is None:
        return None
    key, value = ruled_out[1], ruled_out[2]
    return [
        f'<field name="{containers}">\\.+</field>',
        f'<field name="{containers}" type="pcre2" negate="yes">"{key}":\\s*{value}</field>',
    ]
