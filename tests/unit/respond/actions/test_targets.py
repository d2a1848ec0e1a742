"""Which object an action is about: the alert's, and nothing that only looks like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.respond.actions.objects import CREATED_AT, Objects, alert, manifest, plan
from tocsin.model.alert import Target
from tocsin.model.rbac import RBAC
from tocsin.model.response import ObjectRef
from tocsin.respond.actions.base import ApiError, Prepared, Refusal
from tocsin.respond.actions.registry import ACTIONS
from tocsin.respond.names import check_ref, path_of

POD = ObjectRef(resource="pods", namespace="shop", name="web-1")
HOSTILE = (
    "../nodes/cp-1", "..", "a/b", "--all", "a b", "a;id", "$(id)", "A", "a\n", "a\0", "a%2f",
    "", "x" * 254, "-n", "*", "\u042c", "a..b", "a?dryRun=All", "a#b",
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(ACTIONS))
@given(text=st.text() | st.sampled_from(HOSTILE), namespace=st.none() | st.sampled_from(HOSTILE))
def test_a2_a_name_is_one_segment_of_a_path_or_refused(
    name: str, text: str, namespace: str | None
) -> None:
    kinds = (("", "pods"), ("", "nodes"), ("apps", "deployments"), (RBAC, "clusterrolebindings"))
    for group, resource in kinds:
        target = Target(api_group=group, resource=resource, name=text, namespace=namespace)
        found = ACTIONS[name].target(alert(target, user=f"system:serviceaccount:shop:{text}"))
        if isinstance(found, Refusal):
            continue
        path = path_of(found)
        assert path.count("/") == found.collection.count("/") + 1
        assert not set("?#\n\0 ") & set(path)
        assert ".." not in path.split("/")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_wrong_name_reaches_no_api_server(name: str) -> None:
    for ref in (
        ObjectRef(resource="pods", namespace="shop", name=name),
        ObjectRef(resource="pods", namespace=name, name="a"),
        ObjectRef(resource=name, name="a"),
        ObjectRef(resource="pods", name="a", api_group=name or "-"),
    ):
        with pytest.raises(ApiError):
            check_ref(ref)


def test_rbac_has_its_own_names() -> None:
    ref = ObjectRef(api_group=RBAC, resource="clusterrolebindings", name="system:a b?é")
    assert path_of(ref).endswith("/clusterrolebindings/system%3Aa%20b%3F%C3%A9")


@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward", "ephemeralcontainers"])
def test_requests_into_a_pod_are_about_the_pod(subresource: str) -> None:
    target = Target(resource="pods", subresource=subresource, namespace="shop", name="web-1")
    assert ACTIONS["delete_pod"].target(alert(target)) == POD


@pytest.mark.parametrize(
    "target",
    [
        Target(),
        Target(resource="pods", namespace="shop"),
        Target(resource="pods", name="web-1"),
        Target(resource="pods", subresource="binding", namespace="shop", name="web-1"),
        Target(api_group="apps", resource="deployments", namespace="shop", name="web"),
        Target(api_group="metrics.k8s.io", resource="pods", namespace="shop", name="web-1"),
    ],
)
def test_a17_what_is_no_pod_is_refused(target: Target) -> None:
    for action in ("delete_pod", "isolate_pod"):
        assert isinstance(ACTIONS[action].target(alert(target)), Refusal)


def test_a9_an_impersonated_account_is_not_revoked() -> None:
    action = ACTIONS["revoke_account"]
    victim = "system:serviceaccount:shop:web"
    assert isinstance(action.target(alert(Target(), "alice", victim)), Refusal)
    robot = action.target(alert(Target(), "system:serviceaccount:ci:robot", victim))
    assert robot == ObjectRef(resource="serviceaccounts", namespace="ci", name="robot")


@pytest.mark.parametrize(
    ("uid", "evidence_at", "fits"),
    [
        ("u-1", CREATED_AT - 100, True),
        ("u-2", CREATED_AT + 0.5, False),
        (None, CREATED_AT, True),
        (None, CREATED_AT + 0.5, True),
        (None, CREATED_AT - 0.1, False),
        (None, 0.0, False),
    ],
)
def test_a5_a_namesake_is_told_by_its_uid_or_its_age(
    uid: str | None, evidence_at: float, *, fits: bool
) -> None:
    ref = ObjectRef(resource="pods", namespace="shop", name="web-1", uid=uid)
    cluster = Objects((POD.words, manifest("web-1", "u-1")))
    asked = plan("delete_pod", ref, evidence_at=evidence_at)
    assert isinstance(ACTIONS["delete_pod"].prepare(asked, cluster), Prepared) is fits


def test_a5_what_is_gone_is_refused() -> None:
    for action in ("delete_pod", "isolate_pod", "scale_owner", "cordon_node"):
        found = ACTIONS[action].prepare(plan(action, POD), Objects())
        assert found == Refusal("pods shop/web-1 is gone already")
