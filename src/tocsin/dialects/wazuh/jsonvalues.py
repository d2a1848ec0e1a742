"""Read JSON as Wazuh's decoder does, and print values as it prints them.

Objects are tuples of (key, value) pairs here: keys may repeat, and the order counts.
"""

import json
import math
import sys
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

Pairs: TypeAlias = "tuple[tuple[str, Value], ...]"
Value: TypeAlias = "str | float | bool | list[Value] | Pairs | None"

_INT32 = 2**31
_ESCAPES = {
    **{chr(code): f"\\u{code:04x}" for code in range(0x20)},
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_PRINTABLE = str.maketrans(_ESCAPES)


@dataclass(frozen=True, slots=True)
class _Verbatim:
    """What stands between printed values."""

    text: str


class NotJsonError(ValueError):
    """The text does not begin with a JSON document."""


def _no_constant(name: str) -> NoReturn:
    raise NotJsonError(name)


# Control characters in texts are taken as they are; every number is a double.
_DECODER = json.JSONDecoder(
    object_pairs_hook=tuple,
    parse_int=float,
    parse_float=float,
    parse_constant=_no_constant,
    strict=False,
)


def read_value(text: bytes) -> Value:
    """Return the JSON value at the start of a text; what follows it is ignored.

    Raises:
        NotJsonError: there is none.
    """
    try:
        document = text.decode("utf-8", "surrogateescape").lstrip()
        value: Value
        value, _ = _DECODER.raw_decode(document)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(str(error)) from error
    if (b"\\ud" in text or b"\\uD" in text) and _has_lone_surrogate(value):
        message = "half of a surrogate pair"
        raise NotJsonError(message)
    return value


def number_text(number: float) -> str:
    """Return a number as the value of a field."""
    return str(int(number)) if _is_int32(number) else f"{number:f}"


def printed(value: Value) -> str:
    """Return a value as text, objects with one member per line behind tabs."""
    parts: list[str] = []
    waiting: list[tuple[Value | _Verbatim, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        match item:
            case _Verbatim():
                parts.append(item.text)
            case list():
                waiting.extend(reversed(_list_parts(item, depth)))
            case tuple():
                waiting.extend(reversed(_object_parts(item, depth)))
            case _:
                parts.append(_printed_scalar(item))
    return "".join(parts)


def at_least(value: Value, length: int) -> bool:
    """Whether a value is certain to be printed with so many characters or more."""
    waiting = [iter([value])]
    while waiting and length > 0:
        for item in waiting[-1]:
            length -= 1
            match item:
                case list():
                    waiting.append(iter(item))
                    break
                case tuple():
                    length -= sum(len(key) for key, _ in item)
                    waiting.append(iter([member for _, member in item]))
                    break
                case str():
                    length -= len(item)
                case _:
                    pass
            if length <= 0:
                break
        else:
            waiting.pop()
    return length <= 0


def cut(text: str) -> str:
    """Return a text up to its first NUL, where texts end."""
    end = text.find("\0")
    return text if end < 0 else text[:end]


def _list_parts(items: "list[Value]", depth: int) -> "list[tuple[Value | _Verbatim, int]]":
    parts: list[tuple[Value | _Verbatim, int]] = [(_Verbatim("["), 0)]
    for index, item in enumerate(items):
        if index:
            parts.append((_Verbatim(", "), 0))
        parts.append((item, depth + 1))
    return [*parts, (_Verbatim("]"), 0)]


def _object_parts(members: Pairs, depth: int) -> "list[tuple[Value | _Verbatim, int]]":
    parts: list[tuple[Value | _Verbatim, int]] = [(_Verbatim("{\n"), 0)]
    tabs = "\t" * (depth + 1)
    for index, (key, value) in enumerate(members):
        comma = ",\n" if index else ""
        parts.append((_Verbatim(f"{comma}{tabs}{_quoted(key)}:\t"), 0))
        parts.append((value, depth + 1))
    end = "\n" if members else ""
    return [*parts, (_Verbatim(f"{end}{tabs[1:]}}}"), 0)]


def _printed_scalar(value: Value) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return _printed_number(value)
        case _:
            return _quoted(str(value))


def _quoted(text: str) -> str:
    return f'"{cut(text).translate(_PRINTABLE)}"'


def _is_int32(number: float) -> bool:
    return -_INT32 <= number < _INT32 and number == int(number)


def _printed_number(number: float) -> str:
    if not math.isfinite(number):
        return "null"
    if _is_int32(number):
        return str(int(number))
    short = f"{number:.15g}"
    again = float(short)
    same = abs(again - number) <= max(abs(again), abs(number)) * sys.float_info.epsilon
    return short if same else f"{number:.17g}"


def _has_lone_surrogate(value: Value) -> bool:
    """Whether a text holds half of a pair; bytes that were no UTF-8 (U+DC80 to U+DCFF) pass."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                if _is_broken(text):
                    return True
            case list(items):
                waiting.extend(items)
            case tuple(members):
                for key, member in members:
                    waiting += (key, member)
            case _:
                pass
    return False


def _is_broken(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return True
    return False
