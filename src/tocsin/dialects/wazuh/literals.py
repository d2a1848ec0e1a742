r"""What must stand in the bytes of an event for an expression to be found in its text.

Rules see an event as `json.dumps` writes it; what was received is the same JSON with other
blanks, other spellings of numbers and, where a key is given twice, other neighbours. So an
expression's plain text is cut into pieces that stand in both, and each piece becomes a pattern
for the received bytes. Bytes with further spellings (`ODD`) are outside of what is said here.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tocsin.dialects.wazuh.expressions import Expression
from tocsin.dialects.wazuh.expressions.ossyntax import parse
from tocsin.dialects.wazuh.expressions.pcreliterals import Alternatives, required_literals
from tocsin.dialects.wazuh.expressions.pcresyntax import translate

# Escapes of what need not be escaped, and characters that `json.dumps` escapes. The escapes
# that Go writes for `&`, `<` and `>` are so common that pieces know them.
ODD = rb"[\x7f-\xff]|\\(?:/|u(?:[^0]|0(?:[^0]|0(?:[^23]|2[^6]|3[^ce]))))"
_GO_ESCAPES = {ord("&"): b"26", ord("<"): b"3c", ord(">"): b"3e"}
_BLANKS = rb"[ \t\r\n]*"
# A number, or a part of one, where it may stand outside of quotes: `1e1` is `10.0` for a rule.
_NUMBER = re.compile(rb"(?:(?<![^ \[])|^)[-+.0-9eEInfityNa]+(?=[],} ]|$)")
# Between members; a key that is given twice has other neighbours.
_STRUCTURE = re.compile(rb"[][{},]")
_COLON = re.compile(rb'("?)(:)( ?)')
_SHORTEST = 3


@dataclass(frozen=True, slots=True)
class Term:
    """A pattern that is found in the bytes of every event that satisfies what it stands for.

    `weight` is the least number of bytes that it finds: long ones are found more seldom.
    """

    source: bytes
    weight: int


def terms_of(expression: Expression) -> list[Term]:
    """Return what must all be found for an expression to hold; nothing: it may hold anywhere."""
    if expression.negate:
        return []
    pattern = expression.pattern.encode("utf-8", "surrogateescape").partition(b"\0")[0]
    match expression.kind:
        case "osmatch":
            return _osmatch_terms(pattern)
        case "osregex":
            found = [alternative.longest_literal for alternative in parse(pattern)]
            return any_of([_pieces(literal) for literal in found], caseless=True)
        case "pcre2":
            return _pcre2_terms(pattern)


def key_term(*names: str, caseless: bool = False) -> Term | None:
    """Return the term for a JSON key; of several names, each within the one before it.

    A name can also be a part of a key that has dots.
    """
    if not all(map(_is_plain, names)):
        return None
    inner = (b'(?:"' + _BLANKS + rb':(?s:.*)"|\.)').join(_escaped(name.encode()) for name in names)
    source = b'"' + inner + b'"' + _BLANKS + b":"
    return Term(b"(?i:" + source + b")" if caseless else source, sum(map(len, names)) + 3)


def scalar_key_term(name: str) -> Term:
    """Return the term for a JSON key whose value is neither an object nor a list."""
    source = b'"' + _escaped(name.encode()) + b'"' + _BLANKS + b":" + _BLANKS
    return Term(source + rb"[^{\[ \t\r\n]", len(name) + 4)


def one_of(terms: Sequence[Term | None]) -> tuple[Term, ...]:
    """Return the term that one of `terms` is found; nothing, if one of them is not known."""
    known = [term for term in terms if term is not None]
    if len(known) < len(terms):
        return ()
    source = b"|".join(term.source for term in known)
    return (Term(b"(?:" + source + b")", min(term.weight for term in known)),)


def any_of(alternatives: Sequence[Sequence[bytes]], *, caseless: bool) -> list[Term]:
    """Return the terms of alternatives, each given by the pieces that it needs all of."""
    if len(alternatives) == 1:
        return [_term([piece], caseless=caseless) for piece in alternatives[0]]
    if not all(alternatives):
        return []
    return [_term([max(pieces, key=len) for pieces in alternatives], caseless=caseless)]


def _osmatch_terms(pattern: bytes) -> list[Term]:
    if pattern.startswith(b"!"):
        return []
    literals = [part.removeprefix(b"^").removesuffix(b"$") for part in pattern.lower().split(b"|")]
    return any_of([_pieces(literal) for literal in literals], caseless=True)


def _pcre2_terms(pattern: bytes) -> list[Term]:
    linear = translate(pattern).linear
    if linear is None:
        return []
    literals = required_literals(linear)
    found: dict[bytes, Term] = {}
    for alternatives in literals.groups:
        for term in _group_terms(alternatives, caseless=literals.caseless):
            found.setdefault(term.source, term)
    return list(found.values())


def _group_terms(alternatives: Alternatives, *, caseless: bool) -> list[Term]:
    cased = [literal.lower() if caseless else literal for literal in alternatives]
    return any_of([_pieces(literal) for literal in cased], caseless=caseless)


def _is_plain(name: str) -> bool:
    """Whether a key stands in JSON without escapes."""
    return name.isascii() and name.isprintable() and not set(name) & set('"\\')


def _pieces(literal: bytes) -> list[bytes]:
    """Return the parts of a plain text that stand in the received bytes as well."""
    without_numbers = _NUMBER.sub(b",", literal)
    parts = (part.strip(b" ") for part in _STRUCTURE.split(without_numbers))
    return [part for part in dict.fromkeys(parts) if len(part) >= _SHORTEST]


def _term(pieces: Iterable[bytes], *, caseless: bool) -> Term:
    pieces = list(pieces)
    source = b"|".join(dict.fromkeys(map(_source, pieces)))
    return Term((b"(?i:" if caseless else b"(?:") + source + b")", min(map(len, pieces)))


def _source(piece: bytes) -> bytes:
    """Return the pattern of a piece: around a colon, blanks may be others."""
    parts: list[bytes] = []
    end = 0
    for colon in _COLON.finditer(piece):
        parts.append(_escaped(piece[end : colon.start()]))
        parts.append(b'"' + _BLANKS if colon[1] else b"")
        parts.append(b":" + (_BLANKS if colon[3] else b""))
        end = colon.end()
    return b"".join([*parts, _escaped(piece[end:])])


def _escaped(text: bytes) -> bytes:
    """Return a pattern for plain text, in which RE2 sees no syntax."""
    return b"".join(_byte(byte) for byte in text)


def _byte(byte: int) -> bytes:
    code = b"\\x%02x" % byte
    if byte in _GO_ESCAPES:
        return b"(?:" + code + rb"|\\u00" + _GO_ESCAPES[byte] + b")"
    return code
