"""Take secrets out of whole documents: where a text is quoted in full, keys tell what is secret."""

import json
from dataclasses import dataclass
from functools import lru_cache

from tocsin.normalize.redact import MARK, holds_secret, redact

# Objects whose values are secret under any key.
_HIDDEN_KIND = "Secret"
_HIDDEN_PARTS = ("data", "stringData")


def redact_json(text: str, room: int) -> str:
    """Return a JSON document as `json.dumps` writes it, its secrets replaced; other text too.

    A document stays one: nothing but texts and numbers under names like `password` changes.
    What is longer than `room` characters is cut there, so that the cost is bounded as well.
    """
    beginning = text[:room]
    if not holds_secret(beginning) and f'"{_HIDDEN_KIND}"' not in beginning:
        return beginning
    try:
        return json.dumps(_Redaction(room).of("", json.loads(text)))[:room]
    except (ValueError, RecursionError):
        return redact(beginning)


def redact_document(document: object, room: int) -> object:
    """Return a document of dicts, lists and scalars with its secrets replaced.

    Members behind the first `room` characters are left out.

    Raises:
        RecursionError: it is nested deeper than `json` writes.
    """
    return _Redaction(room).of("", document)


@dataclass(slots=True)
class _Redaction:
    """Goes through a document until there is no more room."""

    room: int

    def of(self, key: str, value: object) -> object:
        match value:
            case dict():
                return self._object(value)
            case list():
                return self._list(key, value)
            case None | bool():
                return value
            case str():
                self.room -= len(value)
                return _text(key, value)
            case _:
                return MARK if _is_secret(key) else value

    def _object(self, members: dict[str, object]) -> dict[str, object]:
        secret = members.get("kind") == _HIDDEN_KIND
        kept: dict[str, object] = {}
        for key, value in members.items():
            if self.room <= 0:
                break
            self.room -= len(key)
            hidden = secret and key in _HIDDEN_PARTS
            kept[key] = _all_marked(value) if hidden else self.of(key, value)
        return kept

    def _list(self, key: str, items: list[object]) -> list[object]:
        kept: list[object] = []
        for item in items:
            if self.room <= 0:
                break
            self.room -= 1
            kept.append(self.of(key, item))
        return kept


def _all_marked(values: object) -> object:
    return dict.fromkeys(values, MARK) if isinstance(values, dict) else MARK


def _text(key: str, text: str) -> str:
    if text and _is_secret(key):
        return MARK
    return redact(text) if holds_secret(text) else text


# Keys come again and again, and their number is bounded here.
@lru_cache(maxsize=4096)
def _is_secret(key: str) -> bool:
    """Whether the key makes a secret of what need not look like one."""
    return redact(f"{key}=x").endswith(f"={MARK}")
