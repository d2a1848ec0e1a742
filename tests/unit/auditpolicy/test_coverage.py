"""Small rules and policies, each with one thing to see."""

import pytest
import yaml

from tocsin.auditpolicy import RuleCoverage, coverage, observed_coverage, parse_policy
from tocsin.model.errors import Location
from tocsin.model.event import AuditEvent
from tocsin.model.ports import Observation
from tocsin.normalize.fields import AUDIT
from tocsin.rules import ir

AT = Location("rule.yml", 1)
HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n"


def field(path: str, *texts: str, how: ir.How = "equals") -> ir.Test:
    return ir.Test(path, ir.TextIs(how, texts, fold=True), AT)


CREATE_PODS = (field("verb", "create"), field("objectRef.resource", "pods"))
POD_BODY = field("podspec.hostNetwork", "true")


def rule(*terms: ir.Expr) -> ir.Rule:
    return ir.Rule(
        id="r", title="", dialect="sigma", severity="high", level="high", match=ir.AllOf(terms),
        at=AT, message="",
    )  # fmt: skip


def verdict(policy: str, *terms: ir.Expr) -> RuleCoverage:
    parsed = parse_policy(yaml.safe_load(HEAD + policy), "p")
    [found] = coverage(parsed, [rule(*terms)], AUDIT)
    return found


def test_body_that_is_not_recorded() -> None:
    found = verdict("- level: Metadata", *CREATE_PODS, POD_BODY)
    assert found.state == "never"
    assert found.why == "needs the body; the policy records create of pods at Metadata (rule 1)"


def test_body_that_is_recorded() -> None:
    found = verdict("- level: Request", *CREATE_PODS, POD_BODY)
    assert (found.state, found.why) == ("full", "")


def test_request_that_no_rule_matches_is_not_recorded() -> None:
    policy = "- {level: Metadata, verbs: [get]}"
    found = verdict(policy, *CREATE_PODS, field("objectRef.subresource", "exec"))
    assert found.state == "never"
    assert found.why == ("no rule of the policy matches create of pods/exec, so it is not recorded")


def test_request_that_is_left_out() -> None:
    policy = "- {level: None, resources: [{group: '', resources: [pods/log]}]}\n- level: Metadata"
    found = verdict(policy, field("objectRef.subresource", "log"))
    assert found.state == "partial"  # other groups may have a subresource of this name
    pods = field("objectRef.resource", "pods")
    found = verdict(policy, pods, field("objectRef.subresource", "log"))
    assert found.why == "the policy leaves out get of pods/log (rule 1)"
    assert found.state == "never"


def test_one_of_two_ways_needs_the_body() -> None:
    alternatives = ir.AnyOf((POD_BODY, field("user.username", "mallory")))
    assert verdict("- level: Metadata", *CREATE_PODS, alternatives).state == "partial"
    assert verdict("- level: Request", *CREATE_PODS, alternatives).state == "full"


def test_exception_that_cannot_be_seen() -> None:
    exception = ir.Not(field("podspec.serviceAccountName", "agent"))
    found = verdict("- level: Metadata", *CREATE_PODS, exception)
    assert found.state == "full"
    assert found.why.startswith("its exceptions need the body of pods")
    assert verdict("- level: Request", *CREATE_PODS, exception).why == ""


def test_field_that_is_wanted_absent_costs_nothing() -> None:
    absent = ir.Test("podspec.source", ir.Present(wanted=False), AT)
    assert verdict("- level: Metadata", *CREATE_PODS, absent).why == ""


def test_text_anywhere_is_in_the_bodies_too() -> None:
    anywhere = ir.Anywhere(ir.TextIs("contains", ("evil",), fold=False), AT)
    assert verdict("- level: Metadata", *CREATE_PODS, anywhere).state == "partial"
    assert verdict("- level: RequestResponse", *CREATE_PODS, anywhere).state == "full"


def test_patch_is_readable_in_the_response_only() -> None:
    patch = (field("verb", "patch"), field("objectRef.resource", "deployments"))
    found = verdict("- level: Request", *patch, POD_BODY)
    assert found.state == "partial"
    assert "only the raw patch shows" in found.why
    assert verdict("- level: RequestResponse", *patch, POD_BODY).state == "full"


@pytest.mark.parametrize(
    ("restriction", "other"),
    [
        ("users: [alice]", field("user.username", "bob")),
        ("namespaces: [shop]", field("objectRef.namespace", "kube-system")),
        ("namespaces: ['']", ir.Test("objectRef.namespace", ir.Present(wanted=True), AT)),
        (
            "resources: [{resources: [pods], resourceNames: [a, b]}]",
            field("objectRef.name", "c"),
        ),
    ],
)
def test_policy_rule_for_others_does_not_count(restriction: str, other: ir.Expr) -> None:
    policy = f"- {{level: None, {restriction}}}\n- level: Metadata"
    assert verdict(policy, *CREATE_PODS).state == "partial"
    assert verdict(policy, *CREATE_PODS, other).state == "full"


