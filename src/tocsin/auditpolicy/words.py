"""Why a rule cannot see what it is for, in one sentence for the operator of the cluster."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from tocsin.auditpolicy.assume import Conditions
from tocsin.auditpolicy.fit import Fit
from tocsin.auditpolicy.kinds import Kind
from tocsin.auditpolicy.policy import Level

_BODIES = {
    frozenset({"requestObject"}): "request body",
    frozenset({"responseObject"}): "response body",
}
_MOST_VERBS = 4
_MOST_TARGETS = 4
_MOST_CLAUSES = 3


class Gap(msgspec.Struct, frozen=True):
    """How a rule fits the record of one kind of request, and what in the policy made it so.

    `number` is the policy's rule that decides, None where none matches or none is known.
    """

    kind: Kind
    fit: Fit
    level: Level
    number: int | None
    conditions: Conditions = Conditions()


def explain(gaps: Iterable[Gap], source: str) -> str:
    """Return what is missing, the gaps of one reason together, those of most targets first."""
    groups: dict[tuple[object, ...], list[Gap]] = defaultdict(list)
    for gap in gaps:
        groups[gap.fit, gap.level, gap.number, gap.conditions].append(gap)
    if not groups:
        return "Kubernetes has no request that the rule is for"
    clauses = [_clause(group, source) for group in _worst_first(groups.values())]
    more = len(clauses) - _MOST_CLAUSES
    return "; ".join(clauses[:_MOST_CLAUSES]) + (f"; and {more} more reasons" if more > 0 else "")


def praise(gaps: Sequence[Gap]) -> str:
    """Return what a rule lives on, where nothing keeps it from firing."""
    noisy = [gap for gap in gaps if gap.fit.verdict == "noisy"]
    if noisy:
        targets = _targets(gap.kind for gap in noisy)
        return f"its exceptions need the {_body(noisy[0].fit)} of {targets}: expect false alarms"
    return ""


def _worst_first(groups: Iterable[list[Gap]]) -> list[list[Gap]]:
    return sorted(groups, key=lambda group: (group[0].fit.verdict != "starved", -len(group)))


def _clause(gaps: Sequence[Gap], source: str) -> str:
    first = gaps[0]
    what = f"{_requests([gap.kind for gap in gaps])}{_among(first.conditions)}"
    place = f" (rule {first.number})" if first.number else ""
    match first.fit.lack:
        case "record" if first.number is None:
            return f"no rule of {source} matches {what}, so it is not recorded"
        case "record":
            return f"{source} leaves out {what}{place}"
        case "stage":
            return f"{source} omits the stage that shows {what}{place}"
        case "readable patch":
            return f"{source} records {what} without the response{place}: only the raw patch shows"
        case _:
            need = _body(first.fit)
            return f"needs the {need}; {source} records {what} at {first.level}{place}"


def _body(fit: Fit) -> str:
    return _BODIES.get(fit.lacking, "body")


def _requests(kinds: Sequence[Kind]) -> str:
    verbs = list(dict.fromkeys(kind.verb for kind in kinds))
    listed = ", ".join(verbs) if len(verbs) <= _MOST_VERBS else "requests"
    return f"{listed} {'of' if len(verbs) <= _MOST_VERBS else 'for'} {_targets(kinds)}"


def _targets(kinds: Iterable[Kind]) -> str:
    names = list(dict.fromkeys(kind.label for kind in kinds))
    more = len(names) - _MOST_TARGETS
    shown = names if more <= 1 else names[:_MOST_TARGETS]
    return ", ".join(shown) + (f" and {more} more" if more > 1 else "")


def _among(conditions: Conditions) -> str:
    """Return to whom or what a rule of the policy restricts itself."""
    parts = []
    callers = [*conditions.users, *conditions.groups]
    if callers:
        parts.append(f" by {', '.join(callers)}")
    if conditions.namespaces:
        parts.append(f" in {', '.join(name or 'no namespace' for name in conditions.namespaces)}")
    if conditions.names:
        parts.append(f" named {', '.join(conditions.names)}")
    return "".join(parts)
