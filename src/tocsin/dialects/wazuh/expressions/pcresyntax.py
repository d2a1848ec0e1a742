r"""Read a PCRE2 pattern and say it in RE2's syntax, as far as the two can mean the same.

What RE2 lacks is left out of its form where that finds a superset: texts without a match in
the superset need no second engine. An assertion at the end of an alternative is no such case:
`$` and look-ahead become text behind a marker, an empty group that tells where the match ends.
"""

import re
from dataclasses import dataclass, field

from tocsin.rules.bytepatterns import BoundedPattern
from tocsin.rules.regex import PatternError

_VERBS = re.compile(rb"(?:\(\*[A-Z0-9_=]++\))*+")
_COUNT = re.compile(rb"\{(\d++)(?:(,)(\d*+))?\}")
# A repetition for the library, and plain text for the engine's version.
_NEWER_COUNT = re.compile(
    rb"\{(?!\d++(?:,\d*+)?\})(?=[ \t]*+\d*+[ \t]*+(?:,[ \t]*+\d*+[ \t]*+)?\})"
)
_FLAGS = re.compile(rb"\(\?([isU]*+(?:-[isU]++)?+)([:)])")
_NAMED = re.compile(rb"\(\?(?:P?<[A-Za-z_]\w*+>|'[A-Za-z_]\w*+')")
_LOOK = re.compile(rb"\(\?(<?[=!])")
_POSIX = re.compile(rb"\[:(\^?[a-z]++):\]")
_HEX = re.compile(rb"\\x(?:\{([0-9A-Fa-f]++)\}|([0-9A-Fa-f]{0,2}+))")
_ESCAPE = re.compile(_HEX.pattern + rb"|\\(.)", re.DOTALL)
_PLAIN = re.compile(rb"(?:[^\\^$.\[|()?*+{]|\{(?!\d)|\\[^A-Za-z0-9])++")

_END = rb"(?:\n?\z)"
_ANYTHING = b"(?s:.*)"
_BYTE = 0xFF
_ASCII = 0x7F
# Repetitions beyond this are watched as those without an end are.
_SHORT = 255

# Inside of a class; RE2's \s lacks the vertical tab, and it has no \h and \v.
_CLASSES = {
    b"d": rb"\d",
    b"D": rb"\D",
    b"w": rb"\w",
    b"W": rb"\W",
    b"s": rb"\x09-\x0d\x20",
    b"S": rb"\x00-\x08\x0e-\x1f\x21-\xff",
    b"h": rb"\x09\x20\xa0",
    b"H": rb"\x00-\x08\x0a-\x1f\x21-\x9f\xa1-\xff",
    b"v": rb"\x0a-\x0d\x85",
    b"V": rb"\x00-\x09\x0e-\x84\x86-\xff",
}
_CHARACTERS = {b"n": 10, b"r": 13, b"t": 9, b"f": 12, b"e": 27, b"a": 7, b"0": 0}
_ASSERTIONS = {b"b": rb"\b", b"B": rb"\B", b"A": rb"\A", b"z": rb"\z"}
# The engine's version does not know them; the library's other mode would.
_UNKNOWN = frozenset([b"u", b"U", b"l", b"L"])


@dataclass(frozen=True, slots=True)
class Translation:
    """Two forms of a pattern.

    `bounded` is PCRE2's, with callouts. `linear` is RE2's: None where there is none, and only
    a superset unless `exact`. `groups` and `markers` are numbers of groups in `linear`.
    """

    bounded: bytes
    linear: bytes | None
    exact: bool
    groups: tuple[int, ...]
    markers: tuple[int, ...]


class _BeyondError(Exception):
    """A construct that this reader does not follow."""


def translate(pattern: bytes) -> Translation:
    """Return the forms of `pattern`, which may still be one that PCRE2 refuses.

    Raises:
        PatternError: an escape that the engine does not know.
    """
    verbs = _VERBS.match(pattern)
    if verbs and verbs[0]:
        # They can change what the rest means, down to the size of a character.
        return _not_followed(verbs[0], pattern[verbs.end() :])
    reader = _Reader(pattern)
    try:
        reader.read()
    except _BeyondError:
        return _not_followed(b"", pattern)
    # RE2 knows the case of Latin letters beyond ASCII, which are bytes here.
    usable = not (reader.caseless and reader.wide)
    return Translation(
        BoundedPattern.CALLOUT + b"".join(reader.bounded),
        b"".join(reader.linear) if usable else None,
        reader.exact,
        tuple(reader.groups),
        tuple(reader.markers),
    )


def _not_followed(verbs: bytes, pattern: bytes) -> Translation:
    source = _NEWER_COUNT.sub(rb"\{", _ESCAPE.sub(_plain_code, pattern))
    bounded = verbs + BoundedPattern.CALLOUT + source
    return Translation(bounded, None, exact=False, groups=(), markers=())


