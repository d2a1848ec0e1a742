"""osmatch: alternatives of plain text, ignoring ASCII case, with `^` and `$` at their ends.

A leading `!` negates the whole; there are no escapes. An empty alternative always matches.
"""

from collections.abc import Callable

from tocsin.dialects.wazuh.expressions.found import Found

_Test = Callable[[bytes], bool]


class OsMatch:
    """A compiled osmatch expression."""

    def __init__(self, pattern: bytes, *, strict: bool = False) -> None:
        self._negated = pattern.startswith(b"!")
        alternatives = pattern[self._negated :].lower().split(b"|")
        tests = [_test(alternative, strict=strict) for alternative in alternatives]
        self._tests = [test for test in tests if test]

    def matches(self, text: bytes) -> bool:
        """Return whether any alternative fits."""
        lowered = text.lower()
        return any(test(lowered) for test in self._tests) is not self._negated

    def search(self, text: bytes) -> Found | None:
        """Return a match without end or groups: osmatch has neither."""
        return Found() if self.matches(text) else None


def _test(alternative: bytes, *, strict: bool) -> _Test | None:
    """Return the test for one alternative in lower case; None: it never matches."""
    at_start, at_end = alternative.startswith(b"^"), alternative.endswith(b"$")
    literal = alternative[at_start : len(alternative) - at_end]
    if at_start and at_end:
        return lambda text: text == literal
    if at_start:
        return lambda text: text.startswith(literal)
    if at_end:
        return lambda text: text.endswith(literal)
    if strict and not literal.isascii():
        return None
    return lambda text: literal in text
