"""What each action would do, and when it does not apply. What it does: tests/e2e/test_actions."""

from typing import Any

import msgspec
import pytest

from tests.unit.respond.actions.objects import Notes, Objects, controller, manifest, plan
from tocsin.model.manifest import Manifest
from tocsin.model.rbac import RBAC
from tocsin.model.response import ObjectRef
from tocsin.respond import rbac
from tocsin.respond.actions import steps
from tocsin.respond.actions.base import ApiError, ApiFailure, Prepared, Refusal
from tocsin.respond.actions.registry import ACTIONS
from tocsin.respond.owners import owners_of
from tocsin.respond.selectors import selects

POD = ObjectRef(resource="pods", namespace="shop", name="web-1", uid="u-pod")
SET = (
    "replicasets shop/web-5f",
    manifest("web-5f", "u-set", metadata=controller("Deployment", "web", "u-web")),
)
TOP = ("deployments shop/web", manifest("web", "u-web"))


def prepared(action: str, cluster: Objects, target: ObjectRef = POD, **parts: Any) -> Prepared:
    found = ACTIONS[action].prepare(plan(action, target, **parts), cluster)
    assert isinstance(found, Prepared), found
    return found


def pod(**parts: Any) -> tuple[str, Manifest]:
    return POD.words, manifest("web-1", "u-pod", **parts)


def test_who_creates_a_pod_again_is_named() -> None:
    cluster = Objects(pod(metadata=controller("ReplicaSet", "web-5f", "u-set")), SET, TOP)
    ready = prepared("delete_pod", cluster)
    assert ready.root == "u-web"
    assert ready.owner is not None
    assert ready.owner.words == "deployments shop/web"
    assert ready.notes == ("deployments shop/web re-creates it; scale_owner stops that",)
    (call,) = ready.calls
    assert call.body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "u-pod"},
        "gracePeriodSeconds": 0,
    }


def test_what_a_pod_says_of_its_owners_is_checked() -> None:
    circle = (
        "replicasets shop/web-5f",
        manifest("web-5f", "u-set", metadata=controller("ReplicaSet", "web-5f", "u-set")),
    )
    one = manifest("web-1", "u-pod", metadata=controller("ReplicaSet", "web-5f", "u-set"))
    assert owners_of(one, Objects(circle)).root == "u-set"
    other = manifest("web-1", "u-pod", metadata=controller("ReplicaSet", "web-5f", "u-other"))
    assert owners_of(other, Objects(SET)).root == "u-pod"
    rollout = controller("Rollout", "web", "u-roll", "argoproj.io/v1alpha1")
    found = owners_of(manifest("web-1", "u-pod", metadata=rollout), Objects())
    assert (found.root, found.unknown, found.top) == ("u-roll", "Rollout web", None)


def test_a8_what_the_guard_asks_about_a_pod_is_read() -> None:
    mirror = {"annotations": {"kubernetes.io/config.mirror": "x"}}
    cluster = Objects(pod(metadata=mirror, spec={"priorityClassName": "system-node-critical"}))
    assert prepared("delete_pod", cluster).protects == {
        "namespace": "shop",
        "priority_class": "system-node-critical",
        "mirror_pod": True,
    }


@pytest.mark.parametrize(("left", "refused"), [(0, True), (30, True), (31, False), (86_400, False)])
def test_a_pod_that_takes_long_to_end_is_ended_now(left: int, *, refused: bool) -> None:
    ending = {"deletionTimestamp": "2026-11-24T12:00:00Z", "deletionGracePeriodSeconds": left}
    cluster = Objects(pod(metadata=ending))
    asked = plan("delete_pod", POD, parameters={"grace_seconds": 30})
    assert isinstance(ACTIONS["delete_pod"].prepare(asked, cluster), Refusal) is refused


def test_policies_that_still_let_a_pod_talk_are_named() -> None:
    allowing = {"podSelector": {"matchLabels": {"app": "web"}}, "egress": [{}]}
    closed = {"podSelector": {}, "policyTypes": ["Egress"]}
    cluster = Objects(
        pod(metadata={"labels": {"app": "web"}}),
        ("networkpolicies shop/open", manifest("open", "u-1", spec=allowing)),
        ("networkpolicies shop/closed", manifest("closed", "u-2", spec=closed)),
    )
    notes = prepared("isolate_pod", cluster).notes
    assert "policy open still allows some of its traffic" in notes
    assert not any("closed" in note for note in notes)
    assert notes[0] == "policy created; enforcement depends on the network plugin"


