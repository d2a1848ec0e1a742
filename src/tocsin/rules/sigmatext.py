"""Texts as a Sigma rule has them: quoted for YAML, so that they can be nothing but a value."""

import json

_WILDCARDS = ("\\", "*", "?")

# Beyond it JSON writes a character as a pair, which YAML does not read.
_LAST_OF_JSON = 0xFFFF


def literal(text: str) -> str:
    """Return a text as a quoted value that matches this text alone."""
    for character in _WILDCARDS:
        text = text.replace(character, f"\\{character}")
    return quoted(text)


def quoted(text: str) -> str:
    """Return a text as YAML's double-quoted scalar, all ASCII."""
    inner = "".join(
        json.dumps(char)[1:-1] if ord(char) <= _LAST_OF_JSON else f"\\U{ord(char):08x}"
        for char in text
    )
    return f'"{inner}"'
