"""Read YAML that strangers wrote: bounded, exact, and with the line of every value.

YAML libraries crash on deep nesting, overwrite duplicate keys and turn `no` into False.
Here the parser's event stream is composed by our own loop: depth, size and aliases are
limited, a duplicate key is an error, and plain scalars follow the YAML 1.2 core schema
(`no`, `010` and dates stay text).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import yaml

from tocsin.model.errors import Fault, LoadError, Location

MAX_BYTES = 5 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 200_000

Path = tuple[str | int, ...]

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(slots=True)
class Document:
    """One YAML document: its value, and the line on which each part of it starts."""

    path: str
    value: object
    lines: dict[Path, int] = field(default_factory=dict)

    def at(self, *path: str | int) -> Location:
        """Return where the value at `path` stands, or else the nearest part around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return Location(self.path, self.lines.get(path, 1))


def read_documents(text: str, path: str) -> list[Document]:
    """Return the documents of a YAML text.

    Raises:
        LoadError: the text is no YAML, too deep, too large, or has a duplicate key.
    """
    if len(text) > MAX_BYTES:
        raise LoadError([Fault(f"file is larger than {MAX_BYTES} bytes", Location(path))])
    try:
        return list(_documents(text, path))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problem = str(error.problem or error.context)
        raise LoadError([Fault(problem, Location(path, line, column))]) from error
    except yaml.YAMLError as error:
        raise LoadError([Fault(str(error).splitlines()[0], Location(path))]) from error


def _documents(text: str, path: str) -> Iterator[Document]:
    composer: _Composer | None = None
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        match event:
            case yaml.DocumentStartEvent():
                composer = _Composer(path)
            case yaml.DocumentEndEvent():
                if composer is not None and composer.document.value is not None:
                    yield composer.document
                composer = None
            case yaml.NodeEvent() | yaml.CollectionEndEvent():
                if composer is not None:
                    composer.take(event)
            case _:
                continue


@dataclass(slots=True)
class _Level:
    """A mapping or list that is being filled."""

    node: dict[str, object] | list[object]
    path: Path
    key: str | None = None


class _Composer:
    """Builds one document from parser events, without recursion."""

    def __init__(self, path: str) -> None:
        self.document = Document(path, None)
        self._levels: list[_Level] = []
        self._nodes = 0

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        line = mark.line + 1 if mark is not None else 0
        match event:
            case yaml.ScalarEvent():
                self._scalar(event, line)
            case yaml.CollectionStartEvent(tag=str(tag)):
                self._fail(f"tag {tag} is not supported", line)
            case yaml.MappingStartEvent():
                self._open({}, line)
            case yaml.SequenceStartEvent():
                self._open([], line)
            case yaml.AliasEvent():
                self._fail("anchors and aliases are not supported: write the value out", line)
            case _:
                self._levels.pop()

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        level = self._levels[-1] if self._levels else None
        if level is not None and isinstance(level.node, dict) and level.key is None:
            self._key(level, event.value, line)
            return
        if event.tag is not None and event.tag != "tag:yaml.org,2002:str":
            self._fail(f"tag {event.tag} is not supported", line)
        plain = event.implicit[0] and event.tag is None
        self._add(_resolve(event.value) if plain else event.value, line)

    def _key(self, level: _Level, key: str, line: int) -> None:
        if key == "<<":
            self._fail("merge keys are not supported: write the values out", line)
        if key in level.node:
            self._fail(f"key {key!r} stands twice in this mapping", line)
        level.key = key

    def _open(self, node: dict[str, object] | list[object], line: int) -> None:
        if len(self._levels) >= MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} levels", line)
        level = self._levels[-1] if self._levels else None
        if level is not None and isinstance(level.node, dict) and level.key is None:
            self._fail("a key must be text", line)
        self._levels.append(_Level(node, self._add(node, line)))

    def _add(self, value: object, line: int) -> Path:
        """Put a value where it belongs and return its path."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._fail(f"more than {MAX_NODES} values", line)
        path: Path = ()
        if not self._levels:
            self.document.value = value
        else:
            level = self._levels[-1]
            if isinstance(level.node, list):
                path = (*level.path, len(level.node))
                level.node.append(value)
            else:
                path = (*level.path, cast("str", level.key))
                level.node[cast("str", level.key)] = value
                level.key = None
        self.document.lines[path] = line
        return path

    def _fail(self, message: str, line: int) -> None:
        raise LoadError([Fault(message, Location(self.document.path, line))])


def _resolve(text: str) -> object:
    """Return the value of a plain scalar; what is not exactly a number stays text."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    for number in (int, float):
        try:
            value = number(text)
        except ValueError:
            continue
        # Only canonical forms: 010, 1_000, 1e3, nan and 1.20 keep their text.
        if str(value) == text and text not in ("nan", "inf", "-inf"):
            return value
    return text
