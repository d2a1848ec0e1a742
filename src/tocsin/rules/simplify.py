"""Make condition trees smaller without changing their meaning.

`simplify` tidies a tree once, at load; `assume` evaluates the parts of it that depend on
known fields only, which is how one rule set becomes a small function per kind of request.
"""

from collections.abc import Callable, Iterable

import msgspec

from tocsin.rules import ir

TRUE = ir.AllOf(())
FALSE = ir.AnyOf(())


def simplify(expr: ir.Expr) -> ir.Expr:
    """Return an equal tree: constants folded, nested terms of one kind flattened, texts merged."""
    match expr:
        case ir.AllOf(terms):
            return _all(simplify(term) for term in terms)
        case ir.AnyOf(terms):
            return _any(simplify(term) for term in terms)
        case ir.Not(term):
            return _not(simplify(term))
        case ir.Each():
            return msgspec.structs.replace(expr, term=simplify(expr.term))
        case ir.Test() | ir.Anywhere():
            return expr


def assume(expr: ir.Expr, known: Callable[[ir.Test | ir.Each], bool | None]) -> ir.Expr:
    """Return `expr` with every test that `known` can decide replaced by its outcome."""
    match expr:
        case ir.AllOf(terms):
            return _all(assume(term, known) for term in terms)
        case ir.AnyOf(terms):
            return _any(assume(term, known) for term in terms)
        case ir.Not(term):
            return _not(assume(term, known))
        case ir.Test() | ir.Each():
            outcome = known(expr)
            return expr if outcome is None else (TRUE if outcome else FALSE)
        case ir.Anywhere():
            return expr


def _all(terms: Iterable[ir.Expr]) -> ir.Expr:
    flat: list[ir.Expr] = []
    for term in terms:
        if term == FALSE:
            return FALSE
        flat.extend(term.terms if isinstance(term, ir.AllOf) else (term,))
    return flat[0] if len(flat) == 1 else ir.AllOf(tuple(flat))


def _any(terms: Iterable[ir.Expr]) -> ir.Expr:
    flat: list[ir.Expr] = []
    for term in terms:
        if term == TRUE:
            return TRUE
        flat.extend(term.terms if isinstance(term, ir.AnyOf) else (term,))
    merged = _merge(flat)
    return merged[0] if len(merged) == 1 else ir.AnyOf(tuple(merged))


def _not(term: ir.Expr) -> ir.Expr:
    if term == TRUE:
        return FALSE
    if term == FALSE:
        return TRUE
    if isinstance(term, ir.AnyOf):
        # Terms by themselves can be shared between rules: nearly all name exceptions so.
        return ir.AllOf(tuple(_not(one) for one in term.terms))
    return term.term if isinstance(term, ir.Not) else ir.Not(term)


def _merge(terms: list[ir.Expr]) -> list[ir.Expr]:
    """Join alternatives on one field: texts compared in one way, and networks."""
    merged: dict[object, ir.Expr] = {}
    for term in terms:
        match term:
            case ir.Test(path, ir.TextIs(how, _, fold)):
                key: object = (path, how, fold)
            case ir.Test(path, ir.InNetwork()):
                key = (path, "network")
            case _:
                key = len(merged)
        known = merged.get(key)
        merged[key] = term if known is None else _joined(known, term)
    return list(merged.values())


def _joined(one: ir.Expr, other: ir.Expr) -> ir.Expr:
    match one, other:
        case ir.Test(_, ir.TextIs() as op), ir.Test(_, ir.TextIs(_, texts)):
            op = msgspec.structs.replace(op, texts=tuple(dict.fromkeys(op.texts + texts)))
            return msgspec.structs.replace(one, op=op)
        case ir.Test(_, ir.InNetwork(networks)), ir.Test(_, ir.InNetwork(more)):
            return msgspec.structs.replace(one, op=ir.InNetwork(networks + more))
        case _:
            return ir.AnyOf((one, other))
