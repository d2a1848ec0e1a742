"""The plain texts of a PCRE2 pattern, in the order in which every match contains them.

Only what stands outside of groups is looked at: enough to say what is missing from a log, or
which parts of it a rule expects side by side.
"""

import re
from dataclasses import dataclass, field

from tocsin.dialects.wazuh.expressions import Expression

_COUNT = re.compile(r"\{\d+(?:,\d*)?\}")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]", re.DOTALL)
# Flags that change what plain text means; verbs and quotations, which do so as well.
_OTHER_MEANING = re.compile(r"\(\?[a-zA-Z^-]*[ix]|\(\*|\\Q")


@dataclass(slots=True)
class Piece:
    """A part of a pattern as it is written; `text` if it is plain, None if it is not."""

    text: str | None
    pattern: str


def missing(expression: Expression, text: str) -> str | None:
    """Return the first plain text of an expression that `text` lacks, if one is missing."""
    at = 0
    for literal in required(expression):
        found = text.find(literal, at)
        if found < 0:
            return literal
        at = found + len(literal)
    return None


def required(expression: Expression) -> tuple[str, ...]:
    """Return the plain texts of all matches in order; none if the language is another."""
    if expression.kind != "pcre2" or expression.negate:
        return ()
    return tuple(piece.text for piece in pieces(expression.pattern) if piece.text)


def pieces(pattern: str) -> list[Piece]:
    """Return the parts of a pattern; none where no plain text is in all of its matches."""
    if _OTHER_MEANING.search(pattern):
        return []
    reader = _Reader(pattern)
    return reader.pieces if reader.read() else []


@dataclass(slots=True)
class _Reader:
    """Goes through a pattern once."""

    pattern: str
    at: int = 0
    pieces: list[Piece] = field(default_factory=list)

    def read(self) -> bool:
        """Read all; False: there are alternatives outside of groups, or a group without end."""
        while self.at < len(self.pattern):
            start = self.at
            if self.pattern[start] == "|":
                return False
            text = self._quantified(self._atom())
            if self.at > len(self.pattern):
                return False
            self._add(text, self.pattern[start : self.at])
        return True

    def _add(self, text: str | None, source: str) -> None:
        last = self.pieces[-1] if self.pieces else None
        if last is None or (last.text is None) is not (text is None):
            self.pieces.append(Piece(text, source))
            return
        last.pattern += source
        if text is not None and last.text is not None:
            last.text += text

    def _atom(self) -> str | None:
        """Read one atom; return its text if it is a plain one."""
        char = self.pattern[self.at]
        if char == "(":
            self._skip_group()
            return None
        if char == "[":
            self._skip_class()
            return None
        if char == "\\":
            escaped = self.pattern[self.at + 1 : self.at + 2]
            self.at += 2
            return None if escaped.isalnum() else escaped
        self.at += 1
        return None if char in ".^$" else char

    def _quantified(self, text: str | None) -> str | None:
        """Read a quantifier; return the text if there is none."""
        char = self.pattern[self.at : self.at + 1]
        count = _COUNT.match(self.pattern, self.at)
        if count:
            self.at = count.end()
        elif char and char in "*+?":
            self.at += 1
        else:
            return text
        if self.pattern[self.at : self.at + 1] in ("?", "+"):
            self.at += 1
        return None

    def _skip_group(self) -> None:
        depth = 0
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char == "[":
                self._skip_class()
                continue
            depth += (char == "(") - (char == ")")
            self.at += 2 if char == "\\" else 1
            if depth == 0:
                return
        self.at = len(self.pattern) + 1

    def _skip_class(self) -> None:
        members = _CLASS.match(self.pattern, self.at)
        self.at = members.end() if members else len(self.pattern) + 1
