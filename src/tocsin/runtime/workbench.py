"""The functions about rules that pages need, over the rules in force."""

from collections.abc import Callable, Mapping, Sequence

from tocsin.auditpolicy.coverage import RuleCoverage
from tocsin.auditpolicy.observed import observed_coverage
from tocsin.model.alert import Alert
from tocsin.model.events import FoundEvent
from tocsin.model.ports import SourceLog
from tocsin.normalize.fields import AUDIT
from tocsin.rules.explain import Explanation
from tocsin.rules.ir import Rule
from tocsin.runtime.explaining import explain_alert
from tocsin.runtime.rulefile import read_rule_file
from tocsin.runtime.rules import InForce, Sets
from tocsin.runtime.trying import try_rule
from tocsin.web.workbench import Firing, RuleKey, Workbench

# Of several clusters, what holds for the one that sees most.
_BEST_FIRST = ("full", "partial", "never", "unknown")


def make_workbench(rules: Callable[[], InForce], sources: SourceLog, sets: Sets) -> Workbench:
    """Return the functions for pages about rules.

    Args:
        rules: the rules in force.
        sources: what clusters were seen to record.
        sets: texts that users add to the named sets of the built-in rules.
    """

    def explained(alert: Alert, found: FoundEvent | None) -> Explanation:
        return explain_alert(alert, rules(), found)

    return Workbench(
        rules=lambda: rules().references(),
        file_of=read_rule_file,
        firing=lambda: _firing(rules().rules, sources),
        explain=explained,
        try_rule=lambda text, events: try_rule(text, events, sets),
    )


def _firing(rules: Sequence[Rule], sources: SourceLog) -> Mapping[RuleKey, Firing]:
    clusters = sorted({source.cluster for source in sources.sources()})
    found: dict[RuleKey, Firing] = {}
    for cluster in clusters:
        for one in observed_coverage(sources.observations(cluster), rules, AUDIT):
            key = (one.rule.dialect, one.rule.id)
            firing = _told(one, cluster if len(clusters) > 1 else "")
            if key not in found or _rank(firing) < _rank(found[key]):
                found[key] = firing
    return found


def _told(one: RuleCoverage, cluster: str) -> Firing:
    why = f"{cluster}: {one.why}" if cluster and one.why else one.why
    return Firing(one.state, why)


def _rank(firing: Firing) -> int:
    return _BEST_FIRST.index(firing.state)
