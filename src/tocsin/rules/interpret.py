"""The reference meaning of a rule: evaluate its condition tree on one event, slowly.

`compile` must agree with this on every event (property tests compare them), the engine
falls back to it when compiled code fails, and `explain` walks it to show values.
"""

from collections.abc import Callable, Iterator

import msgspec

from tocsin.rules import ir
from tocsin.rules.operators import relation, text_of, text_test, texts_of
from tocsin.rules.paths import split, values
from tocsin.rules.schema import Attribute, Schema


class EventView:
    """One event, seen through a schema: the values at a field path."""

    def __init__(self, event: msgspec.Struct, schema: Schema) -> None:
        self._event = event
        self._schema = schema
        self._fields: dict[str, object] = {}

    def values(self, path: str) -> list[object]:
        """Return the values at `path`, nulls left out; empty when the field is unknown."""
        found = self._schema.locate(path)
        return [] if found is None else found.extract(self._field(found.name))

    def text(self, path: str) -> str | None:
        """Return the first text at `path`, if there is one."""
        return next(iter(texts_of(self.values(path))), None)

    def everything(self) -> Iterator[object]:
        """Yield every scalar of the event, in the typed fields and in the bodies."""
        for name, attribute in self._schema.attributes.items():
            if attribute.kind != "struct":
                yield from _scalars(self._field(name))

    def _field(self, name: str) -> object:
        try:
            return self._fields[name]
        except KeyError:
            value = self._fields[name] = self._compute(name)
            return value

    def _compute(self, name: str) -> object:
        attribute = self._schema.attributes.get(name)
        if attribute is not None:
            return self._attribute(attribute)
        derived = self._schema.derived[name]
        if not derived.possible({key: self._key(key) for key in derived.only}):
            return None
        return derived.compute(self._event)

    def _key(self, name: str) -> str | None:
        value = self._field(name)
        return value if isinstance(value, str) else None

    def _attribute(self, attribute: Attribute) -> object:
        value: object = self._event
        for step in attribute.path:
            value = getattr(value, step) if value is not None else None
        if attribute.kind in ("body", "map"):
            return self._schema.decode(value) if value else None  # type: ignore[arg-type]
        return value


def _scalars(node: object) -> Iterator[object]:
    stack = [node]
    while stack:
        item = stack.pop()
        if type(item) is dict:
            stack.extend(item.values())
        elif type(item) is list:
            stack.extend(item)
        elif item is not None:
            yield item


def matches(expr: ir.Expr, event: EventView) -> bool:
    """Return whether the condition holds for the event."""
    return holds(expr, event.values, event)


Values = Callable[[str], list[object]]


def holds(expr: ir.Expr, read: Values, event: EventView) -> bool:
    """Return whether the condition holds for what `read` reads: the event or an element of it."""
    match expr:
        case ir.AllOf(terms):
            return all(holds(term, read, event) for term in terms)
        case ir.AnyOf(terms):
            return any(holds(term, read, event) for term in terms)
        case ir.Not(term):
            return not holds(term, read, event)
        case ir.Test(path, op):
            return satisfied(op, read(path), read)
        case ir.Anywhere(op):
            return satisfied(op, list(event.everything()), read)
        case ir.Each(path, term):
            return any(holds(term, read_element(item), event) for item in read(path))


def read_element(item: object) -> Values:
    """Return how to read the values at the paths of a term on one element of a list."""
    return lambda path: list(values(item, split(path)))


def satisfied(op: ir.Operator, found: list[object], read: Values) -> bool:
    """Return whether some of the values found at a field satisfies `op`."""
    match op:
        case ir.Present(wanted):
            return bool(found) is wanted
        case ir.SameAs(path, how):
            return related(found, read(path), how)
        case _:
            test = text_test(op)
            return any((text := text_of(value)) is not None and test(text) for value in found)


def related(left: list[object], right: list[object], how: ir.How) -> bool:
    """Return whether some value on the left relates to some on the right, case ignored."""
    test = relation(how)
    wanted = [text.lower() for text in texts_of(right)]
    return any(test(text.lower(), other) for text in texts_of(left) for other in wanted)
