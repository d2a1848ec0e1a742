"""CDB lists: `key:value` lines that rules look values up in."""

from collections.abc import Mapping


def read_list(text: str) -> dict[str, str]:
    """Return the entries of a list; a line without a colon is none, the first of a key counts."""
    entries: dict[str, str] = {}
    for line in text.split("\n"):
        entry = _entry(line.removesuffix("\r"))
        if entry is not None:
            entries.setdefault(*entry)
    return entries


def find_address(address: str, entries: Mapping[str, str]) -> str | None:
    """Return the value of an address, or of the longest prefix of it that ends in a dot."""
    while address:
        if address in entries:
            return entries[address]
        head, dot, _ = address.removesuffix(".").rpartition(".")
        address = head + dot
    return None


def _entry(line: str) -> tuple[str, str] | None:
    if line.startswith('"'):
        key, quote, rest = line[1:].partition('"')
        if not quote or not rest.startswith(":"):
            return None
        return key, _unquoted(rest[1:])
    key, colon, value = line.partition(":")
    return (key, _unquoted(value)) if colon else None


def _unquoted(text: str) -> str:
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        return text[1:-1]
    return text
