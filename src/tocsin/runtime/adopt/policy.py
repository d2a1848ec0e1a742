"""What is wrong with an audit policy that was not made for Tocsin's rules."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tocsin.auditpolicy import Policy, Request, RuleCoverage, State, coverage
from tocsin.connect.policy import read_policy
from tocsin.model.errors import TocsinError
from tocsin.normalize.fields import AUDIT
from tocsin.rules.ir import Rule
from tocsin.runtime.doctor.finding import Finding, fault, warning
from tocsin.runtime.doctor.policy import CHECK, judge_coverage, judge_policy

_INSTALL = "install the policy.yaml written here"
_WITH_BODY = frozenset({"Request", "RequestResponse"})
_VERBS = re.compile(r"rules\[(\d+)\]\.resources\[\d+\]\.verbs")


@dataclass(frozen=True, slots=True)
class Judged:
    """A policy with what is wrong with it, and the same rules under the recommended one."""

    findings: list[Finding]
    covered: list[RuleCoverage]
    recommended: list[RuleCoverage]

    @property
    def gain(self) -> str:
        """What the recommended policy is better at, in words."""
        blind, blind_then = (_count(some, "never") for some in (self.covered, self.recommended))
        full, full_then = (_count(some, "full") for some in (self.covered, self.recommended))
        return (
            f"Of {len(self.recommended)} rules, {full_then} see all that they are for (now "
            f"{full}), and {blind_then} can never fire (now {blind})."
        )


def _count(covered: Sequence[RuleCoverage], state: State) -> int:
    return sum(one.state == state for one in covered)


def judge(path: Path, rules: Sequence[Rule]) -> Judged:
    """Return what is wrong with a policy, for these rules above all."""
    recommended = coverage(read_policy("recommended"), rules, AUDIT)
    try:
        policy = read_policy(str(path))
    except TocsinError as error:
        why = "the API server does not start with it"
        return Judged([fault(CHECK, str(error), why, _INSTALL)], [], recommended)
    covered = coverage(policy, rules, AUDIT)
    chosen = {one.rule.id for one in recommended if one.state == "never"}
    mend = f"{_INSTALL}; tocsin rules coverage --policy {path} shows all of it"
    starved = judge_coverage(covered, chosen, str(path), mend)
    findings = [
        *(finding for finding in starved if finding.state != "ok"),
        *judge_writing(policy),
        *judge_secrets(policy),
    ]
    return Judged(findings, covered, recommended)


def judge_writing(policy: Policy) -> Iterator[Finding]:
    """Return what its author may not have meant."""
    inside = {field: place for field in policy.ignored if (place := _VERBS.fullmatch(field))}
    others = tuple(field for field in policy.ignored if field not in inside)
    yield from judge_policy(msgspec.structs.replace(policy, ignored=others))
    for place in inside.values():
        number = int(place[1])
        yield warning(
            CHECK,
            f"`verbs` of rule {number + 1} stands inside of `resources`",
            "the API server does not know it there, logs a warning and goes on: every verb is "
            f"recorded at {policy.rules[number].level}, reading and watching too, which can be "
            "most of the traffic",
            f"put `verbs` beside `resources`, or {_INSTALL}",
        )
    yield from _judge_rest(policy)
    decisions = [policy.decision(number + 1) for number in range(len(policy.rules))]
    if any(one.level in _WITH_BODY and not one.omit_managed_fields for one in decisions):
        yield warning(
            CHECK,
            "bodies are recorded with their managedFields",
            "nobody reads them, and they make events much larger",
            f"add `omitManagedFields: true`, or {_INSTALL}",
        )


def _judge_rest(policy: Policy) -> Iterator[Finding]:
    """Judge what becomes of requests that the author did not think of."""
    decision = policy.level_of(_OTHER)
    if decision.level != "None":
        return
    number = decision.rule_number
    mend = "let it say `level: Metadata`" if number else "end it with `- level: Metadata`"
    yield warning(
        CHECK,
        f"rule {number} drops everything else" if number else "it has no rule for everything else",
        "what no other rule matches is not recorded: new kinds of objects, custom resources",
        f"{mend}, or {_INSTALL}",
    )


def judge_secrets(policy: Policy) -> Iterator[Finding]:
    """Return which credentials the policy writes into the audit log."""
    shown = [
        name for name, request, levels in _CREDENTIALS if policy.level_of(request).level in levels
    ]
    if shown:
        yield warning(
            CHECK,
            f"it records credentials: {', '.join(dict.fromkeys(shown))}",
            "whoever reads the audit log, on its way or in any store behind it, can log in with "
            "them",
            f"record these at Metadata, or {_INSTALL}",
        )


def _request(verb: str, group: str, resource: str, subresource: str = "") -> Request:
    return Request(
        verb=verb,
        api_group=group,
        resource=resource,
        subresource=subresource,
        namespace="default",
        user="somebody",
        groups=("system:authenticated",),
    )


_OTHER = _request("update", "example.com", "anything")
_RESPONSE = frozenset({"RequestResponse"})
# What stands in which body.
_CREDENTIALS = (
    *(("Secrets", _request(v, "", "secrets"), _RESPONSE) for v in ("get", "list", "watch")),
    *(("Secrets", _request(v, "", "secrets"), _WITH_BODY) for v in ("create", "update", "patch")),
    ("tokens of service accounts", _request("create", "", "serviceaccounts", "token"), _RESPONSE),
    (
        "tokens under review",
        _request("create", "authentication.k8s.io", "tokenreviews"),
        _WITH_BODY,
    ),
)
