r"""osregex: Wazuh's own matcher, with its lazy classes and its four fallbacks.

It is no dialect of regular expressions. A quantified class gives way as soon as the next
element fits, remembers that choice (at most four of them), and takes the newest one back on a
mismatch. An alternative that matches anywhere wins over those after it, wherever they match.
Some of what happens then looks like a mistake; rules and decoders rely on it all the same.
"""

from itertools import zip_longest

from tocsin.dialects.wazuh.expressions.found import Found, Matcher
from tocsin.dialects.wazuh.expressions.ossyntax import (
    Alternative,
    Element,
    never_found,
    parse,
)
from tocsin.rules.bytepatterns import BudgetSpent, LinearPattern

_MAX_FALLBACKS = 4
# About 50 ms. Bytes that are skipped over at once are cheap: so many of them cost one step.
_MAX_STEPS = 30_000
_SKIPPED_PER_STEP = 8192


class OsRegex:
    """A compiled osregex expression.

    `strict` repeats two bugs of the engine: an alternative that spells out a byte beyond ASCII,
    or has two groups side by side, is never found.
    """

    def __init__(self, pattern: bytes, *, strict: bool = False) -> None:
        alternatives = parse(pattern)
        found = [one for one in alternatives if not (strict and never_found(one))]
        self._alternatives = [_matcher(alternative) for alternative in found]

    def matches(self, text: bytes) -> bool:
        """Return whether any alternative matches.

        Raises:
            BudgetSpent: the search cost too much.
        """
        return any(alternative.matches(text) for alternative in self._alternatives)

    def search(self, text: bytes) -> Found | None:
        """Return the match of the first alternative that has one.

        Raises:
            BudgetSpent: the search cost too much.
        """
        for alternative in self._alternatives:
            found = alternative.search(text)
            if found is not None:
                return found
        return None


def _matcher(alternative: Alternative) -> Matcher:
    elements = alternative.elements
    if len(alternative.prefix) == len(elements) and not alternative.groups:
        return _Plain(alternative)
    late = any(parenthesis.opens for parenthesis in alternative.gaps[-1])
    if late or not elements or any(element.quantifier for element in elements):
        return _Classes(alternative)
    return _Fixed(alternative)


class _Plain:
    """An alternative of characters that stand for themselves."""

    def __init__(self, alternative: Alternative) -> None:
        self._literal = alternative.prefix
        self._at_start = alternative.at_start
        self._at_end = alternative.at_end

    def matches(self, text: bytes) -> bool:
        return self.search(text) is not None

    def search(self, text: bytes) -> Found | None:
        start = self._find(text.lower())
        if start < 0:
            return None
        return Found(max(start + len(self._literal) - 1, 0))

    def _find(self, lowered: bytes) -> int:
        start = len(lowered) - len(self._literal) if self._at_end else 0
        if self._at_start and start != 0:
            return -1
        if not self._literal:
            return -1 if self._at_end and lowered else 0
        if self._at_start or self._at_end:
            return start if start >= 0 and lowered.startswith(self._literal, start) else -1
        return lowered.find(self._literal)


class _Fixed:
    """An alternative without quantifiers: nothing is lazy, so that RE2 means the same."""

    def __init__(self, alternative: Alternative) -> None:
        self._required = alternative.longest_literal
        parts = [rb"\A"] if alternative.at_start else []
        for element, gap in zip_longest(alternative.elements, alternative.gaps):
            parts.extend(b"(" if parenthesis.opens else b")" for parenthesis in gap)
            if element is not None:
                members = b"".join(b"\\x%02x" % byte for byte in sorted(element.fits))
                parts.append(b"[" + members + b"]")
        parts.append(rb"\z" if alternative.at_end else b"")
        self._pattern = LinearPattern(b"".join(parts))

    def matches(self, text: bytes) -> bool:
        lowered = text.lower()
        return self._required in lowered and self._pattern.matches(lowered)

    def search(self, text: bytes) -> Found | None:
        lowered = text.lower()
        spans = self._pattern.spans(lowered) if self._required in lowered else None
        if spans is None:
            return None
        return Found(spans[0][1] - 1, tuple(text[start:end] for start, end in spans[1:]))


