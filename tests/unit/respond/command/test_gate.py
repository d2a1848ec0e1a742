"""What a program may ask of the API server: the planned verb, the planned object."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.model.response import ObjectRef
from tocsin.respond.actions.base import Refusal
from tocsin.respond.command.gate import MAX_BODY, Allowed, Asked, judge

POD = ObjectRef(resource="pods", namespace="shop", name="web", uid="u-1")
PATH = "/api/v1/namespaces/shop/pods/web"
PODS = "/api/v1/namespaces/shop/pods"
DELETE = frozenset({"delete"})
PATCH = frozenset({"patch"})
MERGE = "application/merge-patch+json"


def allowed(asked: Asked, verbs: frozenset[str] = DELETE) -> Allowed:
    answer = judge(asked, POD, verbs)
    assert isinstance(answer, Allowed), answer
    return answer


def body(answer: Allowed) -> Any:
    return json.loads(answer.body)


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/apis",
        "/version",
        "/api/v1",
        "/apis/apps",
        "/apis/apps/v1",
        "/openapi/v3",
        "/openapi/v3/apis/apps/v1",
        PATH,
    ],
)
def test_what_a_client_has_to_read(path: str) -> None:
    assert allowed(Asked("GET", path)) == Allowed("GET", path)


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/api/v1/secrets", ""),
        ("GET", "/api/v1/namespaces/shop/secrets/web", ""),
        ("GET", PODS, ""),
        ("GET", PODS, "fieldSelector=metadata.name%3Dother"),
        ("GET", PODS, "fieldSelector=metadata.name%3Dweb&labelSelector=a"),
        ("GET", PODS, "fieldSelector=metadata.name%3Dweb&fieldSelector=a"),
        ("GET", f"{PATH}/log", ""),
        ("GET", f"{PATH}/exec", "command=sh"),
        ("GET", f"{PATH}x", ""),
        ("GET", "/apis/apps/v1/deployments", ""),
        ("GET", "/metrics", ""),
        ("POST", f"{PATH}/exec", "command=sh"),
        ("POST", f"{PATH}/eviction", ""),
        ("POST", PODS, ""),
        ("PUT", PATH, ""),
        ("PATCH", PATH, ""),
        ("CONNECT", PATH, ""),
        ("DELETE", PODS, ""),
        ("DELETE", f"{PATH}/", ""),
        ("DELETE", f"{PATH}/scale", ""),
        ("DELETE", "/api/v1/namespaces/shop/pods/other", ""),
        ("DELETE", "/api/v1/namespaces/kube-system/pods/web", ""),
        ("DELETE", "/api/v1/namespaces/shop/pods/../../kube-system/pods/web", ""),
        ("DELETE", "/api/v1//namespaces/shop/pods/web", ""),
        ("DELETE", "/api/v1/namespaces/shop/pods/%77eb", ""),
        ("DELETE", "/api/v1/namespaces/shop/pods/web\u0430", ""),
        ("DELETE", "/apis/apps/v1/namespaces/shop/deployments/web", ""),
        ("DELETE", PATH, "unknown=1"),
        ("DELETE", PATH, "gracePeriodSeconds=-1"),
        ("DELETE", PATH, "dryRun=All&dryRun="),
    ],
)
def test_everything_else_is_refused(method: str, path: str, query: str) -> None:
    assert isinstance(judge(Asked(method, path, query), POD, DELETE), Refusal)


def test_a_deletion_gets_the_uid_as_precondition() -> None:
    """A5."""
    answer = allowed(Asked("DELETE", PATH))
    assert (answer.method, answer.target, answer.verb) == ("DELETE", PATH, "delete")
    assert body(answer)["preconditions"] == {"uid": "u-1"}
    sent = b'{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}'
    answer = allowed(Asked("DELETE", PATH, content_type="application/json", body=sent))
    assert body(answer)["propagationPolicy"] == "Background"
    assert body(answer)["preconditions"] == {"uid": "u-1"}


def test_options_of_a_query_go_into_the_body() -> None:
    answer = allowed(Asked("DELETE", PATH, "gracePeriodSeconds=0&propagationPolicy=Orphan"))
    assert answer.target == PATH
    assert (body(answer)["gracePeriodSeconds"], body(answer)["propagationPolicy"]) == (0, "Orphan")
    assert allowed(Asked("DELETE", PATH, "dryRun=All")).dry_run


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("application/vnd.kubernetes.protobuf", b"k8s\0"),
        ("application/json", b"[]"),
        ("application/json", b"{"),
        ("application/json", b'{"preconditions":{"uid":"u-2"}}'),
        ("application/json", b" " * (MAX_BODY + 1)),
    ],
)
def test_deletions_that_are_not_understood(kind: str, sent: bytes) -> None:
    asked = Asked("DELETE", PATH, content_type=kind, body=sent)
    assert isinstance(judge(asked, POD, DELETE), Refusal)


def test_a_patch_is_pinned_to_the_uid() -> None:
    """A5."""
    sent = b'{"metadata":{"labels":{"a":"b"}}}'
    for kind in (MERGE, "application/strategic-merge-patch+json; charset=utf-8"):
        answer = allowed(Asked("PATCH", PATH, "fieldManager=x", kind, sent), PATCH)
        assert body(answer) == {"metadata": {"labels": {"a": "b"}, "uid": "u-1"}}
        assert answer.target == f"{PATH}?fieldManager=x"
    kind = "application/json-patch+json"
    answer = allowed(Asked("PATCH", PATH, "", kind, b'[{"op":"remove","path":"/x"}]'), PATCH)
    assert body(answer) == [
        {"op": "test", "path": "/metadata/uid", "value": "u-1"},
        {"op": "remove", "path": "/x"},
    ]
    scale = allowed(Asked("PATCH", f"{PATH}/scale", "", MERGE, b'{"spec":{"replicas":0}}'), PATCH)
    assert scale.target == f"{PATH}/scale"


@pytest.mark.parametrize(
    ("path", "query", "kind", "sent"),
    [
        (PATH, "", "application/apply-patch+yaml", b"{}"),
        (PATH, "", MERGE, b"[]"),
        (PATH, "", MERGE, b'{"metadata":[]}'),
        (PATH, "", MERGE, b'{"metadata":{"uid":"u-2"}}'),
        (PATH, "", "application/json-patch+json", b"{}"),
        (PATH, "force=true", MERGE, b"{}"),
        (f"{PATH}/status", "", MERGE, b"{}"),
        (f"{PATH}/ephemeralcontainers", "", MERGE, b"{}"),
    ],
)
def test_patches_that_are_not_understood(path: str, query: str, kind: str, sent: bytes) -> None:
    assert isinstance(judge(Asked("PATCH", path, query, kind, sent), POD, PATCH), Refusal)


def test_a_watch_of_the_one_object_ends_soon() -> None:
    answer = allowed(Asked("GET", PODS, "fieldSelector=metadata.name%3Dweb&watch=true"))
    assert answer.target == f"{PODS}?fieldSelector=metadata.name%3Dweb&watch=true&timeoutSeconds=10"


def test_an_object_without_a_uid_is_not_changed() -> None:
    nameless = ObjectRef(resource="pods", namespace="shop", name="web")
    assert isinstance(judge(Asked("DELETE", PATH), nameless, DELETE), Refusal)


@given(
    method=st.sampled_from(["GET", "DELETE", "PATCH", "POST", "PUT", "X"]),
    path=st.text(alphabet="/apiv1.%\u00e9 nmsodewb-", max_size=60).map(lambda text: "/" + text),
    query=st.text(max_size=40),
    sent=st.binary(max_size=60),
)
def test_no_request_changes_anything_else(method: str, path: str, query: str, sent: bytes) -> None:
    answer = judge(Asked(method, path, query, MERGE, sent), POD, DELETE | PATCH)
    if isinstance(answer, Allowed) and answer.verb:
        assert answer.target.partition("?")[0] in (PATH, f"{PATH}/scale")
        assert b"u-1" in answer.body
