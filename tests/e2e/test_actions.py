"""Actions on a real API server: what they do, what they leave alone, and how they are undone."""

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from tests.e2e.controlplane.harness import ControlPlane
from tests.e2e.techniques import IMAGE
from tocsin.model.rbac import RBAC
from tocsin.model.response import Call, ObjectRef, Plan
from tocsin.normalize.shown import shown_event
from tocsin.respond import evidence, rbac
from tocsin.respond.actions import steps
from tocsin.respond.actions.base import Acting, ApiError, Prepared, Refusal
from tocsin.respond.actions.registry import ACTIONS
from tocsin.respond.cluster import ApiCluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Json = dict[str, Any]
SHOP = "shop"
NUMBERS = itertools.count(1)
# What the API server keeps about an object, not what the object is. The status is the
# controllers' account of it, with times of its own.
KEPT_BY_SERVER = ("resourceVersion", "managedFields", "generation")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("controlplane")) as plane:
        plane.kubectl("create", "namespace", SHOP)
        plane.kubectl("create", "namespace", "tocsin")
        yield plane


@pytest.fixture(scope="module")
def admin(plane: ControlPlane) -> Iterator[httpx2.Client]:
    with plane.api() as http:
        yield http


@pytest.fixture
def cluster(admin: httpx2.Client) -> ApiCluster:
    return ApiCluster("prod", admin)


def plan(action: str, target: ObjectRef, parameters: Json | None = None) -> Plan:
    return Plan(
        id=f"{next(NUMBERS):032x}",
        cluster="prod",
        rule="r",
        action=action,
        parameters=parameters or {},
        target=target,
        asked_at=time.time(),
        evidence_at=time.time() + 1,
    )


def prepared(plan: Plan, cluster: ApiCluster) -> Prepared:
    found = ACTIONS[plan.action].prepare(plan, cluster)
    assert isinstance(found, Prepared), found
    return found


def acting(cluster: ApiCluster, notes: list[tuple[str, Mapping[str, object]]]) -> Acting:
    return Acting(
        cluster,
        lambda: f"tocsin-test-{next(NUMBERS)}",
        lambda text, data: notes.append((text, data)),
    )


def run(
    action: str, ready: Prepared, cluster: ApiCluster
) -> list[tuple[str, Mapping[str, object]]]:
    """Rehearse, do and confirm, as the executor does."""
    notes: list[tuple[str, Mapping[str, object]]] = []
    act = acting(cluster, notes)
    for call in ready.calls:
        steps.make(call, act, dry_run=True)
    assert not ACTIONS[action].confirmed(ready, cluster)
    ACTIONS[action].apply(ready, act)
    assert ACTIONS[action].confirmed(ready, cluster)
    return notes


def undo(action: str, ready: Prepared, cluster: ApiCluster) -> None:
    calls = ACTIONS[action].undo(ready, cluster)
    assert not isinstance(calls, Refusal), calls
    for call in calls:
        cluster.call(call, f"tocsin-test-{next(NUMBERS)}", dry_run=True)
    for call in calls:
        cluster.call(call, f"tocsin-test-{next(NUMBERS)}")


def substance(manifest: Any, *more: str) -> Json:
    """Return an object without what the API server keeps about it."""
    assert manifest is not None
    metadata = {
        key: value
        for key, value in manifest["metadata"].items()
        if key not in (*KEPT_BY_SERVER, *more)
    }
    kept = {key: value for key, value in manifest.items() if key != "status"}
    return {**kept, "metadata": metadata}


def pod(http: httpx2.Client, name: str, **metadata: Any) -> ObjectRef:
    spec = {"containers": [{"name": "main", "image": IMAGE}]}
    body: Json = {"metadata": {"name": name, **metadata}, "spec": spec}
    made = http.post(f"/api/v1/namespaces/{SHOP}/pods", json=body).raise_for_status().json()
    return ObjectRef(resource="pods", namespace=SHOP, name=name, uid=made["metadata"]["uid"])


def settled(plane: ControlPlane, cluster: ApiCluster, ref: ObjectRef) -> Json:
    """Return a pod once its node runs it, so that only we change it from now on."""

    def running() -> Json | None:
        found: Any = cluster.get(ref)
        return found if found and found.get("status", {}).get("phase") == "Running" else None

    return plane.wait(running, f"{ref.words} to run")


