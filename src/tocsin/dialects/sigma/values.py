"""Sigma values and modifiers, as operators of the rule representation.

Text matches the whole value and ignores case unless `cased`; numbers and booleans are
compared by their canonical text, so 403 and '403' are the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
    TimestampPart,
)

from tocsin.rules import ir
from tocsin.rules.paths import split
from tocsin.rules.regex import PatternError, escape, searcher
from tocsin.rules.template import shorten

Sets = Mapping[str, Sequence[str]]

_ORDERS: dict[CompareOperators, ir.Order] = {
    CompareOperators.LT: "lt",
    CompareOperators.LTE: "lte",
    CompareOperators.GT: "gt",
    CompareOperators.GTE: "gte",
}
_UNITS: dict[TimestampPart, ir.TimeUnit] = {
    TimestampPart.MINUTE: "minute",
    TimestampPart.HOUR: "hour",
    TimestampPart.DAY: "day",
    TimestampPart.WEEK: "week",
    TimestampPart.MONTH: "month",
    TimestampPart.YEAR: "year",
}


class ValueFaultError(ValueError):
    """A value that cannot be expressed, with the reason."""


def operators(value: SigmaType, sets: Sets) -> list[ir.Operator]:
    """Return the operators that a value stands for; any of them satisfies it.

    Args:
        value: a value of pySigma's syntax tree.
        sets: the texts behind `%name%` placeholders.

    Raises:
        ValueFaultError: the value cannot be expressed.
    """
    match value:
        case SigmaExpansion():
            return [op for one in value.values for op in operators(one, sets)]
        case SigmaRegularExpression():
            regexp: object = value.regexp
            if not isinstance(regexp, SigmaString):
                message = "a regular expression must be text"
                raise ValueFaultError(message)
            return [_regex(one) for one in value.replace_placeholders(_lookup(sets))]
        case SigmaString():
            return [_string(one, value) for one in value.replace_placeholders(_lookup(sets))]
        case _:
            return [_scalar(value)]


def keyword(value: SigmaType, sets: Sets) -> list[ir.Operator]:
    """Return the operators of a keyword: text without wildcards is looked for within values.

    Raises:
        ValueFaultError: the value cannot be expressed, or says something about a field.
    """
    return [_keyword(op) for op in operators(value, sets)]


def _keyword(op: ir.Operator) -> ir.Operator:
    match op:
        case ir.TextIs("equals", texts, fold):
            return ir.TextIs("contains", texts, fold)
        case ir.Present(wanted=False) | ir.SameAs():
            message = "null and fieldref need a field"
            raise ValueFaultError(message)
        case _:
            return op


def _scalar(value: SigmaType) -> ir.Operator:
    for kind, convert in _SCALARS:
        if isinstance(value, kind):
            return convert(value)
    message = f"values of type {type(value).__name__} are not supported"
    raise ValueFaultError(message)


def _compare(value: SigmaCompareExpression) -> ir.Operator:
    if value.op not in _ORDERS:
        message = f"comparison {value.op.name} is not supported"
        raise ValueFaultError(message)
    if isinstance(value.number, SigmaTimestampPart):
        message = "a part of a time can be compared for equality only"
        raise ValueFaultError(message)
    return ir.Compare(_ORDERS[value.op], value.number.number)


def _same_as(value: SigmaFieldReference) -> ir.Operator:
    how: ir.How = "equals"
    if value.starts_with:
        how = "contains" if value.ends_with else "startswith"
    elif value.ends_with:
        how = "endswith"
    split(value.field)
    return ir.SameAs(value.field.replace("[]", ""), how)


# In this order: a part of a time is a number too.
_SCALARS: tuple[tuple[type[SigmaType], Callable[[Any], ir.Operator]], ...] = (
    (SigmaTimestampPart, lambda v: ir.InTime(_UNITS[v.timestamp_part], int(v.number))),
    (SigmaNumber, lambda v: ir.TextIs("equals", (str(v.number),), fold=False)),
    (SigmaBool, lambda v: ir.TextIs("equals", ("true" if v.boolean else "false",), fold=True)),
    (SigmaNull, lambda _: ir.Present(wanted=False)),
    (SigmaExists, lambda v: ir.Present(wanted=bool(v))),
    (SigmaCIDRExpression, lambda v: ir.InNetwork((str(v.network),))),
    (SigmaFieldReference, _same_as),
    (SigmaCompareExpression, _compare),
)


def _lookup(sets: Sets):  # type: ignore[no-untyped-def] # noqa: ANN202 - pySigma's own callback type
    def look(placeholder: Placeholder) -> Iterator[SigmaString]:
        if placeholder.name not in sets:
            known = ", ".join(sorted(sets)) or "none"
            message = f"no set is named %{placeholder.name}% (known sets: {known})"
            raise ValueFaultError(message)
        return (SigmaString(text) for text in sets[placeholder.name])

    return look


def _string(value: SigmaString, original: SigmaString) -> ir.Operator:
    fold = not isinstance(original, SigmaCasedString)
    parts = [part for part in value.s if part != ""]
    how: ir.How
    match parts:
        case [SpecialChars.WILDCARD_MULTI]:
            return ir.Present(wanted=True)
        case []:
            how, text = "equals", ""
        case [str(text)]:
            how = "equals"
        case [str(text), SpecialChars.WILDCARD_MULTI]:
            how = "startswith"
        case [SpecialChars.WILDCARD_MULTI, str(text)]:
            how = "endswith"
        case [SpecialChars.WILDCARD_MULTI, str(text), SpecialChars.WILDCARD_MULTI]:
            how = "contains"
        case _:
            return _wildcards(parts, fold=fold)
    return ir.TextIs(how, (text.lower() if fold else text,), fold)


def _wildcards(parts: list[str | SpecialChars | Placeholder], *, fold: bool) -> ir.Operator:
    patterns = {SpecialChars.WILDCARD_MULTI: ".*", SpecialChars.WILDCARD_SINGLE: "."}
    pattern = "".join(
        escape(part) if isinstance(part, str) else patterns[part]  # type: ignore[index]
        for part in parts
    )
    return _checked(rf"(?{'i' if fold else ''}s)\A{pattern}\z")


def _regex(value: SigmaRegularExpression) -> ir.Operator:
    flags = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    return _checked(f"(?{flags}){value.to_plain()}" if flags else value.to_plain())


def _checked(pattern: str) -> ir.Pattern:
    try:
        searcher(pattern)
    except PatternError as error:
        message = f"pattern {shorten(pattern)!r} is refused: {error}"
        raise ValueFaultError(message) from error
    return ir.Pattern(pattern)
