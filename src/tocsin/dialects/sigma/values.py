"""Sigma values and modifiers, as operators of the rule representation.

Text matches the whole value and ignores case unless `cased`; numbers and booleans are
compared by their canonical text, so 403 and '403' are the same.
"""

from collections.abc import Iterator, Mapping, Sequence

from sigma.exceptions import SigmaError
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
from tocsin.rules.regex import PatternError, escape, searcher

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


class ValueFault(ValueError):
    """A value that cannot be expressed, with the reason."""


def operators(value: SigmaType, sets: Sets) -> list[ir.Operator]:
    """Return the operators that a value stands for; any of them satisfies it.

    Args:
        value: a value of pySigma's syntax tree.
        sets: the texts behind `%name%` placeholders.

    Raises:
        ValueFault: the value cannot be expressed.
    """
    match value:
        case SigmaExpansion():
            return [op for one in value.values for op in operators(one, sets)]
        case SigmaRegularExpression():
            return [_regex(one) for one in value.replace_placeholders(_lookup(sets))]
        case SigmaString():
            return [_string(one, value) for one in _expand(value, sets)]
        case _:
            return [_scalar(value)]


def keyword(value: SigmaType, sets: Sets) -> list[ir.Operator]:
    """Return the operators of a keyword: text without wildcards is looked for within values."""
    return [
        ir.TextIs("contains", op.texts, op.fold)
        if isinstance(op, ir.TextIs) and op.how == "equals"
        else op
        for op in operators(value, sets)
    ]


def _scalar(value: SigmaType) -> ir.Operator:
    match value:
        case SigmaTimestampPart():
            return ir.InTime(_UNITS[value.timestamp_part], int(value.number))
        case SigmaNumber():
            return ir.TextIs("equals", (str(value.number),), fold=False)
        case SigmaBool():
            return ir.TextIs("equals", ("true" if value.boolean else "false",), fold=True)
        case SigmaNull():
            return ir.Present(wanted=False)
        case SigmaExists():
            return ir.Present(wanted=bool(value))
        case SigmaCIDRExpression():
            return ir.InNetwork((str(value.network),))
        case SigmaFieldReference():
            how: ir.How = "equals"
            if value.starts_with:
                how = "contains" if value.ends_with else "startswith"
            elif value.ends_with:
                how = "endswith"
            return ir.SameAs(value.field, how)
        case SigmaCompareExpression() if value.op in _ORDERS:
            return ir.Compare(_ORDERS[value.op], value.number.number)
        case _:
            message = f"values of type {type(value).__name__} are not supported"
            raise ValueFault(message)


def _lookup(sets: Sets):  # type: ignore[no-untyped-def] # noqa: ANN202 - pySigma's own callback type
    def look(placeholder: Placeholder) -> Iterator[SigmaString]:
        if placeholder.name not in sets:
            known = ", ".join(sorted(sets)) or "none"
            message = f"no set is named %{placeholder.name}% (known sets: {known})"
            raise ValueFault(message)
        return (SigmaString(text) for text in sets[placeholder.name])

    return look


def _expand(value: SigmaString, sets: Sets) -> list[SigmaString]:
    try:
        return value.replace_placeholders(_lookup(sets))
    except SigmaError as error:
        raise ValueFault(str(error)) from error


def _string(value: SigmaString, original: SigmaString) -> ir.Operator:
    fold = not isinstance(original, SigmaCasedString)
    parts = [part for part in value.s if part != ""]
    match parts:
        case []:
            return ir.TextIs("equals", ("",), fold)
        case [SpecialChars.WILDCARD_MULTI]:
            return ir.Present(wanted=True)
        case [str(text)]:
            return _text("equals", text, fold=fold)
        case [str(text), SpecialChars.WILDCARD_MULTI]:
            return _text("startswith", text, fold=fold)
        case [SpecialChars.WILDCARD_MULTI, str(text)]:
            return _text("endswith", text, fold=fold)
        case [SpecialChars.WILDCARD_MULTI, str(text), SpecialChars.WILDCARD_MULTI]:
            return _text("contains", text, fold=fold)
    wildcards = {SpecialChars.WILDCARD_MULTI: ".*", SpecialChars.WILDCARD_SINGLE: "."}
    pattern = "".join(
        escape(part) if isinstance(part, str) else wildcards[part]  # type: ignore[index]
        for part in parts
    )
    return ir.Pattern(rf"(?{'i' if fold else ''}s)\A{pattern}\z")


def _text(how: ir.How, text: str, *, fold: bool) -> ir.Operator:
    return ir.TextIs(how, (text.lower() if fold else text,), fold)


def _regex(value: SigmaRegularExpression) -> ir.Operator:
    flags = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    pattern = f"(?{flags}){value.to_plain()}" if flags else value.to_plain()
    try:
        searcher(pattern)
    except PatternError as error:
        message = f"regular expression {pattern!r} is refused: {error}"
        raise ValueFault(message) from error
    return ir.Pattern(pattern)
