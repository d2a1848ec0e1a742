"""Compile rules into Python code: one function per kind of request.

A function takes an event and returns the indices of the rules that match it. Cheap tests
on typed metadata come first; bodies are decoded, and paths in them followed, only behind
them, at most once per event. The meaning is that of `interpret`.

Rule text enters the generated source only through `repr` of a string, or not at all: sets,
patterns and functions are handed over as constants in the function's globals. Index,
rather than rule, is what generated code knows, so this module is the injection boundary.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from tocsin.rules import ir
from tocsin.rules.code import BAND, Code, Junction, define
from tocsin.rules.interpret import related
from tocsin.rules.layout import lay_out
from tocsin.rules.operators import text_test
from tocsin.rules.regex import searcher
from tocsin.rules.schema import Schema
from tocsin.rules.scope import ElementScope, EventScope, Scope

Hits = tuple[int, ...]
Key = tuple[str | None, str | None, str | None]
# Returns the indices of the conditions that hold, in no particular order.
Bucket = Callable[[msgspec.Struct], Hits]
# Returns besides what events are indexed by: one call less for every event.
Entry = Callable[[msgspec.Struct], tuple[Hits, Key]]

# Between texts that are searched as one.
_BETWEEN = "\n"
# A number of more digits is compared as text.
_MAX_DIGITS = 18
# Deeper conditions are evaluated as one expression: each step is a level of indentation, or two.
_MAX_DEPTH = 10


def compile_bucket(rules: Iterable[tuple[int, ir.Expr]], schema: Schema, name: str) -> Bucket:
    """Return one function that evaluates the given conditions on an event.

    Args:
        rules: pairs of the index to report and the condition to hold.
        schema: how to read an event.
        name: what tracebacks and `explain` call the function.
    """
    scope = EventScope(schema)
    return _function(_statements(rules, scope), "hits", name, scope)  # type: ignore[return-value]


def compile_entry(rules: Iterable[tuple[int, ir.Expr]], schema: Schema, name: str) -> Entry:
    """Return such a function for the rules that every event meets.

    It returns the event's key fields, too, and remembers outcomes of tests on recurring texts.
    """
    scope = EventScope(schema, remember=True)
    key = [scope.attribute(field) for field in schema.key]
    # A term that always holds, to have bound what is returned.
    last = (f"key = ({', '.join(key)})", [Code("True", frozenset(key))])
    statements = [*_statements(rules, scope), last]
    return _function(statements, "hits, key", name, scope)  # type: ignore[return-value]


def _statements(rules: Iterable[tuple[int, ir.Expr]], scope: Scope) -> list[tuple[str, list[Code]]]:
    return [(f"hits += ({index},)", _conjuncts(expr, scope)) for index, expr in rules]


def _function(
    statements: list[tuple[str, list[Code]]], result: str, name: str, scope: Scope
) -> object:
    lines = ["def bucket(e):", "    hits = ()", *lay_out(statements, scope, "    ")]
    source = "\n".join([*lines, f"    return {result}", ""])
    return define(source, "bucket", f"<rules {name!r}>", scope.constants)


def _conjuncts(expr: ir.Expr, scope: Scope) -> list[Code]:
    terms = expr.terms if isinstance(expr, ir.AllOf) else (expr,)
    return [_emit(term, scope) for term in terms]


def _emit(expr: ir.Expr, scope: Scope) -> Code:
    match expr:
        case ir.AllOf(terms):
            return _combine([_emit(term, scope) for term in terms], "and", scope)
        case ir.AnyOf(terms):
            return _combine([_emit(term, scope) for term in terms], "or", scope)
        case ir.Not(term):
            inner = _emit(term, scope)
            # An exception is asked after what it is an exception from.
            return Code(f"not ({inner.text})", inner.reads, inner.cost + BAND)
        case ir.Test(path, op):
            return scope.remembered(path, op) or _test(path, op, scope)
        case ir.Anywhere(op):
            return _any_text(scope.everything(folded=_is_folded(op)), op, scope)
        case ir.Each(path, term):
            return _each(path, term, scope)


def _combine(terms: list[Code], operator: Junction, scope: Scope) -> Code:
    """Return terms joined; costly ones behind the others, as a variable of their own."""
    cheap = [term for term in terms if scope.weight(term) < BAND]
    costly = [term for term in terms if scope.weight(term) >= BAND]
    first, rest = _joined(cheap, operator), _joined(costly, operator)
    if not cheap or not costly or max(map(scope.depth, (first, rest))) >= _MAX_DEPTH:
        return _joined(terms, operator)
    name = scope.bind_stepwise(first, operator, rest)
    return Code(name, frozenset({name}))


def _joined(terms: list[Code], operator: Junction) -> Code:
    if not terms:
        return Code("True" if operator == "and" else "False")
    ordered = sorted(terms, key=lambda term: term.cost)
    reads = frozenset().union(*(term.reads for term in terms))
    text = f" {operator} ".join(term.text for term in ordered)
    return Code(f"({text})", reads, max(term.cost for term in terms) + 1)


def _each(path: str, term: ir.Expr, scope: Scope) -> Code:
    items = scope.leaves(path)
    inner = ElementScope(scope.constants)
    name = f"each{len(scope.constants)}"
    found = lay_out([("return True", _conjuncts(term, inner))], inner, "        ")
    lines = [f"def {name}(items):", "    for item in items:", *found, "    return False", ""]
    define("\n".join(lines), name, f"<{name} {path!r}>", scope.constants)
    return Code(f"{name}({items})", frozenset({items}), 9)


def _test(path: str, op: ir.Operator, scope: Scope) -> Code:
    if isinstance(op, ir.SameAs):
        left, right = scope.leaves(path), scope.leaves(op.path)
        call = f"{scope.constant(related)}({left}, {right}, {op.how!r})"
        return Code(call, frozenset({left, right}), 8)
    scalar = scope.scalar(path)
    if scalar is not None:
        return _scalar_test(scalar, op, scope)
    if isinstance(op, ir.Present):
        leaves = scope.leaves(path)
        return Code(leaves if op.wanted else f"not {leaves}", frozenset({leaves}), 5)
    return _any_text(scope.texts(path, folded=_is_folded(op)), op, scope)


def _is_folded(op: ir.Operator) -> bool:
    return isinstance(op, ir.TextIs) and op.fold


def _scalar_test(scalar: tuple[str, str], op: ir.Operator, scope: Scope) -> Code:
    variable, kind = scalar
    if isinstance(op, ir.Present):
        return Code(f"{variable} is {'not ' if op.wanted else ''}None", frozenset({variable}))
    if kind == "number":
        if isinstance(op, ir.TextIs) and op.how == "equals":
            numbers = frozenset(number for text in op.texts for number in _number(text))
            return Code(f"{variable} in {scope.constant(numbers)}", frozenset({variable}))
        code = f"str({variable}) if {variable} is not None else ''"
        bound = scope.bind(f"text {variable}", code, (variable,), 1)
    elif _is_folded(op):
        code = f"{variable}.lower() if {variable} else ''"
        bound = scope.bind(f"folded {variable}", code, (variable,), 1)
    else:
        bound = scope.bind(f"text {variable}", f"{variable} or ''", (variable,))
    test = _text_code(bound, op, scope)
    if text_test(op)(""):
        # The empty text satisfies the operator, a missing field does not.
        return Code(f"({variable} is not None and {test.text})", test.reads | {variable}, 2)
    return test


def _any_text(texts: Code, op: ir.Operator, scope: Scope) -> Code:
    """Return the test whether some text of a list satisfies `op`."""
    match op:
        case ir.TextIs("equals", wanted):
            test = f"not {scope.constant(frozenset(wanted))}.isdisjoint({texts.text})"
            return Code(test, texts.reads, 5)
        case ir.TextIs("contains", wanted) if all(wanted) and _BETWEEN not in "".join(wanted):
            # What is looked for cannot reach from one text into the next.
            joined = f"{_BETWEEN!r}.join({texts.text})"
            return _text_code(scope.bind(joined, joined, tuple(texts.reads), 1), op, scope)
        case ir.TextIs() | ir.Pattern():
            one = _text_code("t", op, scope)
            return Code(f"any([{one.text} for t in {texts.text}])", texts.reads, one.cost + 5)
        case _:
            test = f"any(map({scope.constant(text_test(op))}, {texts.text}))"
            return Code(test, texts.reads, 9)


def _text_code(variable: str, op: ir.Operator, scope: Scope) -> Code:
    """Return the test of one text; with `fold`, the variable's text is in lower case already."""
    reads = frozenset({variable})
    match op:
        case ir.TextIs("equals", (only,)):
            return Code(f"{variable} == {only!r}", reads)
        case ir.TextIs("equals", texts):
            return Code(f"{variable} in {scope.constant(frozenset(texts))}", reads)
        case ir.TextIs("contains", texts):
            found = " or ".join(f"{text!r} in {variable}" for text in texts)
            return Code(f"({found})", reads, 2)
        case ir.TextIs(how, texts):
            return Code(f"{variable}.{how}({texts!r})", reads, 1)
        case ir.Pattern(regex):
            search = scope.constant(searcher(regex))
            return Code(f"{search}({variable}) is not None", reads, 4)
        case _:
            return Code(f"{scope.constant(text_test(op))}({variable})", reads, 4)


def _number(text: str) -> Iterator[int]:
    """Yield the number whose canonical text this is, if it is one."""
    if text.removeprefix("-").isdecimal() and len(text) <= _MAX_DIGITS and str(int(text)) == text:
        yield int(text)
