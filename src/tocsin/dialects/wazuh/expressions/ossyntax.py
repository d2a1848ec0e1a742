r"""The syntax of osregex: alternatives of elements that fit one byte each.

Only `\d`-like classes take `+` and `*`. Parentheses capture and do nothing else, so they are
kept beside the elements. Case is always ignored: elements fit lower-case text.
"""

from dataclasses import dataclass
from typing import Literal

from tocsin.rules.regex import PatternError

Quantifier = Literal["", "+", "*"]

_EVERY = frozenset(range(256))
_BLANK = frozenset(b" ")
_DIGIT = frozenset(b"0123456789")
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@-")
_CLASSES = {
    b"w": _WORD,
    b"W": _EVERY - _WORD,
    b"d": _DIGIT,
    b"D": _EVERY - _DIGIT,
    b"s": _BLANK,
    b"S": _EVERY - _BLANK,
    b"t": frozenset(b"\t"),
    b"p": frozenset(range(0x21, 0x2F)) | frozenset(range(0x3A, 0x40)) | frozenset(b"[]{|}"),
    b".": _EVERY,
}
_LAST_ASCII = 0x7F
_ESCAPED = frozenset(b"()\\$<|")


@dataclass(frozen=True, slots=True)
class Element:
    """What fits one byte, and how often; `raw`: a character that stands for itself unescaped."""

    fits: frozenset[int]
    quantifier: Quantifier = ""
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Parenthesis:
    """The begin or end of a group, counted from 0."""

    group: int
    opens: bool


@dataclass(frozen=True, slots=True)
class Alternative:
    """One alternative; `gaps[i]` are the parentheses in front of element `i`, or at the end."""

    elements: tuple[Element, ...]
    gaps: tuple[tuple[Parenthesis, ...], ...]
    at_start: bool
    at_end: bool

    @property
    def groups(self) -> int:
        """The number of groups."""
        return sum(parenthesis.opens for gap in self.gaps for parenthesis in gap)

    @property
    def prefix(self) -> bytes:
        """The plain text that every match starts with."""
        plain = bytearray()
        for element, gap in zip(self.elements, self.gaps, strict=False):
            if gap or not element.raw:
                break
            plain += bytes(element.fits)
        return bytes(plain)

    @property
    def longest_literal(self) -> bytes:
        """The longest plain text that every match contains."""
        runs = [bytearray()]
        for element in self.elements:
            if element.quantifier or len(element.fits) != 1:
                runs.append(bytearray())
            else:
                runs[-1] += bytes(element.fits)
        return bytes(max(runs, key=len))


def parse(pattern: bytes) -> list[Alternative]:
    """Return the alternatives of a pattern.

    Raises:
        PatternError: an escape that does not exist, or parentheses that do not fit.
    """
    return [_Parser(part).parse() for part in _split(pattern)]


def never_found(alternative: Alternative) -> bool:
    """Whether the engine, by mistake, never finds an alternative."""
    wide = any(element.raw and min(element.fits) > _LAST_ASCII for element in alternative.elements)
    return wide or any(len(gap) > 1 and not gap[0].opens for gap in alternative.gaps[:-1])


def _split(pattern: bytes) -> list[bytes]:
    """Return what stands between the bars that are not escaped."""
    parts = [bytearray()]
    escaped = False
    for byte in pattern:
        if byte == ord("|") and not escaped:
            parts.append(bytearray())
            continue
        parts[-1].append(byte)
        escaped = byte == ord("\\") and not escaped
    return [bytes(part) for part in parts]


class _Parser:
    """Reads one alternative."""

    def __init__(self, part: bytes) -> None:
        self._part = part
        self._at = 0
        self._elements: list[Element] = []
        self._gaps: list[list[Parenthesis]] = [[]]
        self._groups = 0
        self._open = False

    def parse(self) -> Alternative:
        at_start, at_end = self._take(b"^"), False
        while self._at < len(self._part) and not at_end:
            byte = self._part[self._at : self._at + 1]
            self._at += 1
            if byte == b"\\":
                self._escape()
            elif byte in (b"(", b")"):
                self._parenthesis(opens=byte == b"(")
            elif byte == b"$" and self._at == len(self._part):
                at_end = True
            else:
                self._add(Element(frozenset(byte.lower()), raw=True))
        if self._open:
            msg = "a parenthesis is not closed"
            raise PatternError(msg)
        gaps = tuple(tuple(gap) for gap in self._gaps)
        return Alternative(tuple(self._elements), gaps, at_start, at_end)

    def _take(self, byte: bytes) -> bool:
        found = self._part.startswith(byte, self._at)
        self._at += found
        return found

    def _escape(self) -> None:
        name = self._part[self._at : self._at + 1]
        self._at += 1
        if name in _CLASSES:
            self._add(Element(_CLASSES[name], self._quantifier()))
        elif name and name[0] in _ESCAPED:
            self._add(Element(frozenset(name)))
        else:
            msg = f"osregex has no \\{name.decode('latin-1')}"
            raise PatternError(msg)

    def _quantifier(self) -> Quantifier:
        if self._take(b"+"):
            return "+"
        return "*" if self._take(b"*") else ""

    def _parenthesis(self, *, opens: bool) -> None:
        if opens is self._open:
            reason = "parentheses and alternatives do not nest" if opens else "')' without '('"
            raise PatternError(reason)
        self._gaps[-1].append(Parenthesis(self._groups, opens))
        self._open = opens
        self._groups += not opens

    def _add(self, element: Element) -> None:
        self._elements.append(element)
        self._gaps.append([])
