"""The one door to regular expressions over event text.

Event text is chosen by attackers, so only engines that run in linear time are used: RE2.
`re` never sees event text; a pattern that RE2 refuses is a load error of its rule.
"""

from collections.abc import Callable
from functools import lru_cache

import re2


def _options(*, never_capture: bool) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 16 * 1024 * 1024
    options.never_capture = never_capture
    return options


_REPLACING = _options(never_capture=False)
# Searching does not ask where groups matched, and on bytes it need not translate positions
# into those of characters: that is a third of the time on short texts.
_SEARCHING = _options(never_capture=True)


class PatternError(ValueError):
    """A pattern that RE2 does not accept, with its reason."""


@lru_cache(maxsize=4096)
def searcher(pattern: str) -> Callable[[str], object | None]:
    """Return a function that finds `pattern` anywhere in a text (None: not found).

    Raises:
        PatternError: RE2 refuses the pattern (look-around, back-references, syntax, size).
    """
    try:
        compiled = re2.compile(pattern.encode(), _SEARCHING)
    except re2.error as error:
        message = error.args[0]
        text = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
        raise PatternError(text) from error
    search: Callable[[bytes], object | None] = compiled.search
    return lambda text: search(text.encode())


def replacer(pattern: str, replacement: str) -> Callable[[str], str]:
    """Return a function that replaces every match of `pattern` in a text."""
    compiled = re2.compile(pattern, _REPLACING)

    def replace(text: str) -> str:
        result: str = compiled.sub(replacement, text)
        return result

    return replace


def escape(text: str) -> str:
    """Return a pattern that matches exactly `text`."""
    escaped: str = re2.escape(text)
    return escaped