@dataclass(slots=True)
class _Reader:
    """Goes through a pattern once and writes both forms."""

    pattern: bytes
    at: int = 0
    bounded: list[bytes] = field(default_factory=list)
    linear: list[bytes] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    markers: list[int] = field(default_factory=list)
    captures: int = 0
    depth: int = 0
    exact: bool = True
    caseless: bool = False
    wide: bool = False

    def read(self) -> None:
        self._alternatives()
        if self.at < len(self.pattern):
            raise _BeyondError

    def _alternatives(self) -> bool:
        """Read up to the end of a group; return whether it can match nothing."""
        nullable = self._sequence()
        while self._peek() == b"|":
            self._copy(1)
            nullable = self._sequence() or nullable
        return nullable

    def _sequence(self) -> bool:
        nullable = True
        while self.at < len(self.pattern) and self._peek() not in (b"|", b")"):
            nullable = self._item() and nullable
        return nullable

    def _item(self) -> bool:
        bounded, linear, captures = len(self.bounded), len(self.linear), self.captures
        nullable = self._atom()
        least, most = self._quantifier()
        if most != 1 and captures != self.captures:
            self.exact = False
        if most is None or most > _SHORT:
            self.exact = self.exact and not nullable
            self.bounded.insert(bounded, BoundedPattern.CALLOUT)
        if (least, most) != (1, 1):
            # Quantifiers stand for whole atoms: some of ours are several characters long.
            self.linear.insert(linear, b"(?:")
        return nullable or least == 0

    def _quantifier(self) -> tuple[int, int | None]:
        """Read a quantifier; return its bounds (None: without end)."""
        kind = self._peek()
        count = _COUNT.match(self.pattern, self.at)
        if kind and kind in b"*+?":
            bounds = {b"*": (0, None), b"+": (1, None), b"?": (0, 1)}[kind]
            source = kind
        elif count:
            least = int(count[1])
            most = (int(count[3]) if count[3] else None) if count[2] else least
            bounds, source = (least, most), count[0]
        else:
            return 1, 1
        self.at += len(source)
        self.bounded.append(source)
        self.linear.append(b")" + source)
        self._greed()
        return bounds

    def _greed(self) -> None:
        if self._peek() == b"?":
            self._copy(1)
        elif self._peek() == b"+":
            self.bounded.append(b"+")
            self.at += 1
            self.exact = False

    def _atom(self) -> bool:
        byte = self._peek()
        if byte == b"(":
            return self._group()
        if byte == b"[":
            return self._class()
        if byte == b"\\":
            return self._escape()
        if byte in (b"*", b"+", b"?"):
            raise _BeyondError
        self.at += 1
        if byte == b"$":
            return self._end(b"$")
        if byte in (b"^", b"."):
            self._both(byte)
        else:
            self._literal(byte[0])
        return byte == b"^"

    def _literal(self, value: int) -> None:
        """Write a byte so that neither engine takes it for syntax."""
        self.wide = self.wide or value > _ASCII
        self._both(b"\\x%02x" % value)

    def _end(self, source: bytes) -> bool:
        """Write the end of the text, which may also stand before a last line break."""
        self.bounded.append(source)
        if self._at_tail():
            self._mark(_END)
        else:
            self.exact = False
        return True

    def _at_tail(self) -> bool:
        return self.depth == 0 and self._peek() in (b"", b"|")

    def _mark(self, tail: bytes) -> None:
        self.captures += 1
        self.markers.append(self.captures)
        self.linear.append(b"()" + tail)

    def _group(self) -> bool:
        look = _LOOK.match(self.pattern, self.at)
        if look:
            return self._look(look)
        if self.pattern.startswith(b"(?>", self.at):
            self.exact = False
            return self._inner(b"(?>", b"(?:")
        flags = _FLAGS.match(self.pattern, self.at)
        if flags:
            self.caseless = self.caseless or b"i" in flags[1]
            if flags[2] == b":":
                return self._inner(flags[0], flags[0])
            self.at += len(flags[0])
            self._both(flags[0])
            return True
        named = _NAMED.match(self.pattern, self.at)
        opening = named[0] if named else b"("
        if not named and self.pattern.startswith((b"(?", b"(*"), self.at):
            raise _BeyondError
        self.captures += 1
        self.groups.append(self.captures)
        return self._inner(opening, b"(")

    def _inner(self, bounded: bytes, linear: bytes) -> bool:
        self.at += len(bounded)
        self.bounded.append(bounded)
        self.linear.append(linear)
        self.depth += 1
        nullable = self._alternatives()
        self.depth -= 1
        if self._peek() != b")":
            raise _BeyondError
        self._copy(1)
        return nullable

    def _look(self, look: re.Match[bytes]) -> bool:
        opening, kept, captures, exact = self.at, len(self.linear), self.captures, self.exact
        self._inner(look[0], b"(?:")
        inner = b"".join(self.linear[kept:])
        del self.linear[kept:]
        tail = self.pattern[opening + len(look[0]) : self.at - 1]
        plain = _PLAIN.fullmatch(tail)
        if not self._at_tail() or self.captures != captures:
            self.exact = False
        elif look[1] == b"=" and self.exact is exact:
            self._mark(inner)
        elif look[1] == b"!" and plain:
            self._mark(_not_followed_by(re.sub(rb"\\(.)", rb"\1", tail, flags=re.DOTALL)))
        else:
            self.exact = False
        return True

    def _escape(self) -> bool:
        name = self.pattern[self.at + 1 : self.at + 2]
        _refuse_unknown(name)
        if name in _ASSERTIONS:
            self._copy(2)
            return True
        if name in _CLASSES:
            self.bounded.append(b"\\" + name)
            self.linear.append(b"[" + _CLASSES[name] + b"]")
            self.at += 2
            return False
        if name in b"ZK123456789":
            return self._without_equal(name)
        self._literal(self._character())
        return False

    def _without_equal(self, name: bytes) -> bool:
        if self.pattern[self.at + 2 : self.at + 3].isdigit():
            raise _BeyondError
        self.at += 2
        if name == b"Z":
            return self._end(rb"\Z")
        self.exact = False
        self.bounded.append(b"\\" + name)
        self.linear.append(b"" if name == b"K" else _ANYTHING)
        return True

    def _character(self) -> int:
        """Read an escape that stands for one byte."""
        name = self.pattern[self.at + 1 : self.at + 2]
        code = _HEX.match(self.pattern, self.at)
        if code:
            self.at = code.end()
            value = int(code[1] or code[2] or b"0", 16)
        elif name in _CHARACTERS and not self.pattern[self.at + 2 : self.at + 3].isdigit():
            self.at += 2
            value = _CHARACTERS[name]
        elif name and not name.isalnum():
            self.at += 2
            value = name[0]
        else:
            raise _BeyondError
        if value > _BYTE:
            raise _BeyondError
        return value

    def _class(self) -> bool:
        start = self.at
        self.at += 1
        opening = b"["
        if self._peek() == b"^":
            self.at += 1
            opening = b"[^"
        members = [self._member()]
        while self._peek() != b"]":
            members.append(self._member())
        self.at += 1
        self.linear.append(opening + b"".join(members) + b"]")
        self.bounded.append(_ESCAPE.sub(_plain_code, self.pattern[start : self.at]))
        return False

    def _member(self) -> bytes:
        """Read one member of a class, a range being one; return RE2's form of it."""
        posix = _POSIX.match(self.pattern, self.at)
        if posix:
            self.at = posix.end()
            return posix[0]
        name = self.pattern[self.at + 1 : self.at + 2]
        if self._peek() == b"\\" and name in _CLASSES:
            self.at += 2
            return _CLASSES[name]
        first = self._member_byte()
        follows = self.pattern[self.at : self.at + 2]
        if follows[:1] != b"-" or follows == b"-]":
            return b"\\x%02x" % first
        self.at += 1
        if self._peek() in (b"\\", b"["):
            raise _BeyondError
        return b"\\x%02x-\\x%02x" % (first, self._member_byte())

    def _member_byte(self) -> int:
        byte = self._peek()
        if not byte or self.pattern.startswith((b"[.", b"[="), self.at):
            raise _BeyondError
        if byte == b"\\":
            if self.pattern[self.at + 1 : self.at + 2] == b"b":
                self.at += 2
                return 8
            value = self._character()
        else:
            self.at += 1
            value = byte[0]
        self.wide = self.wide or value > _ASCII
        return value

    def _peek(self) -> bytes:
        return self.pattern[self.at : self.at + 1]

    def _copy(self, length: int) -> None:
        self._both(self.pattern[self.at : self.at + length])
        self.at += length

    def _both(self, source: bytes) -> None:
        self.bounded.append(source)
        self.linear.append(source)


def _plain_code(escape: re.Match[bytes]) -> bytes:
    """Return an escape, a code in the form that both of the library's modes understand."""
    if escape[3] is not None:
        _refuse_unknown(escape[3])
        return escape[0]
    value = int(escape[1] or escape[2] or b"0", 16)
    return b"\\x%02x" % value if value <= _BYTE else b"\\N{U+%x}" % value


def _refuse_unknown(name: bytes) -> None:
    if name in _UNKNOWN or not name:
        message = f"PCRE2 has no \\{name.decode('latin-1')}"
        raise PatternError(message)


def _not_followed_by(literal: bytes) -> bytes:
    """Return what stands for `(?!literal)` at the end: the end of the text or another byte."""
    tail = b""
    for byte in reversed(literal):
        code = b"\\x%02x" % byte
        more = b"|" + code + tail if tail else b""
        tail = b"(?:\\z|[^" + code + b"]" + more + b")"
    return tail
