"""Look for what makes a rule silent: fields that no event has."""

from collections.abc import Iterator

from tocsin.model.errors import Fault, Location
from tocsin.rules import ir
from tocsin.rules.schema import Schema


def unknown_fields(rule: ir.Rule, schema: Schema) -> Iterator[Fault]:
    """Yield a warning for each field that the rule tests and no event of the schema has."""
    seen = set()
    for path, at in _paths(rule.match):
        if path not in seen and not schema.has(path):
            seen.add(path)
            yield Fault(f"no event has a field {path!r}: this test never matches", at, path)


def _paths(expr: ir.Expr) -> Iterator[tuple[str, Location]]:
    match expr:
        case ir.AllOf(terms) | ir.AnyOf(terms):
            for term in terms:
                yield from _paths(term)
        case ir.Not(term):
            yield from _paths(term)
        case ir.Test(path, op):
            yield path, expr.at
            if isinstance(op, ir.SameAs):
                yield op.path, expr.at
        case ir.Each(path):
            yield path, expr.at
        case ir.Anywhere():
            return