def test_members_of_one_group_may_be_in_another() -> None:
    policy = "- {level: None, userGroups: [nodes]}\n- level: Metadata"
    assert verdict(policy, *CREATE_PODS, field("user.groups", "admins")).state == "partial"
    not_nodes = ir.Not(field("user.groups", "nodes"))
    assert verdict(policy, *CREATE_PODS, not_nodes).state == "full"
    policy = "- {level: Metadata, userGroups: [nodes]}"
    assert verdict(policy, *CREATE_PODS, field("user.groups", "admins")).state != "never"


def test_response_stage_that_is_omitted() -> None:
    policy = "- {level: RequestResponse, omitStages: [ResponseComplete, Panic]}"
    found = verdict(policy, *CREATE_PODS, field("outcome", "allowed"))
    assert found.state == "partial"  # streams are answered when they start
    policy = "- {level: RequestResponse, omitStages: [ResponseStarted, ResponseComplete, Panic]}"
    found = verdict(policy, *CREATE_PODS, field("outcome", "allowed"))
    assert found.state == "never"
    assert found.why.startswith("the policy omits the stage that shows create of pods")


def test_rule_of_a_stage_that_is_kept() -> None:
    policy = "- {level: Metadata, omitStages: [RequestReceived]}"
    assert verdict(policy, *CREATE_PODS, field("stage", "panic")).state == "full"
    assert verdict(policy, *CREATE_PODS, field("stage", "requestreceived")).state == "never"


def test_rule_of_a_level() -> None:
    metadata = field("level", "metadata")
    assert verdict("- level: Metadata", *CREATE_PODS, metadata).state == "full"
    assert verdict("- level: Request", *CREATE_PODS, metadata).state == "never"


def test_urls() -> None:
    policy = "- {level: None, nonResourceURLs: [/metrics, '/healthz*']}\n- level: Metadata"
    assert verdict(policy, field("requestURI", "/metrics")).state == "never"
    assert verdict(policy, field("requestURI", "/healthz/etcd")).state == "never"
    metrics = field("requestURI", "/metrics", how="startswith")
    assert verdict(policy, metrics).state == "partial"
    assert verdict(policy, field("requestURI", "/logs")).state == "full"
    secrets = field("requestURI", "/api/v1/secrets", how="startswith")
    assert verdict("- {level: Metadata, resources: [{group: ''}]}", secrets).state != "never"


def test_resource_of_kubernetes_is_meant_in_its_own_group() -> None:
    policy = "- {level: RequestResponse, resources: [{group: '', resources: [deployments]}]}\n"
    create = (field("verb", "create"), field("objectRef.resource", "deployments"))
    found = verdict(policy + "- level: Metadata", *create, POD_BODY)
    assert found.state == "never"
    assert "(rule 2)" in found.why


def test_custom_resource() -> None:
    policies = field("objectRef.resource", "clusterpolicies")
    body = field("requestObject.spec.validationFailureAction", "Audit")
    policy = "- {level: Request, resources: [{group: kyverno.io}]}\n- level: Metadata"
    assert verdict(policy, policies, body).state == "partial"
    own = field("objectRef.apiGroup", "kyverno.io")
    assert verdict(policy, policies, own, body).state == "full"
    assert verdict("- level: Metadata", policies, own, body).state == "never"


def test_request_that_does_not_exist() -> None:
    found = verdict("- level: RequestResponse", field("verb", "list"), *CREATE_PODS)
    assert found.state == "never"
    assert found.why == "Kubernetes has no request that the rule is for"


def test_highest_observed_level_counts() -> None:
    seen = [
        Observation("create", None, "pods", None, level, 1)
        for level in ("Metadata", "RequestResponse", "Request", None)
    ]
    [found] = observed_coverage(seen, [rule(*CREATE_PODS, POD_BODY)], AUDIT)
    assert found.state == "full"
    [found] = observed_coverage(seen[:1], [rule(*CREATE_PODS, POD_BODY)], AUDIT)
    assert found.state == "never"
    [found] = observed_coverage([], [rule(*CREATE_PODS, POD_BODY)], AUDIT)
    assert found.state == "unknown"


def test_derived_fields_need_one_of_their_bodies() -> None:
    """What `never` rests on: without a body, such a field is absent."""
    event = AuditEvent(audit_id="a", stage="ResponseComplete", request_uri="/api", verb="create")
    for derived in AUDIT.derived.values():
        if derived.bodies:
            assert derived.compute(event) is None
