"""Which rules can never fire under an audit policy, which only on a part of what they are for.

A rule is `never` only if the policy records no request in a way that makes it fire. Resources
that Kubernetes itself has are meant in Kubernetes' own API groups.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from tocsin.auditpolicy.assume import Conditions, texts
from tocsin.auditpolicy.fit import Fitting
from tocsin.auditpolicy.kinds import OTHER, Kind, Named, is_offered, kinds, offered_groups
from tocsin.auditpolicy.policy import Decision, Policy, PolicyRule, covers_path
from tocsin.auditpolicy.words import Gap, explain, praise
from tocsin.rules import ir
from tocsin.rules.correlation import Correlation
from tocsin.rules.schema import Schema

State = Literal["full", "partial", "never", "unknown"]

_RANK: dict[State, int] = {"never": 0, "unknown": 1, "partial": 2, "full": 3}


class RuleCoverage(msgspec.Struct, frozen=True):
    """What a rule can see, and why not all.

    `full`: all that it is for; `partial`: a part; `never`: nothing, it cannot fire.
    `unknown` is said only of what was observed: no request that it is for was seen yet.
    """

    rule: ir.Rule | Correlation
    state: State
    why: str


def coverage(policy: Policy, rules: Sequence[ir.Rule], schema: Schema) -> list[RuleCoverage]:
    """Return for each rule, in order, whether it can fire under the policy.

    Args:
        policy: what the API servers record.
        rules: rules of any dialect.
        schema: how rules read an event.
    """
    deciders = _Deciders(policy)
    return [_of_rule(rule, schema, deciders) for rule in rules]


def correlated(
    found: Sequence[RuleCoverage], correlations: Sequence[Correlation]
) -> list[RuleCoverage]:
    """Return what correlations can see, by what their rules can.

    One that needs hits of all of its rules sees what the blindest of these sees, any other what
    the best does.

    Args:
        found: what their rules can see.
        correlations: those first that others are over.
    """
    states = {one.rule.id: one for one in found}
    result = []
    for correlation in correlations:
        over = [states[rule] for rule in correlation.rules if rule in states]
        needs_all = correlation.kind.startswith("temporal") and correlation.formula is None
        pick = min if needs_all else max
        worst = pick(over, key=lambda one: _RANK[one.state])
        one = RuleCoverage(correlation, worst.state, f"{worst.rule.title}: {worst.why}")
        states[correlation.id] = one
        result.append(one)
    return result


def judge(rule: ir.Rule, seen: Sequence[Gap], source: str) -> RuleCoverage:
    """Return what a rule's fits come to.

    Args:
        rule: the rule.
        seen: its fits, of all kinds of requests that it is for.
        source: who recorded, as in "the policy".
    """
    gaps = [gap for gap in seen if gap.fit.verdict in ("starved", "short")]
    if all(gap.fit.verdict == "starved" for gap in seen):
        return RuleCoverage(rule, "never", explain(gaps, source))
    if gaps:
        return RuleCoverage(rule, "partial", explain(gaps, source))
    return RuleCoverage(rule, "full", praise(seen))


def named_by(rule: ir.Rule, groups: frozenset[str]) -> Named:
    """Return what a rule names that Kubernetes does not have; unknown resources in `groups`."""
    resources = {
        (group, resource)
        for resource in texts(rule.match, "objectRef.resource")
        if not is_offered(resource)
        for group in (*groups, *texts(rule.match, "objectRef.apiGroup"), OTHER)
    }
    paths = {text.partition("?")[0] for text in texts(rule.match, "requestURI")}
    return Named(
        resources=frozenset(resources),
        subresources=texts(rule.match, "objectRef.subresource"),
        paths=frozenset(paths),
    )


def _of_rule(rule: ir.Rule, schema: Schema, deciders: "_Deciders") -> RuleCoverage:
    own = named_by(rule, deciders.groups)
    named = Named(
        resources=own.resources | deciders.named.resources,
        subresources=own.subresources,
        paths=own.paths | deciders.named.paths,
    )
    fitting = Fitting(rule, schema)
    gaps = [
        gap
        for kind in kinds(named)
        if fitting.concerns(kind.resource)
        for gap in deciders.gaps(fitting, kind)
    ]
    return judge(rule, gaps, "the policy")


class _Deciders:
    """Which rules of a policy may decide on a kind of request; remembers what it found."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._known: dict[Kind, list[tuple[Decision, Conditions]]] = {}
        parts = [one for rule in policy.rules for one in rule.resources]
        self.groups = frozenset(one.group for one in parts) - offered_groups() - {"*"}
        self.named = Named(
            resources=frozenset(
                (one.group, resource.partition("/")[0])
                for one in parts
                if one.group in self.groups
                for resource in one.resources or (OTHER,)
            ),
            paths=frozenset(
                url.rstrip("*") for rule in policy.rules for url in rule.non_resource_urls
            )
            - {""},
        )

    def gaps(self, fitting: Fitting, kind: Kind) -> Iterator[Gap]:
        """Yield how the rule fits each record that requests of the kind may get."""
        for decision, conditions in self._of(kind):
            fit = fitting.fit(kind, decision.level, decision.omit_stages, conditions)
            if fit is not None:
                yield Gap(kind, fit, decision.level, decision.rule_number, conditions)

    def _of(self, kind: Kind) -> list[tuple[Decision, Conditions]]:
        if kind not in self._known:
            self._known[kind] = list(self._possible(kind))
        return self._known[kind]

    def _possible(self, kind: Kind) -> Iterator[tuple[Decision, Conditions]]:
        for number, rule in enumerate(self._policy.rules, start=1):
            if not _may_match(rule, kind):
                continue
            conditions = _conditions(rule, kind)
            yield self._policy.decision(number), conditions
            if not conditions:
                return
        yield self._policy.decision(None), Conditions()


def _may_match(rule: PolicyRule, kind: Kind) -> bool:
    if rule.verbs and kind.verb not in rule.verbs:
        return False
    if kind.resource is None:
        if rule.resources or rule.namespaces:
            return False
        return not rule.non_resource_urls or covers_path(rule.non_resource_urls, kind.path or "")
    if rule.non_resource_urls:
        return False
    return not rule.resources or any(
        one.covers(kind.api_group, kind.resource, kind.subresource or "") for one in rule.resources
    )


def _conditions(rule: PolicyRule, kind: Kind) -> Conditions:
    """Return what else must hold for the rule to decide on a request of the kind."""
    names: set[str] = set()
    for one in rule.resources:
        if one.covers(kind.api_group, kind.resource or "", kind.subresource or ""):
            if not one.resource_names:
                names.clear()
                break
            names.update(one.resource_names)
    return Conditions(rule.users, rule.user_groups, rule.namespaces, tuple(sorted(names)))
