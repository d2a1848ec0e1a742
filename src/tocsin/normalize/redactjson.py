"""Take secrets out of whole documents: where a text is quoted in full, keys tell what is secret."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from tocsin.normalize.redact import MARK, holds_secret, redact
from tocsin.normalize.shown import (
    SECRET_CONTENT,
    covered,
    is_about_secrets,
    is_secret,
    is_sensitive,
)

# Fields of a decoded log have a list as one text, in which no keys tell what is secret.
_LIST_OF_SECRETS = "items"


def redact_json(text: str, room: int) -> str:
    """Return a JSON document as `json.dumps` writes it, its secrets replaced; other text too.

    A document stays one: nothing but texts and numbers under names like `password` changes.
    What is longer than `room` characters is cut there, so that the cost is bounded as well.
    """
    beginning = text[:room]
    try:
        document = json.loads(text)
        shown = redact_document(document, room)
        return beginning if shown == document else json.dumps(shown)[:room]
    except (ValueError, RecursionError):
        return redact(beginning)


def redact_document(document: object, room: int) -> object:
    """Return a document of dicts, lists and scalars with its secrets replaced.

    Members behind the first `room` characters are left out.

    Raises:
        RecursionError: it is nested deeper than `json` writes.
    """
    redaction = _Redaction(room)
    if isinstance(document, dict) and is_about_secrets(document):
        return redaction.members(document, lambda key: key.endswith("Object"))
    return redaction.of("", document, of_secret=False)


@dataclass(slots=True)
class _Redaction:
    """Goes through a document until there is no more room."""

    room: int

    def of(self, key: str, value: object, *, of_secret: bool) -> object:
        """Return a value that stands under `key`; `of_secret`: it is of a Secret."""
        if of_secret and key in SECRET_CONTENT:
            return covered(value)
        match value:
            case dict():
                return self._object(value, of_secret=of_secret or is_secret(value))
            case list():
                return self._list(key, value, of_secret=of_secret)
            case None | bool():
                return value
            case str():
                self.room -= len(value)
                return MARK if of_secret and key == _LIST_OF_SECRETS else _text(key, value)
            case _:
                return MARK if is_sensitive(key) else value

    def _object(self, members: dict[str, object], *, of_secret: bool) -> dict[str, object]:
        kept = self.members(members, lambda _: of_secret)
        # A variable of a container: {"name": "DB_PASSWORD", "value": "..."}.
        name = members.get("name")
        if isinstance(name, str) and isinstance(kept.get("value"), str) and is_sensitive(name):
            kept["value"] = MARK
        return kept

    def members(
        self, members: dict[str, object], of_secret: Callable[[str], bool]
    ) -> dict[str, object]:
        """Return an object's members; `of_secret` tells of a key whether it is of a Secret."""
        kept: dict[str, object] = {}
        for key, value in members.items():
            if self.room <= 0:
                break
            self.room -= len(key)
            kept[key] = self.of(key, value, of_secret=of_secret(key))
        return kept

    def _list(self, key: str, items: list[object], *, of_secret: bool) -> list[object]:
        kept: list[object] = []
        for item in items:
            if self.room <= 0:
                break
            self.room -= 1
            kept.append(self.of(key, item, of_secret=of_secret))
        return kept


def _text(key: str, text: str) -> str:
    if text and is_sensitive(key):
        return MARK
    return redact(text) if holds_secret(text) else text
