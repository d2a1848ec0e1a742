"""The shipped rules' own tests, and what must hold for every one of their hits."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tocsin.normalize.decode import decode
from tocsin.normalize.fields import AUDIT
from tocsin.rules.dispatch import RuleSet
from tocsin.rules.ir import Grade, Rule
from tocsin.runtime.rules import content_folder, load_rules, rule_files
from tocsin.runtime.ruletest import event_lines, has_hit_and_miss, read_cases, run_tests, sidecar

RULES = content_folder() / "sigma"

# Names that exclusions know. Each can be had: by certificate, token, or as one pleases.
EXCLUDED_NAMES = [
    "system:apiserver",
    "system:kube-controller-manager",
    "system:node:node-a",
    "system:bootstrap:abcdef",
    "system:serviceaccount:kube-system:certificate-controller",
    "system:serviceaccount:kube-system:clusterrole-aggregation-controller",
    "system:serviceaccount:kube-system:service-account-controller",
    "system:serviceaccount:cert-manager:cert-manager",
]
# What else exclusions ask for, without a name that they know.
BORROWED_CLAIMS = {
    "groups": ["system:masters", "system:nodes", "system:bootstrappers", "system:authenticated"],
    "extra": {"authentication.kubernetes.io/pod-name": ["web"]},
}
BORROWED_AGENT = "kube-controller-manager/v1.36.3"

# Rules that are about certain identities, whatever else is said.
ABOUT_IDENTITIES = {
    "account-asks-who-it-is",
    "anonymous-request-allowed",
    "anonymous-writes-workload",
    "break-glass-user",
    "new-certificate-of-masters",
    "pod-without-workload",
    "bootstrap-token-first-used",
    "control-plane-identity-misused",
    "token-secret-filled",
    "escape-pod-of-workload",
    "gitops-identity-by-hand",
    "gitops-identity-with-new-program",
    "gitops-token-outside-pod",
    "node-oversteps",
    "node-identity-misused",
    "node-identity-used-by-another-program",
    "node-token-request-refused",
    "rights-changed-by-new-service-account",
    "secret-read-by-new-service-account",
    "secret-read-through-arc",
    "system-identity-from-public-address",
    "token-requested-across-namespaces",
}
# Rules about what a program calls itself.
ABOUT_AGENTS = {"attack-tool", "secret-read-by-script"}
# Rules that count attempts, or requests of any kind.
ABOUT_ANY_REQUEST = {
    "admission-policy-violated",
    "anonymous-request-allowed",
    "attack-tool",
    "break-glass-user",
    "new-certificate-of-masters",
    "bootstrap-token-first-used",
    "control-plane-identity-misused",
    "gitops-identity-with-new-program",
    "gitops-token-outside-pod",
    "impersonation-denied",
    "impersonation-for-the-first-time",
    "invalidated-token-tried",
    "legacy-token-from-new-address",
    "legacy-token-used",
    "node-identity-misused",
    "node-identity-used-by-another-program",
    "privileged-impersonation",
    "stale-token-used",
    "system-identity-from-public-address",
}
ABOUT_ATTEMPTS = {
    *ABOUT_ANY_REQUEST,
    "anonymous-writes-workload",
    "certificate-approval-refused",
    "node-join-refused",
    "secret-access-denied",
    "workload-creation-denied",
}
# Rules on ways into a container or node, by whatever verb.
ABOUT_ANY_VERB = {
    "download-and-run-by-exec",
    "download-by-exec",
    "files-copied",
    "kubelet-api-access",
    "kubelet-command",
    "metadata-service-by-exec",
    "pod-reached-through-api-server",
    "port-forwarded",
    "reverse-shell-by-exec",
    "sensitive-file-read-by-exec",
}
# Rules on who writes the status of an object.
ABOUT_STATUS = {
    "node-oversteps",
    "node-status-written-by-newcomer",
    "pod-status-written-by-newcomer",
    "service-status-written-by-newcomer",
}

Event = dict[str, Any]


@cache
def shipped() -> list[Rule]:
    """Return the shipped rules of all grades, also those that are off by default."""
    return load_rules([], grades=get_args(Grade)).rules


def hits() -> Iterator[tuple[str, Event]]:
    """Yield every single event in the shipped tests that raises an alert, with its rule."""
    for rule_file in rule_files(RULES):
        if "\ncorrelation:" in rule_file.read_text():
            continue
        tests = sidecar(rule_file)
        for at, case in read_cases(tests):
            if case.expected:
                line = event_lines(case.events[0], 1, tests.parent, at)[0]
                yield rule_file.stem, msgspec.json.decode(line)


@cache
def rule_sets() -> dict[str, RuleSet]:
    return {Path(rule.at.path).stem: RuleSet([rule], AUDIT) for rule in shipped()}


def fires(rule: str, event: Event) -> bool:
    [decoded] = decode(msgspec.json.encode(event)).events
    return bool(rule_sets()[rule].match(decoded))


def survivors(change: Callable[[Event], Event], *, without: set[str]) -> set[str]:
    """Return the rules that still fire on a changed hit."""
    return {rule for rule, event in hits() if rule not in without and fires(rule, change(event))}


def test_rules_load_without_a_word() -> None:
    loaded = load_rules([], grades=get_args(Grade))
    assert not loaded.faults
    assert not loaded.warnings
    assert loaded.skipped == 0


@pytest.mark.timeout(120)
def test_all_tests_pass() -> None:
    report = run_tests([RULES])
    assert [str(fault) for fault in (*report.faults, *report.failures)] == []
    assert not report.untested
    assert report.passed > 150


@pytest.mark.parametrize("rule_file", list(rule_files(RULES)), ids=lambda path: path.stem)
def test_every_rule_has_a_hit_and_a_near_miss(rule_file: Path) -> None:
    assert has_hit_and_miss(sidecar(rule_file))


def test_every_rule_says_what_a_reader_needs() -> None:
    for rule in (one for one in shipped() if not one.silent):
        assert rule.attack, rule.at
        assert all(technique.name for technique in rule.attack), rule.at
        assert rule.message.startswith(("$(user", "$(userAgent)", "The ")), rule.at


@pytest.mark.parametrize("name", EXCLUDED_NAMES)
def test_a_stolen_name_is_not_enough_to_be_excluded(name: str) -> None:
    user = {"username": name, "groups": ["system:authenticated"]}
    for rule, event in hits():
        # Who also claims that a workload owns the pod is excluded; the pod is then reported
        # by escape-pod-of-workload, and the thief by control-plane-identity-misused.
        if rule not in ABOUT_IDENTITIES and "ownerReferences" not in str(event):
            agent = {} if rule in ABOUT_AGENTS else {"userAgent": "curl/8.5"}
            assert fires(rule, {**event, "user": user, **agent}), (rule, event)


def test_borrowed_claims_are_not_enough_to_be_excluded() -> None:
    for rule, event in hits():
        username = event["user"].get("username", "")
        if username.startswith("system:") or rule in {*ABOUT_AGENTS, "new-certificate-of-masters"}:
            continue
        uri = event["requestURI"]
        uri += ("&" if "?" in uri else "?") + "resourceVersion=0"
        user = {**event["user"], **BORROWED_CLAIMS}
        changed = {**event, "user": user, "userAgent": BORROWED_AGENT, "requestURI": uri}
        assert fires(rule, changed), (rule, event)


def test_a_denied_request_is_no_alert() -> None:
    def deny(event: Event) -> Event:
        decision = {"authorization.k8s.io/decision": "forbid"}
        return {**event, "responseStatus": {"code": 403}, "annotations": decision}

    assert survivors(deny, without=ABOUT_ATTEMPTS) == set()


@pytest.mark.parametrize(
    "part", [{"verb": "head"}, {"resource": "widgets"}, {"subresource": "status"}], ids=str
)
def test_another_request_is_no_alert(part: dict[str, str]) -> None:
    """A rule is about one kind of request."""

    def alter(event: Event) -> Event:
        if "verb" in part:
            return {**event, **part}
        return {**event, "objectRef": {**event.get("objectRef", {}), **part}}

    without = set(ABOUT_ANY_REQUEST)
    if "verb" in part:
        without |= ABOUT_ANY_VERB
    if "resource" in part:
        # Of an API group whatever there is.
        without.add("policy-engine-changed")
    if "subresource" in part:
        # These resources have none, nor has what is no resource.
        resources = [
            (rule, event.get("objectRef", {}).get("resource", "")) for rule, event in hits()
        ]
        without |= {rule for rule, name in resources if "role" in name or name in ("", "secrets")}
        without |= {"anonymous-writes-workload", "events-deleted"}
        without |= ABOUT_STATUS
    assert survivors(alter, without=without) == set()
