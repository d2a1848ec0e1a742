"""Regular expressions over bytes, for languages that see an event as text.

RE2 first: it is linear whatever the text. What RE2 cannot express runs in PCRE2, compiled to
machine code, within a budget of time and of matching steps; a search that spends it says so,
because an answer that was not found is not the answer "no match".
"""

from collections.abc import Iterable, Iterator, Sequence
from time import thread_time
from typing import Final

import pcre2
import re2

from tocsin.rules.regex import PatternError

Span = tuple[int, int]

# At most so much of the processor for one search: time in which others run is not counted,
# or a busy machine would leave rules unevaluated. One attempt at one place stays far below.
BUDGET_SECONDS: Final = 0.05
_LIMITS = b"(*LIMIT_MATCH=1000000)(*LIMIT_DEPTH=100000)(*LIMIT_HEAP=65536)"
# What a pattern with `(*UTF)` says of a text in another encoding.
_NO_UTF8 = range(-28, -2)
_STACK_SPENT = -46


class BudgetSpent(Exception):  # noqa: N818 - an outcome, and no error in the pattern
    """A search was given up for its cost: whether the text matches is not known."""


class LinearPattern:
    """A pattern in RE2's syntax; one byte is one character, and only ASCII has case."""

    def __init__(self, pattern: bytes) -> None:
        """Compile `pattern`.

        Raises:
            PatternError: RE2 refuses it.
        """
        try:
            self._searching = re2.compile(pattern, _options(never_capture=True))
            self._capturing = re2.compile(pattern, _options(never_capture=False))
        except re2.error as error:
            message = error.args[0]
            reason = message.decode(errors="replace") if isinstance(message, bytes) else message
            raise PatternError(reason) from error

    def matches(self, text: bytes) -> bool:
        """Return whether the pattern is found anywhere."""
        return self._searching.search(text) is not None

    def spans(self, text: bytes) -> list[Span] | None:
        """Return where the leftmost match and its groups are; (-1, -1): did not take part."""
        match = self._capturing.search(text)
        return None if match is None else list(_spans(match, self._capturing.groups))


class PatternSet:
    """Many patterns in RE2's syntax, looked for in one go; one byte is one character."""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        """Compile `patterns`.

        Raises:
            PatternError: RE2 refuses one of them, or all together.
        """
        options = _options(never_capture=True)
        # Room for the states that event text leads through; a search that had none would fail.
        options.max_mem = 64 * 1024 * 1024
        self._set = re2.Set.SearchSet(options)
        try:
            for pattern in patterns:
                self._set.Add(pattern)
            self._set.Compile()
        except re2.error as error:
            raise PatternError(str(error)) from error

    def found(self, text: bytes) -> Sequence[int]:
        """Return the indices of the patterns that are found anywhere."""
        return self._set.Match(text) or ()


class BoundedPattern:
    """A pattern in PCRE2's syntax. One thread at a time may search with it.

    A callout, which never changes what matches, is how the clock is read: `pattern` has to
    have `CALLOUT` in front of what may scan the whole text.
    """

    CALLOUT: Final = b"(?C1)"

    def __init__(self, pattern: bytes) -> None:
        """Compile `pattern`.

        Raises:
            PatternError: PCRE2 refuses it.
        """
        self._deadline = 0.0
        self._late = False
        self._pattern = _LIMITS + pattern
        try:
            self._interpreted = pcre2.compile(self._pattern, jit=False, callout=self._look)
        except pcre2.LibraryError as error:
            # The position in front of the reason counts what was added here.
            raise PatternError(str(error).rpartition("; ")[2]) from error
        # Machine code is made before the first search: many patterns are never used.
        self._compiled: pcre2.Pattern | None = None

    def matches(self, text: bytes) -> bool:
        """Return whether the pattern is found anywhere.

        Raises:
            BudgetSpent: the search cost too much.
        """
        return self.spans(text) is not None

    def spans(self, text: bytes) -> list[Span] | None:
        """Return where the leftmost match and its groups are; (-1, -1): did not take part.

        Raises:
            BudgetSpent: the search cost too much.
        """
        self._late = False
        self._deadline = thread_time() + BUDGET_SECONDS
        try:
            match = self._search(text)
        except pcre2.LibraryError as error:
            if error.code in _NO_UTF8:
                return None
            raise BudgetSpent(str(error)) from error
        if match is None:
            if self._late:
                reason = "time is up"
                raise BudgetSpent(reason)
            return None
        return list(_spans(match, self._interpreted.groups))

    def _search(self, text: bytes) -> pcre2.Match | None:
        if self._compiled is None:
            self._compiled = self._to_machine_code()
        try:
            return self._compiled.search(text)
        except pcre2.LibraryError as error:
            if error.code != _STACK_SPENT:
                raise
        # The stack of machine code is small. The interpreter takes what it needs, within limits.
        return self._interpreted.search(text)

    def _to_machine_code(self) -> pcre2.Pattern:
        try:
            return pcre2.compile(self._pattern, jit=True, callout=self._look)
        except pcre2.LibraryError:
            return self._interpreted

    def _look(self, _: object) -> pcre2.CalloutReturn:
        if thread_time() < self._deadline:
            return pcre2.CalloutReturn.PASS
        self._late = True
        return pcre2.CalloutReturn.ABORT


def _options(*, never_capture: bool) -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = 8 * 1024 * 1024
    options.never_capture = never_capture
    return options


def _spans(match: "re2._Match[bytes] | pcre2.Match", groups: int) -> Iterator[Span]:
    for group in range(groups + 1):
        start, end = match.span(group)
        yield start, end
