"""Look for what makes a rule silent: fields that no event has, values that a field never takes."""

from collections.abc import Iterable, Iterator

from tocsin.model.errors import Fault, Location
from tocsin.rules import ir
from tocsin.rules.correlation import Correlation
from tocsin.rules.schema import Schema


def lint(rule: ir.Rule, schema: Schema) -> Iterator[Fault]:
    """Yield a warning for each test of the rule that can never match an event of the schema."""
    seen = set()
    for path, op, at in _tests(rule.match):
        for message in _complaints(path, op, schema):
            if (message, at) not in seen:
                seen.add((message, at))
                yield Fault(f"{message}: this test never matches", at, path)


def lint_correlation(correlation: Correlation, schema: Schema) -> Iterator[Fault]:
    """Yield a warning for each field that the events of a correlation's rules never have."""
    paths = [path for paths in correlation.paths.values() for path in paths]
    for path in dict.fromkeys([*paths, *filter(None, [correlation.field])]):
        if not schema.has(path):
            message = f"no event has a field {path!r}: its hits are never counted"
            yield Fault(message, correlation.at, path)


def _complaints(path: str, op: ir.Operator | None, schema: Schema) -> Iterator[str]:
    if not schema.has(path):
        yield f"no event has a field {path!r}"
    elif isinstance(op, ir.TextIs) and op.how == "equals":
        yield from _impossible(path, op.texts, schema)
    if isinstance(op, ir.SameAs) and not schema.has(op.path):
        yield f"no event has a field {op.path!r}"


def _impossible(path: str, texts: Iterable[str], schema: Schema) -> Iterator[str]:
    attribute = schema.attributes.get(path)
    known = schema.values.get(path)
    for text in texts:
        if attribute is not None and attribute.kind == "number" and not _is_number(text):
            yield f"{path} is a number and never {text!r}"
        elif known is not None and text.lower() not in known:
            yield f"{path} is never {text!r}"


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _tests(expr: ir.Expr) -> Iterator[tuple[str, ir.Operator | None, Location]]:
    match expr:
        case ir.AllOf(terms) | ir.AnyOf(terms):
            for term in terms:
                yield from _tests(term)
        case ir.Not(term):
            yield from _tests(term)
        case ir.Test(path, op):
            yield path, op, expr.at
        case ir.Each(path):
            yield path, None, expr.at
        case ir.Anywhere():
            return
