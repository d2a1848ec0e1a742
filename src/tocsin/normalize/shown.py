"""An event as people may see it: its JSON with secrets taken out, everything else as it was.

Stored events are whole, because rules need them whole. What a page or a command shows of them
goes through here. Whatever stands in a Secret is a secret; elsewhere, what is named like one or
looks like one.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import cast

import msgspec

from tocsin.normalize.redact import MARK, holds_secret, redact

TOO_DEEP = "[nested too deeply to be shown]"
UNREADABLE = "unreadable: these bytes are no JSON that can be shown"
MAX_DEPTH = 100

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KINDS_OF_SECRETS = frozenset({"Secret", "SecretList"})
# Where a Secret, a JSON patch of one and its last applied form have their content.
SECRET_CONTENT = frozenset({"data", "stringData", "value", _LAST_APPLIED})
_SEPARATORS = ("\n", "\t", "\f", "\r")
_LONG_NAME = 100


def _number_as_written(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


_decode = msgspec.json.Decoder(float_hook=_number_as_written).decode


def shown_event(raw: bytes) -> dict[str, object]:
    """Return the JSON of an event with secrets replaced by a mark.

    Numbers with a fraction are `msgspec.Raw`, so that they are encoded as they were written.
    Of bytes that are no JSON object, as of an event that could be read in part only, no more
    than their number is shown.
    """
    try:
        event = _decode(raw)
    except (msgspec.DecodeError, RecursionError, ValueError):
        event = None
    if not isinstance(event, dict):
        return {UNREADABLE: len(raw)}
    of_secret = is_about_secrets(event)
    # One look at all texts together: nearly no event holds anything that looks like a secret.
    cleaner = _Cleaner(scrub=holds_secret("\n".join(_texts(event))))
    return {
        key: cleaner.clean(key, value, depth=1, of_secret=of_secret and key.endswith("Object"))
        for key, value in event.items()
    }


class _Cleaner:
    """Goes through the JSON of one event; `scrub` tells whether its texts need to be looked at."""

    def __init__(self, *, scrub: bool) -> None:
        self._scrub = scrub

    def clean(self, key: str, value: object, *, depth: int, of_secret: bool) -> object:
        """Return a value that stands under `key` without its secrets."""
        if of_secret and key in SECRET_CONTENT:
            return covered(value)
        if isinstance(value, str):
            return MARK if value and is_sensitive(key) else self._text(value)
        if depth > MAX_DEPTH:
            return TOO_DEEP
        if isinstance(value, dict):
            return self._mapping(value, depth=depth, of_secret=of_secret)
        if isinstance(value, list):
            return self._list(value, depth=depth, of_secret=of_secret)
        return value

    def _mapping(
        self, value: dict[str, object], *, depth: int, of_secret: bool
    ) -> dict[str, object]:
        of_secret = of_secret or is_secret(value)
        cleaned = {
            self._text(key): self.clean(key, item, depth=depth + 1, of_secret=of_secret)
            for key, item in value.items()
        }
        # A variable of a container: {"name": "DB_PASSWORD", "value": "..."}.
        name = value.get("name")
        if isinstance(name, str) and isinstance(value.get("value"), str) and is_sensitive(name):
            cleaned["value"] = MARK
        return cleaned

    def _list(self, value: list[object], *, depth: int, of_secret: bool) -> list[object]:
        if self._scrub and value and all(isinstance(item, str) for item in value):
            return list(_clean_together(cast("list[str]", value)))
        return [self.clean("", item, depth=depth + 1, of_secret=of_secret) for item in value]

    def _text(self, text: str) -> str:
        return redact(text) if self._scrub else text


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    """Yield the texts of a JSON value in order, names included, as deep as they are shown."""
    if isinstance(value, str):
        yield value
    elif depth > MAX_DEPTH:
        return
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, depth + 1)


def _clean_together(texts: Sequence[str]) -> Sequence[str]:
    """Clean texts that may be a command: behind a flag stands the flag's value."""
    for separator in _SEPARATORS:
        if not any(separator in text for text in texts):
            return redact(separator.join(texts)).split(separator)
    return [MARK] if holds_secret(" ".join(texts)) else texts


def is_about_secrets(event: dict[str, object]) -> bool:
    """Whether the bodies of an event are those of a request for Secrets."""
    ref = event.get("objectRef")
    return isinstance(ref, dict) and ref.get("resource") == "secrets"


def is_secret(members: dict[str, object]) -> bool:
    """Whether an object is a Secret or a list of them."""
    kind = members.get("kind")
    return isinstance(kind, str) and kind in _KINDS_OF_SECRETS


def covered(value: object) -> object:
    """Return the content of a Secret: which keys there are, and nothing else."""
    if isinstance(value, dict):
        return dict.fromkeys(value, MARK)
    return MARK if value is not None else None


def is_sensitive(name: str) -> bool:
    """Whether a name makes a secret of a value that need not look like one."""
    return _is_sensitive_name(name) if len(name) <= _LONG_NAME else holds_secret(f"{name}=x")


@lru_cache(maxsize=4096)
def _is_sensitive_name(name: str) -> bool:
    return holds_secret(f"{name}=x")
