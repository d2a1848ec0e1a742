"""Text from outside, made fit to be shown: nothing in it is dropped or interpreted."""


def visible(text: str) -> str:
    """Return the text on one line, with all that does not print as backslash escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
