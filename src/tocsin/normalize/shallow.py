"""Read the members of a JSON object without looking into their values, however deep.

A body nested deeper than the decoder goes must not hide the rest of its event: who asked for
what is next to it. Nothing here recurses; the text was found to be well-formed up to its depth.
"""

_QUOTE, _BACKSLASH, _COMMA = 0x22, 0x5C, 0x2C
_OPEN, _CLOSE = frozenset(b"[{"), frozenset(b"]}")


def members(text: bytes) -> dict[str, bytes]:
    """Return the raw values of an object's members by key; of equal keys the last one counts."""
    found: dict[str, bytes] = {}
    position = text.find(b"{") + 1
    while position:
        key = text.find(b'"', position)
        colon = text.find(b":", _string_end(text, key)) if key >= 0 else -1
        if colon < 0:
            break
        end = _value_end(text, colon + 1)
        name = text[key + 1 : _string_end(text, key) - 1].decode(errors="replace")
        found[name] = text[colon + 1 : end].strip()
        position = end + 1 if text[end : end + 1] == b"," else 0
    return found


def _string_end(text: bytes, start: int) -> int:
    """Return the position behind the string that begins at `start`."""
    end = start
    while True:
        end = text.find(b'"', end + 1)
        if end < 0:
            return len(text)
        escapes = end
        while text[escapes - 1] == _BACKSLASH:
            escapes -= 1
        if (end - escapes) % 2 == 0:
            return end + 1


def _value_end(text: bytes, start: int) -> int:
    """Return the position of the comma or bracket behind the value that begins at `start`."""
    depth, position = 0, start
    while position < len(text):
        byte = text[position]
        if byte == _QUOTE:
            position = _string_end(text, position)
            continue
        if depth == 0 and (byte == _COMMA or byte in _CLOSE):
            return position
        depth += (byte in _OPEN) - (byte in _CLOSE)
        position += 1
    return position
