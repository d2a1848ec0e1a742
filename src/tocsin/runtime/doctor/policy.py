"""The audit policy: which rules can never find anything under it."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from tocsin.auditpolicy import (
    Policy,
    RuleCoverage,
    coverage,
    observed_coverage,
)
from tocsin.connect.policy import read_policy
from tocsin.model.alert import SEVERITIES
from tocsin.model.errors import TocsinError
from tocsin.model.ports import Observation
from tocsin.normalize.fields import AUDIT
from tocsin.rules.ir import Rule
from tocsin.runtime.config import Config
from tocsin.runtime.doctor.finding import Finding, fault, ok, skipped, warning
from tocsin.store.sqlite import read_store

CHECK = "policy"

_BETTER = "tocsin setup --policy recommended writes one that the shipped rules are made for"
_EXAMPLES = 3
_ENOUGH_REQUESTS = 200


def examine_file(path: Path, rules: Sequence[Rule]) -> list[Finding]:
    """Judge the policy in a file."""
    try:
        policy = read_policy(str(path))
    except TocsinError as error:
        why = "the API server does not start with it"
        return [fault(CHECK, str(error), why, _BETTER)]
    mend = f"tocsin rules coverage --policy {path} shows all of it; {_BETTER}"
    covered = coverage(policy, rules, AUDIT)
    chosen = starved_by_choice(rules)
    return [*judge_policy(policy), *judge_coverage(covered, chosen, str(path), mend)]


def examine_events(config: Config, rules: Sequence[Rule]) -> list[Finding]:
    """Judge by what arrived what the policy of each cluster seems to record."""
    with read_store(config.store_path) as store:
        clusters = sorted({state.cluster for state in store.sources.sources()})
        seen = {cluster: store.sources.observations(cluster) for cluster in clusters}
    if not seen:
        return [skipped(CHECK, "no event has come yet that would show what a policy records")]
    return [
        finding
        for cluster, observations in seen.items()
        for finding in judge_events(cluster, observations, rules)
    ]


def judge_events(
    cluster: str, observations: Sequence[Observation], rules: Sequence[Rule]
) -> list[Finding]:
    """Judge what a cluster was seen to record; little that was seen says little."""
    if sum(one.count for one in observations) < _ENOUGH_REQUESTS:
        return [skipped(CHECK, f"too few events of {cluster} have come to tell its policy")]
    source = f"what {cluster} is seen to record"
    mend = f"tocsin doctor --policy FILE tells it for certain; {_BETTER}"
    covered = observed_coverage(observations, rules, AUDIT)
    return judge_coverage(covered, starved_by_choice(rules), source, mend)


def judge_policy(policy: Policy) -> Iterator[Finding]:
    """Return what is odd about a policy besides what it keeps from rules."""
    if policy.ignored:
        yield warning(
            CHECK,
            f"{policy.name} has fields that the API server does not know: "
            f"{', '.join(policy.ignored)}",
            "what they were meant to do is not done",
            "look for a misspelling",
        )
    decisions = [policy.decision(number + 1) for number in range(len(policy.rules))]
    twice = [d for d in decisions if d.level != "None" and "RequestReceived" not in d.omit_stages]
    if twice:
        yield warning(
            CHECK,
            f"{policy.name} records the stage RequestReceived",
            "every request is recorded twice, and the first time it says less",
            'add `omitStages: ["RequestReceived"]` to the policy',
        )


def judge_coverage(
    covered: Sequence[RuleCoverage], chosen: Collection[str], source: str, mend: str
) -> list[Finding]:
    """Judge how many rules can fire under `source`, and say which cannot and why.

    `chosen` are the ids of rules that the recommended policy starves too: it records no bodies
    of Secrets, and these rules are for policies that do.
    """
    never = [one for one in covered if one.state == "never" and one.rule.id not in chosen]
    if not never:
        return [ok(CHECK, _all_well(covered, source))]
    never.sort(key=lambda one: -SEVERITIES.index(one.rule.severity))
    examples = "; ".join(f"{one.rule.title}: {one.why}" for one in never[:_EXAMPLES])
    what = f"{len(never)} of {len(covered)} rules can never fire under {source}"
    why = f"what they are for is not seen, such as {examples}"
    return [warning(CHECK, what, why, mend)]


def _all_well(covered: Sequence[RuleCoverage], source: str) -> str:
    counts = Counter(one.state for one in covered)
    able = counts["full"] + counts["partial"]
    remarks = {
        f"{counts['partial']} of them only on a part": counts["partial"],
        f"of {counts['unknown']} nothing is known yet": counts["unknown"],
        f"{counts['never']} cannot under the recommended policy either": counts["never"],
    }
    said = [remark for remark, count in remarks.items() if count]
    return ", ".join([f"under {source}, {able} of {len(covered)} rules can fire", *said])


def starved_by_choice(rules: Sequence[Rule]) -> frozenset[str]:
    """Return the ids of rules that can never fire under the recommended policy."""
    covered = coverage(read_policy("recommended"), rules, AUDIT)
    return frozenset(one.rule.id for one in covered if one.state == "never")