def workload(http: httpx2.Client, kind: str, name: str, replicas: int) -> ObjectRef:
    resource = f"{kind.lower()}s"
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": IMAGE}]},
    }
    spec: Json = {"selector": {"matchLabels": {"app": name}}, "template": template}
    if kind != "DaemonSet":
        spec["replicas"] = replicas
    body: Json = {"metadata": {"name": name}, "spec": spec}
    path = f"/apis/apps/v1/namespaces/{SHOP}/{resource}"
    made = http.post(path, json=body).raise_for_status().json()
    uid = made["metadata"]["uid"]
    return ObjectRef(api_group="apps", resource=resource, namespace=SHOP, name=name, uid=uid)


def pod_of(plane: ControlPlane, cluster: ApiCluster, name: str) -> ObjectRef:
    pods = ObjectRef(resource="pods", namespace=SHOP, name="any")

    def first() -> Json | None:
        found: Any = cluster.list(pods, {"labelSelector": f"app={name}"})
        return found[0] if found else None

    made = plane.wait(first, f"a pod of {name}")["metadata"]
    return ObjectRef(resource="pods", namespace=SHOP, name=made["name"], uid=made["uid"])


def role(http: httpx2.Client, name: str) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    body: Json = {"metadata": {"name": name}, "rules": rules}
    http.post(f"/apis/{RBAC}/v1/clusterroles", json=body).raise_for_status()


def binding(
    http: httpx2.Client, name: str, role: str, *accounts: str, whole: bool = False
) -> ObjectRef:
    subjects = [{"kind": "ServiceAccount", "name": one, "namespace": SHOP} for one in accounts]
    body: Json = {
        "metadata": {"name": name, "labels": {"team": "web"}, "annotations": {"a/b": "c"}},
        "subjects": subjects,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
    }
    kind = "clusterrolebindings" if whole else "rolebindings"
    ref = ObjectRef(api_group=RBAC, resource=kind, namespace=None if whole else SHOP, name=name)
    made = http.post(ref.collection, json=body).raise_for_status().json()
    return ObjectRef(
        api_group=RBAC,
        resource=kind,
        namespace=ref.namespace,
        name=name,
        uid=made["metadata"]["uid"],
    )


def account(http: httpx2.Client, name: str) -> ObjectRef:
    body: Json = {"metadata": {"name": name}}
    path = f"/api/v1/namespaces/{SHOP}/serviceaccounts"
    made = http.post(path, json=body).raise_for_status().json()
    uid = made["metadata"]["uid"]
    return ObjectRef(resource="serviceaccounts", namespace=SHOP, name=name, uid=uid)


@pytest.fixture
def responder(plane: ControlPlane, admin: httpx2.Client) -> Iterator[Any]:
    """Give the responder's account the rights of one action; return its cluster."""
    clients: list[httpx2.Client] = []

    def make(action: str, *bind: str) -> ApiCluster:
        for one in rbac.objects([ACTIONS[action]], "tocsin", bind):
            plane.kubectl("apply", "-f", "-", input=json.dumps(one))
        token = plane.kubectl("create", "token", rbac.NAME, "-n", "tocsin").stdout.strip()
        clients.append(plane.api(token=token))
        return ApiCluster("prod", clients[-1])

    yield make
    for client in clients:
        client.close()
    for kind in ("clusterrolebinding", "clusterrole"):
        plane.kubectl("delete", kind, rbac.NAME, "--ignore-not-found")


def test_the_user_is_told(responder: Any) -> None:
    assert responder("delete_pod").user() == "system:serviceaccount:tocsin:tocsin-responder"


def test_a13_nothing_is_left_of_an_isolation_that_was_undone(
    plane: ControlPlane, admin: httpx2.Client, responder: Any, cluster: ApiCluster
) -> None:
    bare, labelled = pod(admin, "bare"), pod(admin, "labelled", labels={"x.y/app": "z"})
    own = responder("isolate_pod")
    for ref in (bare, labelled):
        before = substance(settled(plane, cluster, ref))
        ready = prepared(plan("isolate_pod", ref), own)
        run("isolate_pod", ready, own)
        policy: Any = cluster.get(ready.calls[0].target)
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert isinstance(ACTIONS["isolate_pod"].prepare(plan("isolate_pod", ref), own), Refusal)
        undo("isolate_pod", ready, own)
        assert substance(cluster.get(ref)) == before
        assert cluster.get(ready.calls[0].target) is None
        assert isinstance(ACTIONS["isolate_pod"].undo(ready, own), Refusal)


