r"""Tell by the bytes of a post that nothing in it can match, before it is decoded.

It may let through what does not match, and never the other way round. JSON may write each
character of a text as itself or as `\uXXXX`, some also with a backslash before them; so of a
text only a run of plain characters is looked for, and where escapes stand that mean one of these
characters the body is let through. Space is not plain, as hidden secrets may bring one along.
"""

from collections.abc import Callable

from tocsin.model.events import EventFilter
from tocsin.normalize.redact import MARK
from tocsin.normalize.shown import TOO_DEEP, UNREADABLE
from tocsin.rules.bytepatterns import LinearPattern

Prefilter = Callable[[bytes], bool]

# JSON or Go writes these in more than one way; the brackets begin and end the mark of a secret.
_NOT_PLAIN = frozenset('"\\/<>&[] ')
# What is shown of an event without standing in it.
_OWN_WORDS = " ".join((MARK, TOO_DEEP, UNREADABLE)).lower()


def prefilter(where: EventFilter) -> Prefilter:
    """Return a function that tells whether a body, of one event or many, may hold a match."""
    texts = [where.verb, where.namespace, where.name, where.user, where.audit_id]
    texts += (where.resource or "").split("/", 1)
    runs = {plain_run(text) for text in texts if text}
    needles = [_Needle(run.encode()) for run in runs if run]
    word = plain_run((where.text or "").lower())
    folded = _Needle(word.encode()) if word and word not in _OWN_WORDS else None

    code = None if where.code is None else _Code(where.code)

    def may_match(body: bytes) -> bool:
        if not all(needle.may_be_in(body) for needle in needles):
            return False
        if code is not None and not code.may_be_in(body):
            return False
        return folded is None or folded.may_be_in(body.lower())

    return may_match


def plain_run(text: str) -> str:
    """Return the longest part of a text whose characters JSON writes as they are, or escaped."""
    plain = "".join(c if "!" <= c <= "~" and c not in _NOT_PLAIN else "\n" for c in text)
    return max(plain.split("\n"), key=len)


class _Needle:
    """A run of plain characters; bodies are as they came, or all in lower case."""

    def __init__(self, run: bytes) -> None:
        self._run = run
        codes = sorted({f"{code:02x}" for code in (*run, *run.upper())})
        digits = "|".join(f"(?:{code}|{code.upper()})" for code in codes)
        self._escaped = LinearPattern(rf"\\u00(?:{digits})".encode())

    def may_be_in(self, body: bytes) -> bool:
        return self._run in body or self._escaped.matches(body)


class _Code:
    """A whole number, which is written in its digits: `4e2` is not taken for a status."""

    def __init__(self, code: int) -> None:
        self._digits = b"%d" % code
        self._member = LinearPattern(rb":\s*%d\b" % code)

    def may_be_in(self, body: bytes) -> bool:
        # The digits first, which is faster and rules most bodies out.
        return self._digits in body and self._member.matches(body)
