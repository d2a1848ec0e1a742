"""JSON objects in all spellings that a parser takes for the same: for the filter's tests."""

import json
import random
from collections.abc import Sequence

KEYS = ("verb", "resource", "a", "securityContext", "user", "id", "x.y", "k8s", "aws", "source")
WORDS = (
    "create", "delete", "pods", "a b", "x: y", 'say "hi"', "a&b<c>", "é", "\u2028", "\n", "/etc/x",
    "Infinity", "1e1", "p1, p2", "{}", "[1]", "\\", "\x7f", "", "NaN", "true", "u0026", "😀",
)  # fmt: skip
NUMBERS = ("0", "-0", "10", "1e1", "1.50", "1E2", "-0.0", "403", "10000000000000000.0", "1e999")

Members = Sequence[tuple[str, object]]


class Number(str):
    """A number as it is spelled."""

    __slots__ = ()


def random_value(rng: random.Random, depth: int) -> object:
    kind = rng.randrange(8 if depth else 5)
    if kind < 2:
        return rng.choice(WORDS)
    if kind == 2:
        return Number(rng.choice(NUMBERS))
    if kind < 5:
        return rng.choice((True, False, None, rng.choice(WORDS)))
    if kind == 5:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(3))]
    return random_members(rng, depth - 1)


def random_members(rng: random.Random, depth: int) -> Members:
    """Return members of an object, of which keys may repeat."""
    return tuple((rng.choice(KEYS), random_value(rng, depth)) for _ in range(rng.randrange(1, 5)))


def spelled(value: object, rng: random.Random, *, plainly: bool) -> str:
    """Return a value as JSON; unless `plainly`, with blanks and escapes by chance."""

    def blank() -> str:
        return "" if plainly else rng.choice(("", "", " ", "\n", "\t ", "\r\n"))

    match value:
        case Number():
            return str(value)
        case str():
            return _text(value, rng, plainly=plainly)
        case list():
            inner = (blank() + spelled(item, rng, plainly=plainly) + blank() for item in value)
            return f"[{','.join(inner)}]"
        case tuple():
            members = (
                f"{blank() if index else ''}{_text(key, rng, plainly=plainly)}{blank()}:{blank()}"
                f"{spelled(item, rng, plainly=plainly)}{blank()}"
                for index, (key, item) in enumerate(value)
            )
            return f"{{{','.join(members)}}}"
        case _:
            return json.dumps(value)


def _text(text: str, rng: random.Random, *, plainly: bool) -> str:
    """Return a text as Go writes it, or with escapes where none are needed."""
    written = json.dumps(text, ensure_ascii=rng.random() < 0.3)
    for plain, escaped in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")):
        written = written.replace(plain, escaped)
    if plainly or len(text) < 2 or rng.random() < 0.7:
        return written
    at = rng.randrange(1, len(written) - 1)
    if written[at] == "/":
        return f"{written[:at]}\\{written[at:]}"
    if written[at].isalnum() and "\\" not in written:
        return f"{written[:at]}\\u{ord(written[at]):04X}{written[at + 1 :]}"
    return written