def test_an_isolation_that_somebody_changed_is_not_undone(
    admin: httpx2.Client, cluster: ApiCluster
) -> None:
    ref = pod(admin, "changed")
    ready = prepared(plan("isolate_pod", ref), cluster)
    run("isolate_pod", ready, cluster)
    headers = {"Content-Type": "application/merge-patch+json"}
    body: Json = {"spec": {"ingress": [{}]}}
    admin.patch(ready.calls[0].target.path, json=body, headers=headers).raise_for_status()
    assert isinstance(ACTIONS["isolate_pod"].undo(ready, cluster), Refusal)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "ReplicaSet"])
def test_a13_a_workload_has_its_pods_again(
    plane: ControlPlane, admin: httpx2.Client, responder: Any, cluster: ApiCluster, kind: str
) -> None:
    ref = workload(admin, kind, f"web-{kind.lower()}", 2)
    one = pod_of(plane, cluster, ref.name)
    own = responder("scale_owner")
    ready = prepared(plan("scale_owner", one), own)
    assert ready.target == ref
    before = substance(cluster.get(ref))
    run("scale_owner", ready, own)
    undo("scale_owner", ready, own)
    assert substance(cluster.get(ref)) == before
    assert isinstance(ACTIONS["scale_owner"].undo(ready, own), Refusal)


def test_a17_what_cannot_be_scaled_is_refused(
    plane: ControlPlane, admin: httpx2.Client, cluster: ApiCluster
) -> None:
    workload(admin, "DaemonSet", "agent", 1)
    for ref in (pod_of(plane, cluster, "agent"), pod(admin, "alone")):
        found = ACTIONS["scale_owner"].prepare(plan("scale_owner", ref), cluster)
        assert isinstance(found, Refusal)


def test_a_pod_cannot_aim_at_a_workload_by_naming_it_as_its_owner(
    plane: ControlPlane, admin: httpx2.Client, cluster: ApiCluster
) -> None:
    ref = workload(admin, "StatefulSet", "payments", 1)
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": ref.name, "uid": ref.uid}
    liar = pod(admin, "liar", ownerReferences=[{**owner, "controller": True}])
    found = ACTIONS["scale_owner"].prepare(plan("scale_owner", liar), cluster)
    assert isinstance(found, Refusal)


def test_a13_a_node_takes_pods_again(
    plane: ControlPlane, admin: httpx2.Client, responder: Any, cluster: ApiCluster
) -> None:
    one = pod(admin, "on-a-node")
    settled(plane, cluster, one)
    own = responder("cordon_node")
    ready = prepared(plan("cordon_node", one), own)
    before = substance(cluster.get(ready.target))
    run("cordon_node", ready, own)

    def untainted() -> bool:
        return "taints" not in substance(cluster.get(ready.target))["spec"]

    plane.wait(lambda: not untainted(), "the taint of a cordoned node")
    undo("cordon_node", ready, own)
    plane.wait(untainted, "the end of the taint")
    assert substance(cluster.get(ready.target)) == before


@pytest.mark.parametrize("whole", [False, True])
def test_a13_a_binding_is_there_again(
    admin: httpx2.Client, responder: Any, cluster: ApiCluster, *, whole: bool
) -> None:
    name = f"reader-{whole}".lower()
    role(admin, name)
    ref = binding(admin, name, name, "someone", whole=whole)
    before = substance(cluster.get(ref), "uid", "creationTimestamp")
    own = responder("delete_binding", name)
    ready = prepared(plan("delete_binding", ref), own)
    run("delete_binding", ready, own)
    undo("delete_binding", ready, own)
    assert substance(cluster.get(ref), "uid", "creationTimestamp") == before
    assert ACTIONS["delete_binding"].undo(ready, own) == (), "it is what it was before"


