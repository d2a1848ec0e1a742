"""Why a rule holds for an event, or why not: its condition tree with the values seen.

The meaning of every condition is that of `interpret`, asked again for each node; nothing is
decided here.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from tocsin.rules import ir
from tocsin.rules.interpret import EventView, Values, holds, read_element, satisfied
from tocsin.rules.operators import text_of
from tocsin.rules.schema import Schema
from tocsin.rules.simplify import simplify
from tocsin.rules.template import shorten
from tocsin.rules.wording import asked

# Of one field or list: a person looks at a few, the event has them all.
MAX_SHOWN = 12

# Makes the texts found at a field fit to be shown, such as without secrets: `(path, texts)`.
Show = Callable[[str, Sequence[str]], Sequence[str]]

# `each` has the elements of a list below it, `element` what was asked of one of them.
Kind = Literal["all", "any", "not", "each", "element", "test"]


class Node(msgspec.Struct, frozen=True):
    """One condition of a rule on one event.

    Attributes:
        text: what is asked, in words.
        holds: whether it is so.
        values: what the event has there, a few of it; empty where the event has nothing.
        children: the conditions it is made of.
        kind: how it follows from its children; `test` has none.
        more: how many further values or elements were looked at.
        at: where in the rule file it stands, `path:line`; empty for what joins conditions.
    """

    text: str
    holds: bool
    values: tuple[str, ...] = ()
    children: tuple["Node", ...] = ()
    kind: Kind = "test"
    more: int = 0
    at: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why an alert came to be.

    Attributes:
        root: the condition tree, None where there is none to show.
        note: what a reader has to know about it; why there is none.
    """

    root: Node | None = None
    note: str = ""


def explain(
    match: ir.Expr, event: msgspec.Struct, schema: Schema, show: Show = lambda _, texts: texts
) -> Node:
    """Return the tree of a rule's condition on an event, tidied up but with the same meaning.

    Args:
        match: the condition of the rule.
        event: an event of the schema.
        schema: how to read it.
        show: what the texts of the event go through before they are shown.
    """
    view = EventView(event, schema)
    return _Walk(view, show).node(simplify(match), view.values)


def deciding(node: Node) -> Iterator[Node]:
    """Yield the tests that made the outcome what it is.

    Of conditions of which one sufficed, only the first that did; of those that all counted,
    all. Where nothing holds these are the places to look at.
    """
    # Of terms that all must hold one that does not is enough, of alternatives one that does.
    one_suffices = node.holds is (node.kind != "all")
    same = [child for child in node.children if child.holds is node.holds]
    if node.kind in ("not", "element"):
        relevant = list(node.children)
    else:
        relevant = same[:1] if one_suffices else same
    if not relevant:
        yield node
    for child in relevant:
        yield from deciding(child)


_JOINED: dict[Kind, str] = {
    "all": "all of these",
    "any": "at least one of these",
    "not": "this does not hold",
}
_EMPTY: dict[Kind, str] = {"all": "any event at all", "any": "no event at all"}


class _Walk:
    """Makes the nodes of one event."""

    def __init__(self, event: EventView, show: Show) -> None:
        self._event = event
        self._show = show

    def node(self, expr: ir.Expr, read: Values) -> Node:
        """Return the tree of a condition on what `read` reads."""
        match expr:
            case ir.AllOf(terms):
                return self._joined("all", expr, terms, read)
            case ir.AnyOf(terms):
                return self._joined("any", expr, terms, read)
            case ir.Not(term):
                return self._joined("not", expr, (term,), read)
            case ir.Test(path, op, at):
                return self._test(path, op, str(at), read)
            case ir.Anywhere(op, at):
                return self._anywhere(op, str(at), read)
            case ir.Each(path, term, at):
                return self._each(path, str(at), term, read(path))

    def _joined(self, kind: Kind, expr: ir.Expr, terms: Sequence[ir.Expr], read: Values) -> Node:
        children = tuple(self.node(term, read) for term in terms)
        if len(children) == 1 and kind != "not":
            return children[0]
        text = _JOINED[kind] if children else _EMPTY[kind]
        return Node(text, holds(expr, read, self._event), (), children, kind)

    def _test(self, path: str, op: ir.Operator, at: str, read: Values) -> Node:
        found = read(path)
        shown = self._show(path, [_text(value) for value in found])
        # The value that made it hold is among those shown, however many there are.
        fitting = (index for index, value in enumerate(found) if satisfied(op, [value], read))
        start = max(0, min(next(fitting, 0), len(shown) - MAX_SHOWN))
        values = tuple(shorten(text) for text in shown[start : start + MAX_SHOWN])
        more = len(shown) - len(values)
        return Node(asked(path, op), satisfied(op, found, read), values, more=more, at=at)

    def _anywhere(self, op: ir.Operator, at: str, read: Values) -> Node:
        everything = list(self._event.everything())
        fitting = [_text(value) for value in everything if satisfied(op, [value], read)]
        values = tuple(shorten(text) for text in self._show("", fitting)[:MAX_SHOWN])
        text = asked("some value of the event", op)
        more = max(0, len(fitting) - len(values))
        return Node(text, satisfied(op, everything, read), values, more=more, at=at)

    def _each(self, path: str, at: str, term: ir.Expr, items: list[object]) -> Node:
        fitting = [holds(term, read_element(item), self._event) for item in items]
        # Those for which it holds come first, so that they are among those shown.
        order = sorted(range(len(items)), key=lambda index: not fitting[index])
        elements = tuple(
            self._element(index, items[index], term, fits=fitting[index])
            for index in order[:MAX_SHOWN]
        )
        text = f"for some element of {path}"
        return Node(text, any(fitting), (), elements, "each", len(items) - len(elements), at)

    def _element(self, index: int, item: object, term: ir.Expr, *, fits: bool) -> Node:
        name = item.get("name") if isinstance(item, dict) else None
        names = [name] if isinstance(name, str) else []
        values = tuple(shorten(text) for text in self._show("name", names))
        child = self.node(term, read_element(item))
        return Node(f"element {index + 1}", fits, values, (child,), "element")


def _text(value: object) -> str:
    text = text_of(value)
    if text is not None:
        return text
    return "{…}" if isinstance(value, dict) else "[…]"
