"""The client of the API server: what is sent, and what an answer means."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tocsin.model.response import Call, ObjectRef
from tocsin.respond import cluster as module
from tocsin.respond.actions import steps
from tocsin.respond.actions.base import ApiError
from tocsin.respond.cluster import ApiCluster

POD = ObjectRef(resource="pods", namespace="shop", name="web-1", uid="u-1")
CALLS = {
    "GET": None,
    "PATCH": steps.patch(POD, [steps.put("/metadata/labels", {})], "x"),
    "DELETE": steps.delete(POD, "x", 0),
}


def cluster(answer: Callable[[httpx2.Request], httpx2.Response]) -> ApiCluster:
    client = httpx2.Client(base_url="https://api", transport=httpx2.MockTransport(answer))
    return ApiCluster("prod", client)


def ask(method: str, answer: Callable[[httpx2.Request], httpx2.Response]) -> Any:
    call, own = CALLS[method], cluster(answer)
    return own.get(POD) if call is None else own.call(call, "tocsin-1")


# What the API server answers, and what follows: bar A12's golden table.
OUTCOMES = [
    ("DELETE", 400, {}, {}, "invalid"),
    ("DELETE", 401, {}, {}, "denied"),
    ("DELETE", 403, {}, {}, "denied"),
    ("DELETE", 404, {}, {}, "gone"),
    ("DELETE", 405, {}, {}, "invalid"),
    ("DELETE", 409, {}, {}, "changed"),
    ("DELETE", 410, {}, {}, "gone"),
    ("DELETE", 422, {}, {}, "invalid"),
    ("PATCH", 422, {}, {}, "changed"),
    ("PATCH", 422, {}, {"details": {"causes": [{"field": "x"}]}}, "invalid"),
    ("DELETE", 429, {"Retry-After": "1"}, {}, "busy"),
    ("DELETE", 429, {}, {}, "busy"),
    ("DELETE", 500, {}, {}, "unknown"),
    ("DELETE", 502, {}, {}, "unknown"),
    ("DELETE", 503, {"Retry-After": "7"}, {}, "busy"),
    ("DELETE", 503, {}, {}, "unknown"),
    ("DELETE", 504, {}, {}, "unknown"),
    ("DELETE", 302, {"Location": "https://elsewhere/"}, {}, "invalid"),
    ("GET", 403, {}, {}, "denied"),
]


@pytest.mark.parametrize(("method", "code", "headers", "status", "failure"), OUTCOMES)
def test_a12_what_follows_from_each_answer(
    method: str, code: int, headers: dict[str, str], status: dict[str, Any], failure: str
) -> None:
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(code, headers=headers, json={"message": "no\x1b[2J", **status})

    with pytest.raises(ApiError) as caught:
        ask(method, answer)
    assert (caught.value.failure, caught.value.code) == (failure, code)
    assert caught.value.retry_after == (
        float(headers["Retry-After"]) if "Retry-After" in headers else None
    )
    assert "\x1b" not in str(caught.value)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (httpx2.ConnectError("refused"), "busy"),
        (httpx2.ConnectTimeout("slow"), "busy"),
        (httpx2.ReadTimeout("applied, then silent"), "unknown"),
        (httpx2.WriteTimeout("half sent"), "unknown"),
        (httpx2.RemoteProtocolError("cut"), "unknown"),
    ],
)
def test_a12_no_answer_after_sending_may_mean_that_it_was_done(
    error: httpx2.HTTPError, failure: str
) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise error

    with pytest.raises(ApiError) as caught:
        ask("DELETE", answer)
    assert caught.value.failure == failure


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"[" * 100_000, b'{"a": NaN}'])
def test_a12_an_answer_that_cannot_be_read_may_mean_that_it_was_done(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        ask("DELETE", lambda _: httpx2.Response(200, content=body))
    assert caught.value.failure == "unknown"


def test_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY", 100)
    with pytest.raises(ApiError, match="more than 100 bytes"):
        ask("GET", lambda _: httpx2.Response(200, json={"a": "x" * 100}))
    log = cluster(lambda _: httpx2.Response(200, content=b"x" * 1000)).text("/x", {}, 10)
    assert log == "x" * 10


def test_a_change_carries_its_mark_and_its_precondition() -> None:
    sent: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json={"kind": "Pod"})

    own = cluster(answer)
    own.call(steps.delete(POD, "x", 0), "tocsin-1")
    own.call(steps.delete(POD, "x", 0), "tocsin-2", dry_run=True)
    own.call(steps.patch(POD, [], "x", "scale"), "tocsin-3", dry_run=True)
    own.call(steps.create(POD, {"a": 1}, "x"), "tocsin-4", dry_run=True)
    deletion, rehearsed, patch, created = sent
    assert [one.headers["Audit-ID"] for one in sent] == [f"tocsin-{n}" for n in (1, 2, 3, 4)]
    assert json.loads(deletion.content)["preconditions"] == {"uid": "u-1"}
    assert deletion.url.path == "/api/v1/namespaces/shop/pods/web-1"
    # The API server does not look at the query where there is a body.
    assert json.loads(rehearsed.content)["dryRun"] == ["All"]
    assert "dryRun" not in json.loads(deletion.content)
    assert patch.url.path.endswith("/pods/web-1/scale")
    assert patch.url.params["dryRun"] == created.url.params["dryRun"] == "All"
    assert patch.headers["Content-Type"] == "application/json-patch+json"
    assert json.loads(patch.content) == [{"op": "test", "path": "/metadata/uid", "value": "u-1"}]
    assert created.url.path == "/api/v1/namespaces/shop/pods"


def test_lists_are_read_page_by_page() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        following = {"": "two", "two": ""}[request.url.params.get("continue", "")]
        body = {"metadata": {"continue": following}, "items": [{"n": following}, "no object"]}
        return httpx2.Response(200, json=body)

    assert cluster(answer).list(POD) == [{"n": "two"}, {"n": ""}]


def test_rights_are_the_api_servers_word() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        asked = json.loads(request.content)["spec"]["resourceAttributes"]
        allowed = asked["verb"] == "delete" and asked["name"] == "web-1"
        return httpx2.Response(201, json={"status": {"allowed": allowed}})

    own = cluster(answer)
    assert own.allowed(steps.delete(POD, "x"))
    assert not own.allowed(Call(verb="create", target=POD))
