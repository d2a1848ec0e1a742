"""Which rules cannot fire on what a cluster was seen to send: the policy inferred from events.

Less certain than reading the policy: a level may hold for some users or namespaces only, so
the highest level seen of a kind of request counts. Kinds never seen prove nothing.
"""

from collections.abc import Iterable, Sequence

from tocsin.auditpolicy.assume import Conditions
from tocsin.auditpolicy.coverage import RuleCoverage, judge
from tocsin.auditpolicy.fit import Fitting
from tocsin.auditpolicy.kinds import Kind
from tocsin.auditpolicy.policy import LEVELS, Level
from tocsin.auditpolicy.words import Gap
from tocsin.model.ports import Observation
from tocsin.rules import ir
from tocsin.rules.schema import Schema


def observed_coverage(
    observations: Iterable[Observation], rules: Sequence[ir.Rule], schema: Schema
) -> list[RuleCoverage]:
    """Return for each rule, in order, whether it could fire on what was seen.

    `never` means: of all requests seen that the rule is for, none carried what it needs.
    """
    levels = _highest(observations)
    return [_of_rule(rule, levels, schema) for rule in rules]


def _highest(observations: Iterable[Observation]) -> dict[Kind, Level]:
    levels: dict[Kind, Level] = {}
    for seen in observations:
        level = next((known for known in LEVELS if known == seen.level), None)
        if level is None:
            continue
        kind = Kind(seen.verb, seen.api_group or "", seen.resource, seen.subresource)
        best = levels.setdefault(kind, level)
        if LEVELS.index(level) > LEVELS.index(best):
            levels[kind] = level
    return levels


def _of_rule(rule: ir.Rule, levels: dict[Kind, Level], schema: Schema) -> RuleCoverage:
    fitting = Fitting(rule, schema)
    seen = [
        Gap(kind, fit, level, None)
        for kind, level in levels.items()
        if fitting.concerns(kind.resource)
        and (fit := fitting.fit(kind, level, frozenset(), Conditions())) is not None
    ]
    if not seen:
        return RuleCoverage(rule, "unknown", "no request that it is for was seen yet")
    return judge(rule, seen, "the cluster")