class _Classes:
    """An alternative with quantified classes."""

    def __init__(self, alternative: Alternative) -> None:
        self._alternative = alternative
        self._required = alternative.longest_literal
        self._prefix = b"" if alternative.at_start else alternative.prefix
        self._groups = alternative.groups
        self._optional = all(element.quantifier == "*" for element in alternative.elements)
        self._stops = _stops(alternative)
        self._starts = b"" if self._prefix else _starts(alternative)

    def matches(self, text: bytes) -> bool:
        return self.search(text) is not None

    def search(self, text: bytes) -> Found | None:
        if not text:
            return Found(0, (b"",) * self._groups) if self._optional else None
        lowered = text.lower()
        if self._required not in lowered:
            return None
        run = _Run(self._alternative, self._stops, lowered, self._prefix, self._starts)
        end = run.end()
        if end is None:
            return None
        return Found(end, tuple(text[start:stop] for start, stop in run.groups()))


def _starts(alternative: Alternative) -> bytes:
    """Return a table that marks the bytes a match can start with; empty: any."""
    first = alternative.elements[0] if alternative.elements else None
    if first is None or alternative.at_start or first.quantifier == "*":
        return b""
    return bytes(byte in first.fits for byte in range(256))


def _stops(alternative: Alternative) -> list[bytes]:
    """Return for each element a table that marks the bytes at which its class gives way."""
    tables: list[bytes] = []
    for index, element in enumerate(alternative.elements):
        following = _lookahead(alternative, index)
        stays = element.fits
        if following is not None:
            stays -= following.fits
        tables.append(bytes(byte not in stays for byte in range(256)))
    return tables


def _lookahead(alternative: Alternative, index: int) -> Element | None:
    """Return the element that a class gives way to: at most one parenthesis is looked past."""
    following = index + 1
    if following == len(alternative.elements) or len(alternative.gaps[following]) > 1:
        return None
    return alternative.elements[following]


