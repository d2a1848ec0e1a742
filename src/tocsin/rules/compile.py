"""Compile rules into Python code: one function per kind of request.

A function takes an event and returns the indices of the rules that match it. Cheap tests
on typed metadata come first; bodies are decoded, and paths in them followed, only behind
them, at most once per event. The meaning is that of `interpret`.

Rule text enters the generated source only through `repr` of a string, or not at all: sets,
patterns and functions are handed over as constants in the function's globals. Index,
rather than rule, is what generated code knows, so this module is the injection boundary.
"""

import linecache
from collections.abc import Callable, Iterable

import msgspec

from tocsin.rules import ir
from tocsin.rules.interpret import related
from tocsin.rules.operators import text_test
from tocsin.rules.regex import searcher
from tocsin.rules.schema import Schema
from tocsin.rules.scope import Code, ElementScope, EventScope, Scope

Bucket = Callable[[msgspec.Struct], list[int]]


def compile_bucket(rules: Iterable[tuple[int, ir.Expr]], schema: Schema, name: str) -> Bucket:
    """Return one function that evaluates the given conditions on an event.

    Args:
        rules: pairs of the index to report and the condition to hold.
        schema: how to read an event.
        name: what tracebacks and `explain` call the function.
    """
    scope = EventScope(schema)
    source = scope.function([(index, _conjuncts(expr, scope)) for index, expr in rules])
    return _define(source, "bucket", f"<rules {name!r}>", scope.constants)  # type: ignore[return-value]


def _define(source: str, name: str, label: str, constants: dict[str, object]) -> object:
    # linecache keeps the source, so that a traceback through generated code is readable.
    linecache.cache[label] = (len(source), None, source.splitlines(keepends=True), label)
    exec(compile(source, label, "exec"), constants)  # noqa: S102
    return constants[name]


def _conjuncts(expr: ir.Expr, scope: Scope) -> list[Code]:
    terms = expr.terms if isinstance(expr, ir.AllOf) else (expr,)
    return [_emit(term, scope) for term in terms]


def _emit(expr: ir.Expr, scope: Scope) -> Code:
    match expr:
        case ir.AllOf(terms):
            return _combine([_emit(term, scope) for term in terms], " and ", "True")
        case ir.AnyOf(terms):
            return _combine([_emit(term, scope) for term in terms], " or ", "False")
        case ir.Not(term):
            inner = _emit(term, scope)
            return Code(f"not ({inner.text})", inner.reads, inner.cost + 1)
        case ir.Test(path, op):
            return _test(path, op, scope)
        case ir.Anywhere(op):
            return _any_text(scope.everything(), op, scope)
        case ir.Each(path, term):
            return _each(path, term, scope)


def _combine(terms: list[Code], operator: str, empty: str) -> Code:
    if not terms:
        return Code(empty)
    ordered = sorted(terms, key=lambda term: term.cost)
    reads = frozenset().union(*(term.reads for term in terms))
    return Code(
        f"({operator.join(term.text for term in ordered)})",
        reads,
        max(term.cost for term in terms) + 1,
    )


def _each(path: str, term: ir.Expr, scope: Scope) -> Code:
    items = scope.leaves(path)
    inner = ElementScope(scope.constants)
    condition = _emit(term, inner)
    name = f"each{len(scope.constants)}"
    source = "\n".join(
        [
            f"def {name}(items):",
            "    for item in items:",
            *inner.lines(),
            f"        if {condition.text}:",
            "            return True",
            "    return False",
            "",
        ]
    )
    _define(source, name, f"<{name} {path!r}>", scope.constants)
    return Code(f"{name}({items})", frozenset({items}), 9)


def _test(path: str, op: ir.Operator, scope: Scope) -> Code:
    if isinstance(op, ir.SameAs):
        left, right = scope.leaves(path), scope.leaves(op.path)
        call = f"{scope.once(related)}({left}, {right}, {op.how!r})"
        return Code(call, frozenset({left, right}), 8)
    scalar = scope.scalar(path)
    if scalar is not None:
        return _scalar_test(scalar, op, scope)
    if isinstance(op, ir.Present):
        leaves = scope.leaves(path)
        return Code(leaves if op.wanted else f"not {leaves}", frozenset({leaves}), 5)
    return _any_text(scope.texts(path), op, scope)


def _scalar_test(scalar: tuple[str, str], op: ir.Operator, scope: Scope) -> Code:
    variable, kind = scalar
    if isinstance(op, ir.Present):
        return Code(f"{variable} is {'not ' if op.wanted else ''}None", frozenset({variable}))
    if kind == "number":
        text = f"str({variable}) if {variable} is not None else ''"
    elif isinstance(op, ir.TextIs) and op.fold:
        text = f"{variable}.lower() if {variable} else ''"
    else:
        text = f"{variable} or ''"
    bound = scope.bind(text, text, (variable,))
    test = _text_code(bound, op, scope)
    if text_test(op)(""):
        # The empty text satisfies the operator, a missing field does not.
        return Code(f"({variable} is not None and {test.text})", test.reads | {variable}, 2)
    return test


def _any_text(texts: str, op: ir.Operator, scope: Scope) -> Code:
    """Return the test whether some text of a list satisfies `op`."""
    source = scope.folded(texts) if isinstance(op, ir.TextIs) and op.fold else texts
    reads = frozenset({source if source.isidentifier() else texts})
    if isinstance(op, ir.TextIs) and op.how == "equals":
        wanted = scope.constant(frozenset(op.texts))
        return Code(f"not {wanted}.isdisjoint({source})", reads, 5)
    if isinstance(op, ir.TextIs | ir.Pattern):
        one = _text_code("t", op, scope)
        return Code(f"any([{one.text} for t in {source}])", reads, one.cost + 5)
    test = scope.constant(text_test(op))
    return Code(f"any(map({test}, {source}))", reads, 9)


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
