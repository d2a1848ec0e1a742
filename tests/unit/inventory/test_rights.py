"""Who may do what, on roles and bindings as an API server lists them."""

from typing import Any

import pytest

from tocsin.inventory.rights import Question, Rights, grants


def role(name: str, *rules: dict[str, Any], namespace: str | None = None) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"metadata": metadata, "rules": list(rules)}


def binding(
    name: str, role: str, *users: str, kind: str = "ClusterRole", namespace: str | None = None
) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    subjects = [{"kind": "User", "name": user} for user in users]
    return {"metadata": metadata, "roleRef": {"kind": kind, "name": role}, "subjects": subjects}


def allow(*verbs: str, groups: str = "", resources: str = "pods", **more: Any) -> dict[str, Any]:
    return {"verbs": verbs, "apiGroups": [groups], "resources": [resources], **more}


def lists(rule: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) for key, value in rule.items()}


@pytest.mark.parametrize(
    ("rule", "question", "expected"),
    [
        (allow("get"), Question("get", "pods"), True),
        (allow("get"), Question("list", "pods"), False),
        (allow("*"), Question("impersonate", "pods"), True),
        (allow("get", resources="*"), Question("get", "pods/exec"), True),
        (allow("get"), Question("get", "pods/exec"), False),
        (allow("get", resources="pods/*"), Question("get", "pods/exec"), False),
        (allow("get", resources="*/exec"), Question("get", "pods/exec"), True),
        (allow("get", resources="*/exec"), Question("get", "pods"), False),
        (allow("get", groups="apps"), Question("get", "pods"), False),
        (allow("get", groups="*"), Question("get", "pods", group="apps"), True),
        (allow("get", resourceNames=["a"]), Question("get", "pods", name="a"), True),
        (allow("get", resourceNames=["a"]), Question("get", "pods", name="b"), False),
        (allow("get", resourceNames=["a"]), Question("get", "pods"), False),
    ],
)
def test_a_rule_grants_what_rbac_says(
    rule: dict[str, Any],
    question: Question,
    expected: bool,  # noqa: FBT001 - a case's answer
) -> None:
    assert grants(lists(rule), question) is expected


RIGHTS = Rights(
    roles=[role("reader", lists(allow("get")), namespace="shop")],
    cluster_roles=[role("reader", lists(allow("list"))), role("all", lists(allow("*")))],
    role_bindings=[
        binding("here", "reader", "alice", kind="Role", namespace="shop"),
        binding("wide", "reader", "bob", namespace="shop"),
        binding("lost", "reader", "mallory", kind="Role", namespace="bank"),
    ],
    cluster_role_bindings=[binding("admins", "all", "carol", "dave")],
)


def users(question: Question) -> list[str]:
    return [one.subject.name for one in RIGHTS.who_can(question)]


def test_a_role_binding_gives_rights_in_its_namespace_only() -> None:
    assert users(Question("get", "pods", namespace="shop")) == ["alice", "carol", "dave"]
    assert users(Question("list", "pods", namespace="shop")) == ["bob", "carol", "dave"]
    assert users(Question("get", "pods")) == ["carol", "dave"]


def test_a_binding_to_a_role_that_is_not_there_gives_nothing() -> None:
    assert users(Question("get", "pods", namespace="bank")) == ["carol", "dave"]


def test_holders_say_by_what() -> None:
    holder = RIGHTS.who_can(Question("get", "pods", namespace="shop"))[0]
    assert (holder.binding, holder.role, holder.namespace) == ("here", "Role/reader", "shop")


def test_malformed_objects_give_no_rights() -> None:
    broken: list[Any] = [{"rules": 1}, {"metadata": {"name": "x"}, "rules": [{"verbs": "get"}, 1]}]
    bound: list[Any] = [binding("b", "x", "eve"), {"roleRef": "x"}, {}]
    rights = Rights(cluster_roles=broken, cluster_role_bindings=bound)
    assert rights.who_can(Question("get", "pods")) == []