def test_without_the_right_to_bind_a_binding_stays_deleted(
    admin: httpx2.Client, responder: Any
) -> None:
    role(admin, "unbound")
    ref = binding(admin, "unbound", "unbound", "someone")
    own = responder("delete_binding", "another-role")
    ready = prepared(plan("delete_binding", ref), own)
    run("delete_binding", ready, own)
    calls = ACTIONS["delete_binding"].undo(ready, own)
    assert not isinstance(calls, Refusal)
    with pytest.raises(ApiError, match="attempting to grant RBAC permissions") as caught:
        own.call(calls[0], "tocsin-test-bind", dry_run=True)
    assert caught.value.failure == "denied"


def test_a13_an_account_has_its_bindings_again(
    admin: httpx2.Client, responder: Any, cluster: ApiCluster
) -> None:
    who = account(admin, "robot")
    role(admin, "robots")
    sole = binding(admin, "sole", "robots", "robot")
    shared = binding(admin, "shared", "robots", "other", "robot", "third", whole=True)
    unrelated = binding(admin, "unrelated", "robots", "other")
    before = [substance(cluster.get(one), "uid", "creationTimestamp") for one in (sole, shared)]
    own = responder("revoke_account", "robots")
    ready = prepared(plan("revoke_account", who, {"shared": "patch"}), own)
    run("revoke_account", ready, own)
    assert cluster.get(sole) is None
    left: Any = cluster.get(shared)
    assert [one["name"] for one in left["subjects"]] == ["other", "third"]
    assert cluster.get(unrelated) is not None
    undo("revoke_account", ready, own)
    after = [substance(cluster.get(one), "uid", "creationTimestamp") for one in (sole, shared)]
    assert after == before
    assert ACTIONS["revoke_account"].undo(ready, own) == (), "they are what they were before"


def test_shared_bindings_are_left_by_default_and_named(
    admin: httpx2.Client, responder: Any, cluster: ApiCluster
) -> None:
    who = account(admin, "helper")
    role(admin, "helpers")
    sole = binding(admin, "helper-alone", "helpers", "helper")
    shared = binding(admin, "helper-too", "helpers", "helper", "other")
    own = responder("revoke_account")
    ready = prepared(plan("revoke_account", who), own)
    run("revoke_account", ready, own)
    assert cluster.get(sole) is None
    assert cluster.get(shared) is not None
    assert any("helper-too names others" in note for note in ready.notes)


def test_token_secrets_are_deleted_unread(
    admin: httpx2.Client, responder: Any, cluster: ApiCluster
) -> None:
    names = {"holder-token-ab1cd": True, "database-password": False}
    who = account(admin, "holder")
    for name in names:
        body: Json = {"metadata": {"name": name}, "stringData": {"password": "hunter2"}}
        admin.post(f"/api/v1/namespaces/{SHOP}/secrets", json=body).raise_for_status()
    headers = {"Content-Type": "application/merge-patch+json"}
    listed = {"secrets": [{"name": name} for name in (*names, "holder-token-zzzzz")]}
    admin.patch(who.path, json=listed, headers=headers).raise_for_status()
    own = responder("revoke_account")
    ready = prepared(plan("revoke_account", who), own)
    notes: list[tuple[str, Mapping[str, object]]] = []
    ACTIONS["revoke_account"].apply(ready, acting(own, notes))
    for name, deleted in names.items():
        there = cluster.get(ObjectRef(resource="secrets", namespace=SHOP, name=name)) is not None
        assert there is not deleted
    assert "hunter2" not in repr(notes)


def test_a5_a_namesake_is_left_alone(
    plane: ControlPlane, admin: httpx2.Client, responder: Any, cluster: ApiCluster
) -> None:
    own = responder("delete_pod")
    first = pod(admin, "victim")
    ready = prepared(plan("delete_pod", first), own)
    early = plan("delete_pod", ObjectRef(resource="pods", namespace=SHOP, name="victim"))
    plane.kubectl("delete", "pod", "victim", "-n", SHOP, "--grace-period=0", "--force")
    second = pod(admin, "victim")
    with pytest.raises(ApiError) as caught:
        ACTIONS["delete_pod"].apply(ready, acting(own, []))
    assert caught.value.failure == "changed"
    assert isinstance(ACTIONS["delete_pod"].prepare(plan("delete_pod", first), own), Refusal)
    # Without a uid in the alert the time of creation tells them apart.
    created = cluster.get(second)
    assert created is not None
    old = msgspec.structs.replace(early, evidence_at=time.time() - 60)
    assert isinstance(ACTIONS["delete_pod"].prepare(old, own), Refusal)
    live: Any = cluster.get(second)
    assert live["metadata"]["uid"] == second.uid
    assert "deletionTimestamp" not in live["metadata"]