class _Run:
    """One search: a cursor in the pattern (`_element`) and one in the text (`_at`).

    `_taken` says that a quantified class has had its first byte. It outlives the class when
    that gives way to an escaped element, and then the next class needs no byte of its own.
    """

    def __init__(
        self,
        alternative: Alternative,
        stops: list[bytes],
        text: bytes,
        prefix: bytes,
        starts: bytes,
    ) -> None:
        self._alternative = alternative
        self._stops = stops
        self._masks: dict[int, bytes] = {}
        self._text = text
        self._prefix = prefix
        self._possible = text.translate(starts) if starts else None
        self._starts: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._fallbacks: list[tuple[int, int]] = []
        self._element = 0
        self._at = 0
        self._taken = False
        self._retry: int | None = None
        self._arrived = 0
        self._recorded = 0
        self._steps = 0

    def end(self) -> int | None:
        """Return the end offset of the match, or None."""
        self._to_prefix()
        while self._steps < _MAX_STEPS:
            self._steps += 1
            if self._at >= len(self._text):
                return self._end_at_end_of_text()
            if self._at == self._arrived:
                self._note_parentheses(self._element)
            if self._element == len(self._alternative.elements):
                if not self._alternative.at_end:
                    return self._at - 1
                stepped = False
            else:
                if self._ends_here():
                    return self._end_within_text()
                stepped = self._step()
            if not stepped and not self._fall_back():
                return None
        raise BudgetSpent

    def groups(self) -> list[tuple[int, int]]:
        """Return where the groups that were entered start and end."""
        return [
            (self._starts[group], end)
            for group, end in sorted(self._ends.items())
            if group in self._starts
        ]

    def _note_parentheses(self, gap: int) -> None:
        for parenthesis in self._alternative.gaps[gap]:
            (self._starts if parenthesis.opens else self._ends)[parenthesis.group] = self._at

    def _step(self) -> bool:
        """Take a byte or leave a class; False: a mismatch."""
        element = self._alternative.elements[self._element]
        fits = self._text[self._at] in element.fits
        if not element.quantifier:
            if fits:
                self._take_one()
            return fits
        self._taken = self._taken or element.quantifier == "*"
        if fits:
            self._take_by_class()
            return True
        if not self._taken:
            return False
        if element.quantifier == "*" and self._at > self._arrived:
            self._recorded = self._at - 1
        self._advance()
        self._taken = False
        return True

    def _take_one(self) -> None:
        if self._retry is None:
            self._retry = self._at + 1
        self._recorded = self._at
        self._at += 1
        self._advance()

    def _take_by_class(self) -> None:
        if not self._taken:
            self._recorded = self._at
            self._taken = True
            self._at += 1
            return
        following = _lookahead(self._alternative, self._element)
        if following is not None and self._text[self._at] in following.fits:
            self._give_way()
        else:
            self._skip_run()

    def _skip_run(self) -> None:
        mask = self._masks.get(self._element)
        if mask is None:
            mask = self._masks[self._element] = self._text.translate(self._stops[self._element])
        self._skip_to(mask.find(1, self._at))

    def _give_way(self) -> None:
        """Let the next element take this byte, at once and whatever it is."""
        if len(self._fallbacks) < _MAX_FALLBACKS:
            self._fallbacks.append((self._element, self._at))
        self._advance()
        self._note_parentheses(self._element)
        element = self._alternative.elements[self._element]
        self._taken = not element.raw
        if element.quantifier:
            self._recorded = self._at
            self._at += 1
        else:
            self._take_one()

    def _advance(self) -> None:
        self._element += 1
        self._arrived = self._at

    def _fall_back(self) -> bool:
        if self._fallbacks:
            self._element, self._at = self._fallbacks.pop()
            self._arrived = self._at
            self._at += 1
            return True
        if self._alternative.at_start:
            return False
        self._at = self._at + 1 if self._retry is None else self._retry
        self._retry = None
        self._element = 0
        self._taken = False
        self._starts.clear()
        self._ends.clear()
        self._to_prefix()
        return True

    def _to_prefix(self) -> None:
        """Go to the next place where the pattern can start: what is between cannot match."""
        if self._prefix:
            self._skip_to(self._text.find(self._prefix, self._at))
        elif self._possible is not None:
            self._skip_to(self._possible.find(1, self._at))
        self._arrived = self._at

    def _skip_to(self, position: int) -> None:
        """Go to a position in the text; -1: to its end."""
        target = len(self._text) if position < 0 else position
        self._steps += (target - self._at) // _SKIPPED_PER_STEP
        self._at = target

    def _ends_here(self) -> bool:
        """Return whether the last class has had its bytes and this one is not for it."""
        last = self._alternative.elements[-1]
        return (
            self._element == len(self._alternative.elements) - 1
            and not self._alternative.at_end
            and (last.quantifier == "*" or (last.quantifier == "+" and self._taken))
            and self._text[self._at] not in last.fits
        )

    def _end_within_text(self) -> int:
        self._note_parentheses(-1)
        if self._at == self._arrived:
            return self._at - 1
        if not self._alternative.gaps[-1]:
            return self._at
        quantifier = self._alternative.elements[-1].quantifier
        return self._recorded if quantifier == "+" else self._at - 1

    def _end_at_end_of_text(self) -> int | None:
        elements = self._alternative.elements
        if self._element == 0 and not self._taken:
            return None
        rest = self._element
        reached = self._at > self._arrived or not self._alternative.gaps[rest]
        if rest < len(elements) and reached and self._taken and elements[rest].quantifier:
            rest += 1
        if any(element.quantifier != "*" for element in elements[rest:]):
            return None
        for gap in self._alternative.gaps[rest:]:
            for parenthesis in gap:
                if not parenthesis.opens:
                    self._ends[parenthesis.group] = len(self._text)
        return self._recorded
