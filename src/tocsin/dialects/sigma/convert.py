"""Turn a parsed Sigma rule's detection into one condition tree."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionIdentifier,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    ConditionValueExpression,
)
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetections

from tocsin.dialects.sigma.values import Sets, ValueFaultError, keyword, operators
from tocsin.model.errors import Fault, LoadError, Location
from tocsin.rules import ir
from tocsin.rules.paths import PathError, split

# What is nested deeper is no condition that a person wrote; Python's parser nests 200 levels.
MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule's conditions are read with.

    Attributes:
        sets: the texts behind `%name%` placeholders.
        each: selections whose fields must match within one element of a list.
        at: where a selection stands in the file.
    """

    sets: Sets
    each: dict[str, str]
    at: Callable[[str], Location]


def convert(detections: SigmaDetections, context: Context) -> ir.Expr:
    """Return the condition of a rule; several conditions are alternatives.

    Raises:
        LoadError: with everything that cannot be expressed, each with its location.
    """
    converter = _Converter(detections, context)
    terms = []
    for condition in detections.parsed_condition:
        try:
            terms.append(converter.tree(condition.parse(postprocess=False)))
        except (SigmaError, RecursionError, TypeError) as error:
            reason = str(error) if isinstance(error, SigmaError) else "not a readable condition"
            converter.faults.append(Fault(reason, context.at("condition"), "condition"))
    if converter.faults:
        raise LoadError(converter.faults)
    return terms[0] if len(terms) == 1 else ir.AnyOf(tuple(terms))


class _Converter:
    def __init__(self, detections: SigmaDetections, context: Context) -> None:
        self._detections = detections
        self._context = context
        self._selections: dict[str, ir.Expr] = {}
        self.faults: list[Fault] = []

    def tree(self, node: object, depth: int = 0) -> ir.Expr:
        """Convert the condition: names of selections and how they are joined."""
        if depth > MAX_DEPTH:
            message = f"the condition is nested deeper than {MAX_DEPTH} levels"
            raise SigmaError(message)
        match node:
            case ConditionNOT():
                return ir.Not(self.tree(node.args[0], depth + 1))
            case ConditionAND():
                return ir.AllOf(tuple(self.tree(arg, depth + 1) for arg in node.args))
            case ConditionOR():
                return ir.AnyOf(tuple(self.tree(arg, depth + 1) for arg in node.args))
            case ConditionIdentifier():
                return self._selection(node.identifier)
            case ConditionSelector():
                return self._selector(node)
            case _:
                message = f"condition element {type(node).__name__} is not supported"
                raise SigmaError(message)

    def _selector(self, node: ConditionSelector) -> ir.Expr:
        names = [found.identifier for found in node.resolve_referenced_detections(self._detections)]
        if not names:
            message = f"'{node.args[0]} of {node.pattern}' names no selection of this rule"
            raise SigmaError(message)
        terms = tuple(self._selection(name) for name in names)
        return ir.AllOf(terms) if node.cond_class is ConditionAND else ir.AnyOf(terms)

    def _selection(self, name: str) -> ir.Expr:
        if name not in self._detections.detections:
            message = f"the condition names {name!r}, which is no selection of this rule"
            raise SigmaError(message)
        if name not in self._selections:
            expr = self._tree_of(name)
            path = self._context.each.get(name)
            bound = expr if path is None else _per_element(expr, path)
            if path is not None and bound == expr:
                message = f"no field of this selection is below {path!r}"
                self.faults.append(Fault(message, self._context.at(name), "tocsin.each"))
            self._selections[name] = bound
        return self._selections[name]

    def _tree_of(self, name: str) -> ir.Expr:
        at = self._context.at(name)
        try:
            return self._leaves(self._detections[name].postprocess(self._detections), at)
        except SigmaError as error:
            self.faults.append(Fault(str(error), at, name))
            return ir.AnyOf(())

    def _leaves(self, node: object, at: Location) -> ir.Expr:
        """Convert a selection: fields, values and how they are joined."""
        match node:
            case ConditionNOT():
                return ir.Not(self._leaves(node.args[0], at))
            case ConditionAND():
                return ir.AllOf(tuple(self._leaves(arg, at) for arg in node.args))
            case ConditionOR():
                return ir.AnyOf(tuple(self._leaves(arg, at) for arg in node.args))
            case ConditionFieldEqualsValueExpression():
                return self._field(node, at)
            case ConditionValueExpression():
                return self._keyword(node, at)
            case _:
                self.faults.append(Fault(f"{type(node).__name__} is not supported", at))
                return ir.AnyOf(())

    def _field(self, node: ConditionFieldEqualsValueExpression, at: Location) -> ir.Expr:
        try:
            split(node.field)
            found = operators(node.value, self._context.sets)
        except (ValueFaultError, PathError, SigmaError) as error:
            self.faults.append(Fault(str(error), at, node.field))
            return ir.AnyOf(())
        return _any(ir.Test(node.field.replace("[]", ""), op, at) for op in found)

    def _keyword(self, node: ConditionValueExpression, at: Location) -> ir.Expr:
        try:
            found = keyword(node.value, self._context.sets)
        except (ValueFaultError, SigmaError) as error:
            self.faults.append(Fault(str(error), at, "keyword"))
            return ir.AnyOf(())
        return _any(ir.Anywhere(op, at) for op in found)