def test_a_policy_of_the_same_name_is_not_replaced() -> None:
    name = f"tocsin-isolate-{'b' * 32}"
    cluster = Objects(pod(), (f"networkpolicies shop/{name}", manifest(name, "u-1")))
    assert isinstance(ACTIONS["isolate_pod"].prepare(plan("isolate_pod", POD), cluster), Refusal)


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ({"key": "app", "operator": "In", "values": ["web"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["web"]}, False),
        ({"key": "tier", "operator": "NotIn", "values": ["web"]}, True),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "app", "operator": "DoesNotExist"}, False),
    ],
)
def test_label_selectors(expression: Manifest, *, fits: bool) -> None:
    assert selects({"matchExpressions": [expression]}, {"app": "web"}) is fits


def test_a8_a_node_of_the_control_plane_is_told() -> None:
    label = {"labels": {"node-role.kubernetes.io/control-plane": ""}}
    node = ("nodes cp-1", manifest("cp-1", "u-node", None, metadata=label, spec={}))
    ready = prepared("cordon_node", Objects(pod(spec={"nodeName": "cp-1"}), node))
    assert ready.target.uid == ready.root == "u-node"
    assert ready.protects["control_plane"] is True
    unscheduled = ACTIONS["cordon_node"].prepare(plan("cordon_node", POD), Objects(pod(spec={})))
    assert unscheduled == Refusal("pods shop/web-1 is on no node yet")


def test_a8_whom_a_binding_names_is_told() -> None:
    subjects = [{"kind": "Group", "name": "system:masters"}]
    bound = manifest("b", "u-b", None, roleRef={"name": "cluster-admin"}, subjects=subjects)
    ref = ObjectRef(api_group=RBAC, resource="clusterrolebindings", name="b", uid="u-b")
    ready = prepared("delete_binding", Objects((ref.words, bound)), ref)
    assert ready.protects["role_ref"] == "cluster-admin"
    assert ready.protects["subjects"] == subjects
    assert msgspec.json.decode(msgspec.json.encode(ready), type=Prepared) == ready


def test_secrets_that_an_account_only_claims_are_not_deleted() -> None:
    account = ObjectRef(resource="serviceaccounts", namespace="shop", name="web", uid="u-sa")
    names = ["web-token-ab1cd", "db-password", "web-token-", "web-token-AB1CD", "x-web-token-ab1cd"]
    listed = manifest("web", "u-sa", secrets=[{"name": name} for name in names])
    cluster = Objects((account.words, listed))
    ready = prepared("revoke_account", cluster, account)
    ACTIONS["revoke_account"].apply(ready, cluster.acting())
    secret = ObjectRef(resource="secrets", namespace="shop", name="web-token-ab1cd")
    (tried, rehearsed), (deletion, not_rehearsed) = cluster.asked
    assert (tried.target, rehearsed) == (secret, True)
    # The uid that the rehearsal told pins what is deleted.
    pinned = msgspec.structs.replace(secret, uid="u-9")
    assert (deletion, not_rehearsed) == (steps.delete(pinned, deletion.title), False)


@pytest.mark.parametrize(
    ("failure", "stops"),
    [("gone", False), ("changed", True), ("unknown", True), ("denied", True), ("busy", True)],
)
def test_a12_a_failed_call_is_journalled_and_never_repeated(
    failure: ApiFailure, *, stops: bool
) -> None:
    cluster = Objects(pod())
    ready = prepared("delete_pod", cluster)
    cluster.fail = ApiError(failure=failure, message="no", code=400)
    notes: Notes = []
    if stops:
        with pytest.raises(ApiError):
            ACTIONS["delete_pod"].apply(ready, cluster.acting(notes))
    else:
        ACTIONS["delete_pod"].apply(ready, cluster.acting(notes))
    assert len(cluster.asked) == 1
    assert [data.get("error") for _, data in notes] == [None, failure]


def test_pointers_of_patches_are_escaped() -> None:
    assert steps.pointer("a/b~c") == "a~1b~0c"


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_a10_no_action_asks_for_more_than_it_may(name: str) -> None:
    for rule in rbac.rights_of([ACTIONS[name]]):
        assert not {"*", "escalate", "bind", "impersonate", "deletecollection"} & set(rule.verbs)
        assert not {"*", "pods/exec"} & set(rule.resources)
        assert "secrets" not in rule.resources or rule.verbs == ("delete",)


def test_binding_a_role_is_asked_for_by_name() -> None:
    _, role, _ = rbac.objects([ACTIONS["delete_binding"]], "tocsin", ["view"])
    rules: Any = role["rules"]
    bind = [rule for rule in rules if "bind" in rule["verbs"]]
    assert [rule["resourceNames"] for rule in bind] == [["view"]]
