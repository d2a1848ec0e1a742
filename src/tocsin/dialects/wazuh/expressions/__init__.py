"""Wazuh's three expression languages: osmatch, osregex and PCRE2.

Each works on bytes and gives the match, end offset and groups of Wazuh's engine. No text makes
a search cost more than a bounded time; one that would is given up with `BudgetSpent`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tocsin.dialects.wazuh.expressions.found import Found, Matcher
from tocsin.dialects.wazuh.expressions.osmatch import OsMatch
from tocsin.dialects.wazuh.expressions.osregex import OsRegex
from tocsin.dialects.wazuh.expressions.pcre2 import Pcre2
from tocsin.rules.bytepatterns import BudgetSpent
from tocsin.rules.regex import PatternError

__all__ = ["BudgetSpent", "Expression", "Found", "Kind", "PatternError", "compile_expression"]

Kind = Literal["osmatch", "osregex", "pcre2"]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled pattern; `negate` turns what it finds around."""

    kind: Kind
    pattern: str
    negate: bool
    matcher: Matcher

    def search(self, text: bytes) -> Found | None:
        """Return the match in `text`; negated, an empty one where there is no match.

        Raises:
            BudgetSpent: the search cost too much, so the answer is not known.
        """
        found = self.matcher.search(_value(text))
        if self.negate:
            return None if found else Found()
        return found

    def matches(self, text: bytes) -> bool:
        """Return whether `search` finds something: cheaper where its end does not matter.

        Raises:
            BudgetSpent: the search cost too much, so the answer is not known.
        """
        return self.matcher.matches(_value(text)) is not self.negate


def compile_expression(
    kind: Kind, pattern: str, *, negate: bool = False, strict: bool = False
) -> Expression:
    """Return the compiled form of `pattern`.

    Args:
        kind: the language.
        pattern: as it stands in the file.
        negate: find what does not match.
        strict: repeat bugs of the engine: osmatch and osregex never find bytes beyond ASCII
            that a pattern spells out, nor osregex two groups side by side.

    Raises:
        PatternError: the engine refuses the pattern.
    """
    encoded = pattern.encode("utf-8", "surrogateescape").partition(b"\0")[0]
    return Expression(kind, pattern, negate, _COMPILERS[kind](encoded, strict))


_COMPILERS: dict[Kind, Callable[[bytes, bool], Matcher]] = {
    "osmatch": lambda pattern, strict: OsMatch(pattern, strict=strict),
    "osregex": lambda pattern, strict: OsRegex(pattern, strict=strict),
    "pcre2": lambda pattern, _: Pcre2(pattern),
}


def _value(text: bytes) -> bytes:
    """Return a value as the engine sees it: up to the first NUL."""
    return text.partition(b"\0")[0] if 0 in text else text