def _any(terms: Iterable[ir.Expr]) -> ir.Expr:
    found = tuple(terms)
    return found[0] if len(found) == 1 else ir.AnyOf(found)


def _per_element(expr: ir.Expr, path: str) -> ir.Expr:
    """Bind the tests below `path` to one element: those of one AND share the element."""
    match expr:
        case ir.AllOf(terms):
            inside = [term for term in terms if _below(term, path)]
            outside = [_per_element(term, path) for term in terms if not _below(term, path)]
            if not inside:
                return ir.AllOf(tuple(outside))
            each = _each(ir.AllOf(tuple(inside)), path)
            return ir.AllOf((*outside, each))
        case ir.AnyOf(terms) if not _below(expr, path):
            return ir.AnyOf(tuple(_per_element(term, path) for term in terms))
        case ir.Not(term) if not _below(expr, path):
            return ir.Not(_per_element(term, path))
        case _:
            return _each(expr, path) if _below(expr, path) else expr


def _each(expr: ir.Expr, path: str) -> ir.Expr:
    return ir.Each(path, _relative(expr, len(path) + 1), _location(expr))


def _below(expr: ir.Expr, path: str) -> bool:
    """Whether every test in `expr` is on a field below `path`."""
    match expr:
        case ir.AllOf(terms) | ir.AnyOf(terms):
            return bool(terms) and all(_below(term, path) for term in terms)
        case ir.Not(term):
            return _below(term, path)
        case ir.Test():
            return expr.path.startswith(f"{path}.") and not isinstance(expr.op, ir.SameAs)
        case _:
            return False


def _relative(expr: ir.Expr, skip: int) -> ir.Expr:
    match expr:
        case ir.AllOf(terms):
            return ir.AllOf(tuple(_relative(term, skip) for term in terms))
        case ir.AnyOf(terms):
            return ir.AnyOf(tuple(_relative(term, skip) for term in terms))
        case ir.Not(term):
            return ir.Not(_relative(term, skip))
        case ir.Test():
            return msgspec.structs.replace(expr, path=expr.path[skip:])
        case _:
            return expr


def _location(expr: ir.Expr) -> Location:
    match expr:
        case ir.AllOf(terms) | ir.AnyOf(terms):
            return _location(terms[0])
        case ir.Not(term):
            return _location(term)
        case ir.Test() | ir.Each() | ir.Anywhere():
            return expr.at
