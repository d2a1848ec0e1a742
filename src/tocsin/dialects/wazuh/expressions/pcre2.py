"""PCRE2 expressions: in RE2 where it gives the same answer, else in PCRE2 within its budget."""

from contextlib import suppress
from typing import Final

from tocsin.dialects.wazuh.expressions.found import Found
from tocsin.dialects.wazuh.expressions.pcreliterals import required_literals
from tocsin.dialects.wazuh.expressions.pcresyntax import translate
from tocsin.rules.bytepatterns import BoundedPattern, BudgetSpent, LinearPattern, Span
from tocsin.rules.regex import PatternError

_LARGE: Final = 256 * 1024


class Pcre2:
    """A compiled PCRE2 expression."""

    def __init__(self, pattern: bytes) -> None:
        """Compile `pattern`.

        Raises:
            PatternError: PCRE2 refuses it.
        """
        translation = translate(pattern)
        self._bounded = BoundedPattern(translation.bounded)
        self._linear = _linear(translation.linear)
        self._required = _required(translation.linear)
        self._exact = translation.exact
        self._groups = translation.groups
        self._markers = translation.markers

    @property
    def linear(self) -> bool:
        """Whether no text makes a search cost more than its length."""
        return self._linear is not None and self._exact

    def matches(self, text: bytes) -> bool:
        """Return whether the pattern is found.

        Raises:
            BudgetSpent: the search cost too much.
        """
        if self._required not in text:
            return False
        if self._linear is not None:
            found = self._linear.matches(text)
            if self._exact or not found:
                return found
        return self._bounded.matches(text)

    def search(self, text: bytes) -> Found | None:
        """Return the leftmost match.

        Raises:
            BudgetSpent: the search cost too much.
        """
        linear = self._linear
        if linear is None:
            return self._search_bounded(text)
        if self._exact and len(text) <= _LARGE:
            return self._search_linear(text, linear)
        if not linear.matches(text):
            return None
        if not self._exact:
            return self._search_bounded(text)
        # RE2 is slow at groups of long matches, and PCRE2 is mostly not.
        with suppress(BudgetSpent):
            return self._search_bounded(text)
        return self._search_linear(text, linear)

    def _search_bounded(self, text: bytes) -> Found | None:
        spans = self._bounded.spans(text)
        return None if spans is None else _found(text, spans[0][1], spans[1:])

    def _search_linear(self, text: bytes, linear: LinearPattern) -> Found | None:
        spans = linear.spans(text)
        if spans is None:
            return None
        marked = [spans[marker][0] for marker in self._markers if spans[marker][0] >= 0]
        end = marked[0] if marked else spans[0][1]
        return _found(text, end, [spans[group] for group in self._groups])


def _required(linear: bytes | None) -> bytes:
    """Return the longest text that every match contains, to look for before anything else."""
    literals = required_literals(linear) if linear is not None else None
    if literals is None or literals.caseless:
        return b""
    return max((group[0] for group in literals.groups if len(group) == 1), key=len, default=b"")


def _linear(pattern: bytes | None) -> LinearPattern | None:
    """Return RE2's form; None where its limits on size or repetition refuse it."""
    try:
        return None if pattern is None else LinearPattern(pattern)
    except PatternError:
        return None


def _found(text: bytes, end: int, groups: list[Span]) -> Found:
    """Return a match; groups after the last one that took part are not returned."""
    while groups and groups[-1][0] < 0:
        groups = groups[:-1]
    return Found(end - 1, tuple(text[start:stop] if start >= 0 else b"" for start, stop in groups))
