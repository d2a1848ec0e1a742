"""What `auditpolicy` says of rules and policies, held against real events.

The recording with bodies is cut down to what another policy would have recorded of the same
requests. A rule that still fires must not be called `never`; one that fires less must not be
called `full`.
"""

import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import msgspec
import pytest

from tests.attack.recordings import recording
from tests.conformance.test_audit_policy import request_of, shipped
from tocsin.auditpolicy import Level, Policy, RuleCoverage, coverage, observed_coverage
from tocsin.auditpolicy.parse import parse_policy
from tocsin.model.event import AuditEvent
from tocsin.model.ports import Observation
from tocsin.normalize.decode import decode
from tocsin.normalize.fields import AUDIT
from tocsin.rules.dispatch import RuleSet
from tocsin.rules.ir import Rule
from tocsin.runtime.rules import load_rules

WORDS = (
    {"group": "", "resources": ["pods"]},
    {"group": "", "resources": ["pods/*"]},
    {"group": "", "resources": ["secrets", "serviceaccounts"]},
    {"group": "", "resources": ["*/token", "nodes/proxy"]},
    {"group": "rbac.authorization.k8s.io"},
    {"group": "*", "resources": ["*/approval", "certificatesigningrequests"]},
    {"group": "apps"},
    {"group": ""},
)
POLICIES = ["recommended", "seed", *range(6)]


@cache
def rules() -> Sequence[Rule]:
    return load_rules([]).rules


@cache
def events(name: str) -> tuple[AuditEvent, ...]:
    # The bodies are kept by the cache of recordings, so that their raw parts stay good.
    return tuple(event for body in recording(name).bodies for event in decode(body).events)


@cache
def compiled() -> RuleSet:
    return RuleSet(rules(), AUDIT)


def fired(sample: Sequence[AuditEvent | None]) -> dict[str, set[int]]:
    """Return for each rule the places of the events on which it fires."""
    found: dict[str, set[int]] = {rule.id: set() for rule in rules()}
    for place, event in enumerate(sample):
        if event is not None:
            for index in compiled().match(event):
                found[rules()[index].id].add(place)
    return found


def cut(event: AuditEvent, policy: Policy) -> AuditEvent | None:
    """Return what a policy would have recorded of a full event."""
    decision = policy.level_of(request_of(event))
    if decision.level == "None" or event.stage in decision.omit_stages:
        return None
    bodies: dict[str, Any] = {}
    if decision.level != "RequestResponse":
        bodies["response_object"] = msgspec.Raw()
    if decision.level == "Metadata":
        bodies["request_object"] = msgspec.Raw()
    return msgspec.structs.replace(event, level=decision.level, **bodies)


@cache
def policy_of(choice: str | int) -> Policy:
    if isinstance(choice, str):
        return shipped(choice)
    draw = random.Random(choice)
    found = [_rule(draw) for _ in range(draw.randint(3, 7))]
    found.append({"level": draw.choice(("None", "Metadata", "Request", "RequestResponse"))})
    document = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": found}
    return parse_policy(document, f"random {choice}")


def _rule(draw: random.Random) -> dict[str, object]:
    rule: dict[str, object] = {"level": draw.choice(("None", "Metadata", "Request"))}
    rule["resources"] = draw.sample(WORDS, draw.randint(1, 2))
    if draw.random() < 0.4:
        rule["verbs"] = draw.sample(["create", "get", "list", "patch", "update"], 2)
    if draw.random() < 0.2:
        rule["users"] = ["kubernetes-admin"]
    if draw.random() < 0.2:
        rule["userGroups"] = ["system:masters"]
    if draw.random() < 0.2:
        rule["namespaces"] = ["default", ""]
    if draw.random() < 0.2:
        rule["omitStages"] = ["ResponseComplete"]
    return rule


@pytest.mark.parametrize("choice", POLICIES)
def test_verdicts_hold_on_what_each_policy_would_have_recorded(choice: str | int) -> None:
    policy = policy_of(choice)
    full = fired(events("full-policy"))
    under = fired([cut(event, policy) for event in events("full-policy")])
    for one in found(choice):
        seen = under[one.rule.id]
        if one.state == "never":
            assert not seen, (one.rule.title, one.why)
        elif one.state == "full":
            assert full[one.rule.id] <= seen, (one.rule.title, one.why)


def test_verdicts_are_of_all_three_kinds() -> None:
    """Else the test above would show nothing."""
    states = [one.state for choice in POLICIES[2:] for one in found(choice)]
    assert min(states.count(state) for state in ("full", "partial", "never")) > 20


@cache
def found(choice: str | int) -> list[RuleCoverage]:
    return coverage(policy_of(choice), rules(), AUDIT)


def test_rules_that_fire_in_the_seeds_recording_are_not_called_never() -> None:
    never = {one.rule.id for one in found("seed") if one.state == "never"}
    # The seed's policy keeps bodies of pods only.
    assert len(never) > len(rules()) / 10
    hits = fired(events("seed-policy"))
    assert not [rule for rule in never if hits[rule]]


def seen(sample: Sequence[AuditEvent | None]) -> Iterator[Observation]:
    for event in sample:
        if event is not None:
            asked = request_of(event)
            yield Observation(
                event.verb,
                asked.api_group or None,
                asked.resource,
                asked.subresource or None,
                event.level,
                1,
            )


@pytest.mark.parametrize("choice", ["recommended", "seed", 1])
def test_what_is_observed_agrees_with_what_fires(choice: str | int) -> None:
    sample = [cut(event, policy_of(choice)) for event in events("full-policy")]
    hits = fired(sample)
    for one in observed_coverage(seen(sample), rules(), AUDIT):
        assert one.state not in ("never", "unknown") or not hits[one.rule.id], one


def test_bodies_that_never_arrive_are_noticed() -> None:
    level: Level = "Metadata"
    observations = [
        Observation("create", None, "pods", None, level, 7),
        Observation("create", "rbac.authorization.k8s.io", "clusterroles", None, level, 2),
        Observation("get", None, "secrets", None, level, 2),
    ]
    verdicts = {
        one.rule.title: (one.state, one.why)
        for one in observed_coverage(observations, rules(), AUDIT)
    }
    assert verdicts["Privileged container"] == (
        "never",
        "needs the body; the cluster records create of pods at Metadata",
    )
    assert verdicts["Secrets of all namespaces listed"][0] == "unknown"
    assert verdicts["Pod created"][0] == "full"
