"""Fill a command's arguments from an alert: one word of the template is one argument.

Texts of an alert are chosen by attackers. Each has to be of its field's type, which no option,
path or expression is; else the whole command is refused. There is no shell, and no quoting.
"""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, get_args

from tocsin.model.alert import Alert
from tocsin.model.text import visible
from tocsin.respond.actions.base import Refusal

FieldType = Literal["name", "label", "uid", "user", "role", "ip", "word", "number"]

FIELD_TYPES: Final[tuple[FieldType, ...]] = get_args(FieldType)
MAX_WORDS: Final = 64
MAX_WORD_BYTES: Final = 1024
MAX_BYTES: Final = 8192

_START, _END = "$(", ")"
_SHOWN = 60
_MAX_NAME, _MAX_LABEL, _MAX_DIGITS = 253, 63, 18
_UID_GROUPS = (8, 4, 4, 4, 12)
_DIGITS = frozenset("0123456789")
_HEX = _DIGITS | frozenset("abcdef")
_LOWER = _DIGITS | frozenset("abcdefghijklmnopqrstuvwxyz")
_LETTERS = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")

# By what people call the fields of their decoders, and by the names below.
_TYPES: Final[Mapping[str, FieldType]] = {
    "pod": "name",
    "name": "name",
    "node": "name",
    "ns": "label",
    "namespace": "label",
    "uid": "uid",
    "user": "user",
    "username": "user",
    "srcip": "ip",
    "source_ip": "ip",
    "resource": "word",
    "subresource": "word",
    "verb": "word",
    "cluster": "name",
    "rule_id": "word",
    "alert_id": "word",
}


def expand(
    words: Sequence[str], alert: Alert, types: Mapping[str, FieldType] | None = None
) -> list[str] | Refusal:
    """Return the arguments for an alert, as many as there are words.

    Args:
        words: the template.
        alert: whose fields fill it; where it has none of a name, what is known of its event.
        types: of fields that are no names of objects, and not known by their own name.
    """
    if len(words) > MAX_WORDS:
        return Refusal(f"the command has more than {MAX_WORDS} arguments")
    expanded = []
    for word in words:
        filled = _filled(word, alert, types or {})
        if isinstance(filled, Refusal):
            return filled
        expanded.append(filled)
    if sum(len(word.encode()) for word in expanded) > MAX_BYTES:
        return Refusal(f"the arguments have more than {MAX_BYTES} bytes")
    return expanded


def placeholders(words: Sequence[str]) -> list[str]:
    """Return the names of the fields that a template asks for."""
    return [name for word in words for _, name in _split(word) if name is not None]


def _filled(word: str, alert: Alert, types: Mapping[str, FieldType]) -> str | Refusal:
    """Return a word with its fields filled in, or why not."""
    parts = []
    for literal, name in _split(word):
        parts.append(literal)
        if name is None:
            continue
        value = _value(alert, name)
        reason = _wrong(value, types.get(name) or _TYPES.get(name, "name"))
        if reason is not None:
            return Refusal(f"$({visible(name[:_SHOWN])}) {reason}")
        parts.append(str(value))
    whole = "".join(parts)
    if len(whole.encode("utf-8", "replace")) > MAX_WORD_BYTES or "\0" in whole:
        return Refusal(f"an argument has a NUL, or more than {MAX_WORD_BYTES} bytes")
    return whole


def _split(word: str) -> list[tuple[str, str | None]]:
    """Return pairs of literal text and the field after it; what has no end is literal."""
    found: list[tuple[str, str | None]] = []
    rest = word
    while True:
        literal, start, after = rest.partition(_START)
        name, end, behind = after.partition(_END)
        if not start or not end:
            return [*found, (rest, None)]
        found.append((literal, name))
        rest = behind


def _value(alert: Alert, name: str) -> object:
    if name in alert.fields:
        return alert.fields[name]
    target = alert.target
    known: dict[str, object] = {
        "namespace": target.namespace,
        "name": target.name,
        "uid": target.uid,
        "resource": target.resource,
        "subresource": target.subresource,
        "verb": target.verb,
        "user": alert.actor.user,
        "source_ip": alert.actor.source_ips[0] if alert.actor.source_ips else None,
        "cluster": alert.cluster,
        "rule_id": alert.rule.id,
        "alert_id": alert.id,
    }
    return known.get(name)


def _wrong(value: object, kind: FieldType) -> str | None:
    """Return what is wrong with a field's value; None if it may be used."""
    if value is None or value == "":
        return "is empty: the alert does not say it"
    if not isinstance(value, str):
        return "is no single text"
    if not _CHECKS[kind](value):
        return f"is no {_WORDS[kind]}: {visible(value[:_SHOWN])!r}"
    return None


def is_name(text: str) -> bool:
    """Return whether this names an object (DNS-1123 subdomain)."""
    return len(text) <= _MAX_NAME and all(map(_is_dns, text.split(".")))


def is_label(text: str) -> bool:
    """Return whether this names a namespace (DNS-1123 label)."""
    return len(text) <= _MAX_LABEL and _is_dns(text)


def _is_dns(text: str) -> bool:
    return bool(text) and _only(text, _LOWER | {"-"}) and text[0] != "-" and text[-1] != "-"


def _is_uid(text: str) -> bool:
    groups = text.split("-")
    return tuple(map(len, groups)) == _UID_GROUPS and _only("".join(groups), _HEX)


def _is_user(text: str) -> bool:
    return _begins_well(text) and _only(text, _LETTERS | frozenset("._:@-"))


def _is_role(text: str) -> bool:
    return _begins_well(text) and _only(text, _LETTERS | frozenset("._:-"))


def _is_word(text: str) -> bool:
    return _begins_well(text) and _only(text, _LETTERS | frozenset("._-"))


def _is_number(text: str) -> bool:
    return 0 < len(text) <= _MAX_DIGITS and _only(text, _DIGITS)


def _is_ip(text: str) -> bool:
    try:
        # A zone could hold anything.
        return "%" not in text and bool(str(ipaddress.ip_address(text)))
    except ValueError:
        return False


def _begins_well(text: str) -> bool:
    return 0 < len(text) <= _MAX_NAME and text[0] in _LETTERS and ".." not in text


def _only(text: str, allowed: frozenset[str]) -> bool:
    return allowed.issuperset(text)


_CHECKS: Final[Mapping[FieldType, Callable[[str], bool]]] = {
    "name": is_name,
    "label": is_label,
    "uid": _is_uid,
    "user": _is_user,
    "role": _is_role,
    "ip": _is_ip,
    "word": _is_word,
    "number": _is_number,
}
_WORDS: Final[Mapping[FieldType, str]] = {
    "name": "name of an object",
    "label": "name of a namespace",
    "uid": "uid",
    "user": "user name",
    "role": "name of a role",
    "ip": "IP address",
    "word": "plain word",
    "number": "number",
}
