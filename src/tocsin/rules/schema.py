"""What an event looks like to the rules: typed fields, JSON bodies, derived fields.

The compiler and the reference evaluation both read an event through a schema, so neither
knows where an event came from. `normalize` has the schema of Kubernetes audit events.
"""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from tocsin.rules.extract import Extract, extractor
from tocsin.rules.paths import last_segment, split

Kind = Literal["text", "number", "texts", "map", "struct", "body"]
Derive = Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Attribute:
    """A typed field of the event: the Python attributes that lead to it, and what it holds."""

    path: tuple[str, ...]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Derived:
    """A field computed from the event, from its typed fields or from the `bodies` named.

    `text` says that it is a single text. `only` names the values of key fields for which the
    field can exist at all; for other events nothing is computed, or even decoded.
    """

    compute: Derive
    bodies: tuple[str, ...] = ()
    only: Mapping[str, frozenset[str | None]] = field(default_factory=dict)
    text: bool = False

    def possible(self, key: Mapping[str, str | None]) -> bool:
        """Return whether an event with these key fields can have the field."""
        return all(key[name] in values for name, values in self.only.items())


class Located(NamedTuple):
    """A path in a schema: the field it starts with, the segments below, their extractor."""

    name: str
    segments: tuple[str, ...]
    extract: Extract


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields that rules may name.

    Attributes:
        attributes: typed fields by the name that rules use (`objectRef.resource`).
        derived: computed fields by name (`podspec`).
        decode: turns a raw body or map into JSON values; total, None for what it cannot decode.
        defaults: stand-ins for absent structs, by the attribute that holds them.
        key: the three attributes by which rules are indexed.
        values: the only values, in lower case, of fields that have few.
        recurring: attributes, texts or lists of texts, of which a cluster has few values that
            come again and again; see `verdicts`.
    """

    attributes: Mapping[str, Attribute]
    derived: Mapping[str, Derived]
    decode: Callable[[msgspec.Raw], object]
    defaults: Mapping[str, msgspec.Struct]
    key: tuple[str, str, str]
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    recurring: frozenset[str] = frozenset()
    # Paths come from rules, never from events, so this stays small.
    _located: dict[str, Located | None] = field(default_factory=dict, compare=False, repr=False)

    def locate(self, path: str) -> Located | None:
        """Return the known field that a path starts with, and how to go on from there."""
        if path not in self._located:
            self._located[path] = self._locate(path)
        return self._located[path]

    def _locate(self, path: str) -> Located | None:
        found = self.resolve(path)
        if found is None:
            return None
        name, rest = found
        segments = split(rest) if rest else ()
        return Located(name, segments, extractor(segments, last_segment(name)))

    def resolve(self, path: str) -> tuple[str, str] | None:
        """Split a path into the name of a known field and what lies below it.

        The longest known name wins; None when the path names no field of this schema.
        """
        name = path
        while True:
            if name in self.attributes or name in self.derived:
                return name, path[len(name) + 1 :]
            name, dot, _ = name.rpartition(".")
            if not dot:
                return None

    def has(self, path: str) -> bool:
        """Return whether an event can have a value at the path, as far as the schema knows."""
        found = self.resolve(path)
        if found is None:
            return False
        name, rest = found
        attribute = self.attributes.get(name)
        return not rest or attribute is None or attribute.kind in ("map", "body")


def attributes_of(struct: type[msgspec.Struct]) -> dict[str, Attribute]:
    """Return the fields of an event struct, nested structs included, by their JSON names."""
    return dict(_walk(struct, (), ""))


def _walk(
    struct: type[msgspec.Struct], path: tuple[str, ...], prefix: str
) -> typing.Iterator[tuple[str, Attribute]]:
    hints = typing.get_type_hints(struct)
    for info in msgspec.structs.fields(struct):
        hint = _without_none(hints[info.name])
        name = prefix + info.encode_name
        here = (*path, info.name)
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield name, Attribute(here, "struct")
            yield from _walk(hint, here, f"{name}.")
        else:
            yield name, Attribute(here, _kind(hint))


def _without_none(hint: object) -> object:
    if isinstance(hint, types.UnionType):
        return next(arg for arg in typing.get_args(hint) if arg is not type(None))
    return hint


def _kind(hint: object) -> Kind:
    if hint is str:
        return "text"
    if hint is int:
        return "number"
    if hint is msgspec.Raw:
        return "body"
    # A type of its own, made of Raw, is a map with free keys.
    return "map" if getattr(hint, "__supertype__", None) is msgspec.Raw else "texts"
