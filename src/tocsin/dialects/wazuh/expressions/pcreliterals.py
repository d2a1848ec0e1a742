r"""Find the plain text that every match of a pattern contains.

The pattern is RE2's form of a PCRE2 pattern, as `pcresyntax` writes it: plain characters are
`\xHH`, there are no look-arounds, and its matches are a superset.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

# One literal of these stands in every match.
Alternatives = tuple[bytes, ...]

_TOKEN = re.compile(
    rb"""(?P<byte>\\x[0-9a-f]{2})
    | (?P<open>\((?:\?[isU-]*:)?+(?!\?))
    | (?P<flags>\(\?[isU-]*\))
    | (?P<close>\))
    | (?P<bar>\|)
    | (?P<quantifier>[*+?]\??|\{(?P<least>\d+)(?:,\d*)?\}\??)
    | (?P<other>\[\^?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]|\\.|.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Literals:
    """What a match contains: of each group one literal; `caseless`: in any case of letters."""

    groups: tuple[Alternatives, ...]
    caseless: bool


@dataclass(slots=True)
class _Sequence:
    """One alternative: runs of plain bytes, of which the last may go on, and inner choices."""

    runs: list[bytearray] = field(default_factory=lambda: [bytearray()])
    choices: list[Alternatives] = field(default_factory=list)

    def cut(self) -> None:
        self.runs.append(bytearray())

    def literals(self) -> list[bytes]:
        return [bytes(run) for run in self.runs if run]


def required_literals(linear: bytes) -> Literals:
    """Return the literals that every match of a pattern in RE2's form contains."""
    tokens = _Tokens(linear)
    alternatives = _alternatives(tokens)
    caseless = re.search(rb"\(\?[sU]*i", linear) is not None
    if len(alternatives) == 1:
        (only,) = alternatives
        return Literals((*((run,) for run in only.literals()), *only.choices), caseless)
    choice = _choice(alternatives)
    return Literals((choice,) if choice else (), caseless)


class _Tokens:
    """The tokens of a pattern, with a look at the next one."""

    def __init__(self, pattern: bytes) -> None:
        self._tokens: Iterator[re.Match[bytes]] = _TOKEN.finditer(pattern)
        self.next = next(self._tokens, None)

    def take(self) -> re.Match[bytes] | None:
        token, self.next = self.next, next(self._tokens, None)
        return token

    def least(self) -> int | None:
        """Take a quantifier and return how often at least; None: there is none here."""
        if self.next is None or not self.next["quantifier"]:
            return None
        token = self.take()
        if token is None:
            return None
        if token["least"]:
            return int(token["least"])
        return int(token["quantifier"].startswith(b"+"))


def _alternatives(tokens: _Tokens) -> list[_Sequence]:
    found = [_sequence(tokens)]
    while tokens.next is not None and tokens.next["bar"]:
        tokens.take()
        found.append(_sequence(tokens))
    return found


def _sequence(tokens: _Tokens) -> _Sequence:
    sequence = _Sequence()
    while tokens.next is not None and not (tokens.next["bar"] or tokens.next["close"]):
        token = tokens.take()
        if token is None:
            break
        if token["byte"]:
            _add_byte(sequence, token["byte"], tokens.least())
        elif token["open"]:
            inner = _alternatives(tokens)
            tokens.take()
            _add_group(sequence, inner, tokens.least())
        elif not token["flags"]:
            tokens.least()
            sequence.cut()
    return sequence


def _add_byte(sequence: _Sequence, source: bytes, least: int | None) -> None:
    if least != 0:
        sequence.runs[-1].append(int(source[2:], 16))
    if least is not None:
        sequence.cut()


def _add_group(sequence: _Sequence, inner: list[_Sequence], least: int | None) -> None:
    if least == 0:
        sequence.cut()
    elif len(inner) == 1:
        _add_sequence(sequence, inner[0], repeated=least is not None)
    else:
        sequence.cut()
        choice = _choice(inner)
        if choice:
            sequence.choices.append(choice)


def _add_sequence(sequence: _Sequence, inner: _Sequence, *, repeated: bool) -> None:
    if repeated:
        sequence.cut()
    first, *others = inner.runs
    sequence.runs[-1] += first
    sequence.runs += others
    sequence.choices += inner.choices
    if repeated:
        sequence.cut()


def _choice(alternatives: Sequence[_Sequence]) -> Alternatives:
    """Return the longest literal of each alternative; nothing, if one of them has none."""
    found = [max(sequence.literals(), key=len, default=b"") for sequence in alternatives]
    return tuple(found) if all(found) else ()
