"""Texts of many lines for people to read: no character in them can reorder or hide a line."""

from collections.abc import Mapping

import msgspec

from tocsin.model.text import visible


def json_text(document: Mapping[str, object]) -> str:
    """Return a document as indented JSON."""
    return lines_text(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def lines_text(text: str) -> str:
    """Return the lines of a text, with all that does not print as escapes."""
    return "\n".join(visible(line) for line in text.expandtabs(4).split("\n"))
