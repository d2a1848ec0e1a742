"""Which rules can judge an object by itself: those about what it holds, not about how it came."""

from collections.abc import Iterator

from tocsin.rules import ir

# Fields that hold the object, or are computed from it.
_OBJECT = ("requestObject", "responseObject", "podspec")


def judges_objects(rule: ir.Rule) -> bool:
    """Return whether a rule is about the content of objects.

    Facts such as "pod created" are news, and a first time is no property of an object.
    """
    if rule.grade == "audit" or rule.first_seen is not None:
        return False
    return any(path.partition(".")[0] in _OBJECT for path in _paths(rule.match))


def _paths(expr: ir.Expr) -> Iterator[str]:
    """Yield the paths that must have a value for the expression to hold."""
    match expr:
        case ir.AllOf(terms) | ir.AnyOf(terms):
            for term in terms:
                yield from _paths(term)
        case ir.Test(path, ir.Present(wanted=False)):
            return
        case ir.Test(path) | ir.Each(path):
            yield path
        case ir.Not() | ir.Anywhere():
            return
