"""The fields that decoding yields: the fixed ones of Wazuh, and all others by name."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Protocol, TypeAlias

from typing_extensions import override

# The fixed ("static") fields, in the order in which an alert shows them.
STATIC = (
    "protocol",
    "action",
    "srcip",
    "srcport",
    "srcuser",
    "dstip",
    "dstport",
    "dstuser",
    "id",
    "status",
    "url",
    "data",
    "extra_data",
    "system_name",
)

# Data deeper than this is shown flat: no reader of alerts should fail on names full of dots.
MAX_NESTING = 100

Nested = dict[str, object]


class Later(Protocol):
    """A text that is only made when it is asked for."""

    @override
    def __str__(self) -> str:
        """Return the text."""
        ...

    def longer_than(self, length: int) -> bool:
        """Whether the text has more characters than that: told without making all of it."""
        ...


Text: TypeAlias = str | Later


def fold(name: str) -> str:
    """Return a name as names are compared: ASCII letters in lower case, others as they are."""
    if name.isascii():
        return name.lower()
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


class Fields:
    """Fields in the order in which they were found; the first of a name is its value.

    Many events are decided without a look at their fields, so these can be deferred: they are
    read when the first of them is asked for.
    """

    __slots__ = ("_by_name", "_cap", "_deferred", "_dynamic", "_indexed", "_static")

    def __init__(self, cap: int | None = None) -> None:
        """Keep at most `cap` dynamic fields, as the original does (None: all)."""
        self._static: dict[str, str] = {}
        self._dynamic: list[tuple[str, Text]] = []
        self._by_name: dict[str, Text] = {}
        self._indexed = 0
        self._cap = cap
        self._deferred: list[Callable[[Fields], None]] = []

    @property
    def static(self) -> dict[str, str]:
        """The fixed fields."""
        self._settle()
        return self._static

    @property
    def dynamic(self) -> list[tuple[str, str]]:
        """All other fields."""
        self._settle()
        return [(name, str(text)) for name, text in self._dynamic]

    def defer(self, source: "Callable[[Fields], None]") -> None:
        """Add what `source` adds, behind all that is here."""
        self._deferred.append(source)

    def add(self, name: str, text: "Text") -> None:
        """Append a dynamic field."""
        self.add_all([(name, text)])

    def add_all(self, fields: "list[tuple[str, Text]]") -> None:
        """Append dynamic fields."""
        self._settle()
        room = None if self._cap is None else max(0, self._cap - len(self._dynamic))
        self._dynamic += fields[:room]

    def assign(self, name: str, text: str) -> None:
        """Set a field by the name that the order of a decoder gives it."""
        name = "dstuser" if name == "user" else name
        if name in STATIC:
            self.static[name] = text
        else:
            self.add(name, text)

    def get(self, name: str) -> str | None:
        """Return a dynamic field; names compare without case."""
        self._settle()
        # An event may have hundreds of thousands of fields, and most are never asked for.
        for other, text in islice(self._dynamic, self._indexed, None):
            self._by_name.setdefault(fold(other), text)
        self._indexed = len(self._dynamic)
        found = self._by_name.get(fold(name))
        return None if found is None else str(found)

    def extended(self, more: "Fields") -> "Fields":
        """Return these fields with those of `more` behind them."""
        fields = Fields()
        fields.defer(self._copy_to)
        fields.defer(more._copy_to)  # noqa: SLF001 - of this class
        return fields

    def _copy_to(self, other: "Fields") -> None:
        for name, value in self.static.items():
            other.static.setdefault(name, value)
        other.add_all(self._dynamic)

    def _settle(self) -> None:
        while self._deferred:
            deferred, self._deferred = self._deferred, []
            for source in deferred:
                source(self)

    def nested(self, room: int | None = None) -> Nested:
        """Return the `data` of an alert: names split at dots, empty values left out.

        `room` is for how many characters there is room: what does not fit is left out, too.
        """
        root = _Object()
        for name, text in self._shown():
            if room is not None:
                if len(name) + _least(text, room) > room:
                    continue
                room -= len(name) + len(str(text))
            if value := str(text):
                root.put(name.split(".", MAX_NESTING), value)
        return root.plain()

    def _shown(self) -> Iterator[tuple[str, Text]]:
        for name in STATIC:
            if name in self.static:
                yield name, self.static[name]
        yield from self._dynamic


def _least(text: Text, room: int) -> int:
    """Return how long a text is at least, if it is too long for the room: else how long it is."""
    if not isinstance(text, str) and text.longer_than(room):
        return room + 1
    return len(str(text))


class _Object:
    """An object of `data`; of keys that differ in case only, the first stays."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: dict[str, tuple[str, object]] = {}

    def put(self, path: list[str], value: str) -> None:
        """Put a value at a path; a value that is in the way stays."""
        target = self
        for name in path[:-1]:
            _, below = target.members.setdefault(fold(name), (name, _Object()))
            if not isinstance(below, _Object):
                return
            target = below
        target.members.setdefault(fold(path[-1]), (path[-1], _shown_value(value)))

    def plain(self) -> Nested:
        """Return the object as plain dicts; a name may have any number of dots."""
        plain: Nested = {}
        waiting: list[tuple[_Object, Nested]] = [(self, plain)]
        while waiting:
            source, target = waiting.pop()
            for name, value in source.members.values():
                if isinstance(value, _Object):
                    below: Nested = {}
                    target[name] = below
                    waiting.append((value, below))
                else:
                    target[name] = value
        return plain


def _shown_value(value: str) -> object:
    """Return what an alert shows: an array that was printed as text is an array again."""
    if not value.startswith("["):
        return value
    try:
        items = json.loads(value, strict=False)
    except (ValueError, RecursionError):
        return value
    return value if _is_deep(items) else items


def _is_deep(value: object) -> bool:
    level: list[Any] = [value]
    for _ in range(MAX_NESTING):
        level = [
            below
            for item in level
            for below in (item.values() if isinstance(item, dict) else item)
            if isinstance(below, (dict, list))
        ]
        if not level:
            return False
    return True
