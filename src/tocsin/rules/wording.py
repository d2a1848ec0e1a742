"""What a condition asks, in words for the person who wonders why a rule fired."""

from collections.abc import Sequence

from tocsin.rules import ir

# Texts of one condition that are written out; lists of thousands of names exist.
MAX_TEXTS = 12

_HOWS: dict[ir.How, str] = {
    "equals": "is",
    "startswith": "starts with",
    "endswith": "ends with",
    "contains": "contains",
}
_ORDERS: dict[ir.Order, str] = {
    "lt": "is below",
    "lte": "is at most",
    "gt": "is above",
    "gte": "is at least",
}


def asked(subject: str, op: ir.Operator) -> str:
    """Return the sentence for an operator, as in `verb is "create" or "patch"`."""
    return f"{subject} {_predicate(op)}"


def _predicate(op: ir.Operator) -> str:  # noqa: PLR0911 - one for each operator
    match op:
        case ir.TextIs(how, texts, fold):
            exactly = "" if fold else " (upper and lower case count)"
            return f"{_HOWS[how]} {_one_of(texts)}{exactly}"
        case ir.Pattern(regex):
            return f"matches the expression {regex}"
        case ir.InNetwork(networks):
            return f"is an address in {_one_of(networks)}"
        case ir.Compare(order, number):
            return f"{_ORDERS[order]} {number}"
        case ir.InTime(unit, number):
            return f"is a time whose {unit} is {number}, in UTC"
        case ir.Present(wanted):
            return "has a value" if wanted else "has no value"
        case ir.SameAs(path, how):
            return f"{_HOWS[how]} the value of {path}"


def _one_of(texts: Sequence[str]) -> str:
    quoted = [f'"{text}"' for text in texts[:MAX_TEXTS]]
    more = len(texts) - len(quoted)
    if more > 0:
        return f"{', '.join(quoted)} or one of {more} more"
    return " or ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]])) or "nothing at all"
