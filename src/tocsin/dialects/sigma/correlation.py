"""Sigma correlations: parsed by pySigma, resolved and turned into our representation here.

Rules are named by their `name` or `id`, over all files. A correlation over a rule that did not
load does not load either; one that leads back to itself is refused.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple, cast

import msgspec
from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionOR,
    SigmaCorrelationCondition,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)

from tocsin.dialects.sigma.extension import Extension
from tocsin.dialects.yaml import Document
from tocsin.model.errors import Fault, LoadError
from tocsin.rules import ir
from tocsin.rules.correlation import (
    Both,
    Comparison,
    Correlation,
    Either,
    Formula,
    Kind,
    Limit,
    Named,
    Neither,
)
from tocsin.rules.paths import PathError, split

Ids = Mapping[str, str]
"""The id of each rule and correlation, by name and by id."""


class Source(NamedTuple):
    """A correlation as it was read."""

    document: Document
    parsed: SigmaCorrelationRule
    extension: Extension

    @property
    def id(self) -> str:
        """The dialect's id."""
        return str(self.parsed.id or self.parsed.name or self.parsed.title)


def resolve(
    sources: Sequence[Source], ids: Ids, describe: Callable[[Source], dict[str, object]]
) -> tuple[list[Correlation], list[Fault]]:
    """Return the correlations whose rules are all there, those first that others are over.

    Args:
        sources: what was read, without faults of its own.
        ids: of all rules that loaded, and of the correlations.
        describe: returns the parts that any rule has: title, severity and the like.
    """
    faults: list[Fault] = []
    known = {*ids.values()} - {source.id for source in sources}
    by_id = {source.id: source for source in sources}
    found: list[Correlation] = []
    for name in _in_order(by_id, ids, faults):
        try:
            one = _correlation(by_id[name], ids, known, describe(by_id[name]))
        except LoadError as error:
            faults.extend(error.faults)
        else:
            found.append(one)
            known.add(one.id)
    return found, faults


def names(source: Source) -> list[str]:
    """Return the names of the rules whose hits count, in their order."""
    if source.parsed.rules is not None:
        return [reference.reference for reference in source.parsed.rules]
    condition = source.parsed.condition
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        return condition.get_referenced_rules()
    return []


def silenced(rules: Sequence[ir.Rule], sources: Sequence[Source], ids: Ids) -> list[ir.Rule]:
    """Return the rules, those silent that only count for correlations of their own file.

    Sigma would silence rules wherever they are. A correlation that somebody adds must not take
    away the alerts of a rule that others rely on.
    """
    files = {rule.id: rule.at.path for rule in rules}
    silent = {name for name, path in _used(sources, ids, generate=False) if files.get(name) == path}
    told = {name for name, _ in _used(sources, ids, generate=True)}
    return [
        msgspec.structs.replace(rule, silent=True) if rule.id in silent - told else rule
        for rule in rules
    ]


def _used(sources: Sequence[Source], ids: Ids, *, generate: bool) -> Iterator[tuple[str, str]]:
    for source in sources:
        if source.parsed.generate is generate:
            yield from ((ids.get(name, name), source.document.path) for name in names(source))


def _in_order(by_id: Mapping[str, Source], ids: Ids, faults: list[Fault]) -> list[str]:
    graph = {
        name: [ids[one] for one in names(source) if ids.get(one) in by_id]
        for name, source in by_id.items()
    }
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle = cast("list[str]", error.args[1])
        source = by_id[cycle[0]]
        titles = " of ".join(by_id[name].parsed.title for name in cycle)
        message = f"the correlation leads back to itself: {titles}"
        faults.append(Fault(message, source.document.at("correlation", "rules"), "rules"))
        rest = {name: one for name, one in by_id.items() if name not in cycle}
        return _in_order(rest, ids, faults)


def _correlation(source: Source, ids: Ids, known: set[str], head: dict[str, object]) -> Correlation:
    document, parsed = source.document, source.parsed
    named = names(source)
    missing = [name for name in named if ids.get(name) not in known]
    if missing:
        message = f"there is no rule {missing[0]!r}, or it did not load"
        raise LoadError([Fault(message, document.at("correlation", "rules"), "rules")])
    group_by = tuple(parsed.group_by or ())
    limit, formula = _condition(source, ids)
    field, percentile = _measured(parsed.condition)
    _check_paths(document, [*group_by, *([field] if field else [])])
    return Correlation(
        **head,  # type: ignore[arg-type]
        kind=cast("Kind", parsed.type.name.lower()),
        rules=tuple(ids[name] for name in named),
        timespan=float(parsed.timespan.seconds),
        group_by=group_by,
        paths=_paths(parsed, named, ids, group_by),
        field=field,
        limit=limit,
        percentile=percentile,
        formula=formula,
    )


def _paths(
    parsed: SigmaCorrelationRule, named: Sequence[str], ids: Ids, group_by: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return where each rule's events have the fields that hits are grouped by."""
    aliases = {
        alias.alias: {one.reference: path for one, path in alias.mapping.items()}
        for alias in parsed.aliases
    }
    return {
        ids[name]: tuple(aliases.get(group, {}).get(name, group) for group in group_by)
        for name in named
    }


def _condition(source: Source, ids: Ids) -> tuple[Limit | None, Formula | None]:
    condition, kind = source.parsed.condition, source.parsed.type.name.lower()
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        if kind == "temporal_ordered":
            message = "temporal_ordered takes the order of its rules, and no expression"
            at = source.document.at("correlation", "condition")
            raise LoadError([Fault(message, at, "condition")])
        return None, _formula(condition.parsed, ids)
    if kind.startswith("temporal"):
        return None, None
    comparison = cast("Comparison", condition.op.name.lower())
    return Limit(comparison, float(condition.count)), None


def _formula(node: CorrelationConditionItem | SigmaRuleReference, ids: Ids) -> Formula:
    if isinstance(node, SigmaRuleReference):
        return Named(ids[node.reference])
    terms = tuple(_formula(term, ids) for term in node.args)
    if isinstance(node, CorrelationConditionAND):
        return Both(terms)
    return Either(terms) if isinstance(node, CorrelationConditionOR) else Neither(terms[0])


def _measured(
    condition: SigmaCorrelationCondition | SigmaExtendedCorrelationCondition,
) -> tuple[str | None, float]:
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        return None, 50.0
    field = condition.fieldref
    path = field[0] if isinstance(field, list) else field
    return path, 50.0 if condition.percentile is None else float(condition.percentile)


def _check_paths(document: Document, paths: Sequence[str]) -> None:
    for path in paths:
        try:
            split(path)
        except PathError as error:
            raise LoadError([Fault(str(error), document.at("correlation"), path)]) from error
