"""The JSON plug-in of the decoders: every leaf of a document becomes a field."""

from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

from tocsin.dialects.wazuh.fields import STATIC, Fields, Text
from tocsin.dialects.wazuh.jsonvalues import (
    NotJsonError,
    Pairs,
    Value,
    at_least,
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
    found: list[tuple[str, Text]] = []
    waiting = [("", iter(document))]
    while waiting:
        prefix, members = waiting[-1]
        for key, value in members:
            path = prefix + (cut(key) if "\0" in key else key)
            if type(value) is tuple:
                waiting.append((f"{path}." if path else "", iter(value)))
                break
            text = _field_text(value, options)
            # Nothing below the first level is a fixed field.
            if text is not None and (prefix or not _is_fixed(fields, path, text)):
                found.append((path, text))
        else:
            waiting.pop()
    fields.add_all(found)


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

    def longer_than(self, length: int) -> bool:
        """Whether the text has more characters than that; texts of that size are made at once."""
        if self._text is not None:
            return len(self._text) > length
        return at_least(self._items, length + 1) or len(str(self)) > length


def _field_text(value: Value, options: JsonOptions) -> Text | None:
    """Return the text of a leaf, None if it gives no field."""
    # By far the most are these, and there may be hundreds of thousands.
    if type(value) is str:
        return cut(value) if "\0" in value else value
    if type(value) is float:
        return number_text(value)
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


def _is_fixed(fields: Fields, path: str, text: Text) -> bool:
    """Set the fixed field of that name, if there is one; the others are dynamic."""
    if path == "user" and isinstance(text, str) and "dstuser" not in fields.static:
        fields.static["dstuser"] = text
    elif path in _FIXED:
        fields.static[_FIXED[path]] = str(text)
    else:
        return False
    return True