def test_a_pod_is_deleted_and_its_evidence_kept(
    plane: ControlPlane, admin: httpx2.Client, responder: Any, cluster: ApiCluster, tmp_path: Path
) -> None:
    workload(admin, "Deployment", "shopfront", 1)
    one = pod_of(plane, cluster, "shopfront")
    settled(plane, cluster, one)
    own = responder("delete_pod")
    ready = prepared(plan("delete_pod", one), own)
    assert ready.owner is not None
    assert ready.owner.words == "deployments shop/shopfront"
    assert any("scale_owner" in note for note in ready.notes)
    kept = evidence.keep("0" * 32, ready, own, tmp_path / "evidence", shown_event, time.time())
    assert kept["missing"] == []
    assert kept["kept"] == ["before", "events", "logs", "manifest"]
    run("delete_pod", ready, own)


def test_a12_the_answers_of_a_real_api_server(admin: httpx2.Client, cluster: ApiCluster) -> None:
    ref = pod(admin, "answers")
    other = ObjectRef(resource="pods", namespace=SHOP, name="nobody", uid=ref.uid)
    wrong = ObjectRef(resource="pods", namespace=SHOP, name="answers", uid="wrong")
    label = [steps.put("/metadata/labels", {"a": "b"})]
    bad = [steps.put("/metadata/labels", {"a b": "c"})]
    answers = {
        "gone": [steps.delete(other, "x"), steps.patch(other, label, "x")],
        "changed": [
            steps.delete(wrong, "x"),
            steps.patch(wrong, label, "x"),
            steps.create(ref, {"metadata": {"name": "answers"}, "spec": _spec()}, "x"),
        ],
        "invalid": [steps.patch(ref, bad, "x"), steps.create(ref, {"metadata": {}}, "x")],
    }
    for failure, calls in answers.items():
        for call in calls:
            with pytest.raises(ApiError) as caught:
                cluster.call(call, "tocsin-test-answers")
            assert caught.value.failure == failure, (call, caught.value)


def _spec() -> Json:
    return {"containers": [{"name": "main", "image": IMAGE}]}


def test_nobody_is_denied_nothing_is_done(plane: ControlPlane, admin: httpx2.Client) -> None:
    ref = pod(admin, "denied")
    call = steps.delete(ref, "x")
    with plane.api("mallory") as http:
        own = ApiCluster("prod", http)
        assert not own.allowed(call)
        with pytest.raises(ApiError) as caught:
            own.call(call, "tocsin-test-denied")
    assert caught.value.failure == "denied"


def test_a_rehearsed_deletion_deletes_nothing(admin: httpx2.Client, cluster: ApiCluster) -> None:
    ref = pod(admin, "rehearsed")
    cluster.call(steps.delete(ref, "x", 0), "tocsin-test-dry", dry_run=True)
    live: Any = cluster.get(ref)
    assert "deletionTimestamp" not in live["metadata"]


@pytest.mark.parametrize("action", sorted(name for name in ACTIONS if ACTIONS[name].rights))
def test_a10_the_responder_has_exactly_the_rights_of_its_actions(
    responder: Any, action: str
) -> None:
    own = responder(action)
    review = Call(verb="create", target=ObjectRef(resource="any", name="any"))
    assert not own.allowed(review)
    body: Json = {"spec": {"namespace": SHOP}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    rules = own._client.post(path, json=body).raise_for_status().json()["status"]["resourceRules"]
    everybodys = {"authentication.k8s.io", "authorization.k8s.io"}
    found = {
        (group, resource, verb)
        for rule in rules
        if not everybodys & set(rule["apiGroups"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    declared = {
        (group, resource, verb)
        for rule in rbac.rights_of([ACTIONS[action]])
        for group in rule.api_groups
        for resource in rule.resources
        for verb in rule.verbs
    }
    assert found == declared
    assert not {"*", "escalate", "bind", "impersonate"} & {verb for _, _, verb in found}
    assert not [one for one in found if "exec" in one[1] or one[:2] == ("", "*")]
    assert not {("", "secrets", "get"), ("", "secrets", "list")} & found
