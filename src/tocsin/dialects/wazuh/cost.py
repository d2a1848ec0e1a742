"""Which PCRE2 patterns can cost more than the length of a text, and why."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tocsin.dialects.wazuh.expressions import Expression
from tocsin.dialects.wazuh.expressions.pcre2 import Pcre2
from tocsin.dialects.wazuh.plaintext import Piece, pieces

_UNBOUNDED = re.compile(
    r"(?P<atom>\\[A-Za-z]|\.|\[\^?\]?(?:\\.|[^\]\\])*\])(?:[+*]|\{\d+,\})(?![+])", re.DOTALL
)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_NESTED = re.compile(
    r"\((?:\?:|(?!\?))(?:[^()\\]|\\.)*(?:[+*]|\{\d+,\d*\})(?:[^()\\]|\\.)*\)(?:[+*]|\{\d+,\})",
    re.DOTALL,
)
_LEADING_FLAGS = re.compile(r"^\(\?[a-zA-Z]+\)")
_NAMES = {2: "the square", 3: "the cube"}


@dataclass(frozen=True, slots=True)
class Cost:
    """Why a pattern is costly, and whether Tocsin runs it in linear time all the same."""

    reason: str
    linear_here: bool


def super_linear(expression: Expression) -> Cost | None:
    """Return why the time of a search can grow faster than the text; None: it does not."""
    matcher = expression.matcher
    if not isinstance(matcher, Pcre2):
        return None
    reason = _reason(expression.pattern)
    return Cost(reason, matcher.linear) if reason else None


def _reason(pattern: str) -> str:
    # A `+` in a class repeats nothing.
    nested = _NESTED.search(_CLASS.sub(lambda found: "x" * len(found[0]), pattern))
    if nested:
        part = pattern[nested.start() : nested.end()]
        return f"`{part}` repeats a repetition: a text can double the time with each byte"
    scans = list(_scans(pieces(_LEADING_FLAGS.sub("", pattern))))
    power = len(scans) + (not pattern.startswith("^"))
    if power <= 1:
        return ""
    growth = _NAMES.get(power, f"power {power}")
    start = "" if pattern.startswith("^") else ", from every place where it can start"
    shown = " and ".join(f"`{scan}`" for scan in scans)
    return f"{shown} can run to the end of the text{start}: the time grows with {growth} of it"


def _scans(parts: list[Piece]) -> Iterator[str]:
    """Yield the repetitions that go on over the plain text which is to follow them."""
    for part, following in pairwise(parts):
        if part.text is not None or not following.text:
            continue
        for found in _UNBOUNDED.finditer(part.pattern):
            # `\S+` ends at a blank of what is behind it; `.+` tries all of the text.
            if re.fullmatch(f"(?:{found['atom']})+", following.text):
                yield found[0]
