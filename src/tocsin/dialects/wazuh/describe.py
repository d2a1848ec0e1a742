"""Fill in `$(field)` in the description of a rule."""

from tocsin.dialects.wazuh.event import Event, to_bytes

# Longer than this, the original gives up and shows the template.
MAX_BYTES = 1024


def describe(template: str, event: Event) -> str:
    """Return a description with the values of an event; values are not looked at again."""
    if "$(" not in template:
        return template
    parts: list[str] = []
    rest = template
    while True:
        before, opening, behind = rest.partition("$(")
        name, closing, after = behind.partition(")")
        if not closing:
            parts.append(before + opening + behind)
            break
        parts += (before, event.described(name))
        rest = after
    text = "".join(parts)
    return text if len(to_bytes(text)) <= MAX_BYTES else template
