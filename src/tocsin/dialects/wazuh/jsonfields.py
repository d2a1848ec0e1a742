"""The JSON plug-in of the decoders: every leaf of a document becomes a field."""

from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

from tocsin.dialects.wazuh.fields import STATIC, Fields, Text
from tocsin.dialects.wazuh.jsonvalues import (
    NotJsonError,
    Pairs,
    Value,
    cut,
    number_text,
    printed,
    read_value,
)

# Top-level keys that set fixed fields; the plug-in alone spells one of them in another way.
_FIXED = {name: name for name in STATIC if name != "system_name"} | {"systemname": "system_name"}


@dataclass(frozen=True, slots=True)
class JsonOptions:
    """What a decoder does with nulls and arrays."""

    null: Literal["string", "discard"] = "string"
    array: Literal["array", "csv"] = "array"


def read_json_fields(text: bytes, options: JsonOptions, fields: Fields) -> None:
    """Add the fields of the JSON object at the start of a text; of no JSON, nothing."""
    try:
        value = read_value(text)
    except NotJsonError:
        return
    if isinstance(value, tuple):
        _flatten(value, options, fields)


def _flatten(document: Pairs, options: JsonOptions, fields: Fields) -> None:
    """Go through all members in the order of the document, without recursion."""
    waiting = [("", iter(document))]
    while waiting:
        prefix, members = waiting[-1]
        for key, value in members:
            path = f"{prefix}.{cut(key)}" if prefix else cut(key)
            if isinstance(value, tuple):
                waiting.append((path, iter(value)))
                break
            text = _field_text(value, options)
            if text is not None:
                _assign(fields, path, text)
        else:
            waiting.pop()


class _Printed:
    """An array as text; large ones are costly to print, and rarely asked for."""

    __slots__ = ("_items", "_text")

    def __init__(self, items: list[Value]) -> None:
        self._items = items
        self._text: str | None = None

    @override
    def __str__(self) -> str:
        """Return the printed array."""
        if self._text is None:
            self._text = printed(self._items)
        return self._text


def _field_text(value: Value, options: JsonOptions) -> Text | None:
    """Return the text of a leaf, None if it gives no field."""
    match value:
        case None:
            return None if options.null == "discard" else "null"
        case list() if options.array == "csv":
            return _csv(value) or None
        case list():
            return _Printed(value)
        case _:
            return _scalar_text(value)


def _csv(items: list[Value]) -> str:
    """Return the scalars of a list, each with a comma unless it is the very last item."""
    *others, last = items or [""]
    parts = [f"{_csv_text(item)}," for item in others if not isinstance(item, (list, tuple))]
    if not isinstance(last, (list, tuple)):
        parts.append(_csv_text(last))
    return "".join(parts)


def _csv_text(item: Value) -> str:
    return "null" if item is None else _scalar_text(item)


def _scalar_text(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return number_text(value)
        case _:
            return cut(str(value))


def _assign(fields: Fields, path: str, text: Text) -> None:
    if path == "user" and isinstance(text, str) and "dstuser" not in fields.static:
        fields.static["dstuser"] = text
    elif path in _FIXED:
        fields.static[_FIXED[path]] = str(text)
    else:
        fields.add(path, text)
