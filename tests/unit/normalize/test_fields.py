"""Derived fields: computed from one event, absent where they cannot be."""

import json
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.audit import view
from tests.unit.rules.strategies import JSON, events
from tocsin.model.event import AuditEvent
from tocsin.normalize.fields import AUDIT, normal_path
from tocsin.rules.interpret import EventView


def values(path: str, **changes: object) -> list[object]:
    return view(**changes).values(path)


def ref(resource: str, subresource: str | None = None, **more: object) -> dict[str, object]:
    found = {"resource": resource, "subresource": subresource, "namespace": "shop", **more}
    return {key: value for key, value in found.items() if value is not None}


SPEC = {
    "containers": [{"name": "a", "image": "one"}],
    "initContainers": [{"name": "b", "image": "two"}],
    "ephemeralContainers": [{"name": "c", "image": "three", "listName": "made up"}],
    "hostPID": True,
}
WORKLOADS = [
    ("pods", "", {"spec": SPEC}),
    ("deployments", "apps", {"spec": {"template": {"spec": SPEC}}}),
    ("statefulsets", "apps", {"spec": {"template": {"spec": SPEC}}}),
    ("daemonsets", "apps", {"spec": {"template": {"spec": SPEC}}}),
    ("replicasets", "apps", {"spec": {"template": {"spec": SPEC}}}),
    ("replicationcontrollers", "", {"spec": {"template": {"spec": SPEC}}}),
    ("jobs", "batch", {"spec": {"template": {"spec": SPEC}}}),
    ("cronjobs", "batch", {"spec": {"jobTemplate": {"spec": {"template": {"spec": SPEC}}}}}),
    ("podtemplates", "", {"template": {"spec": SPEC}}),
    ("rollouts", "argoproj.io", {"spec": {"template": {"spec": SPEC}}}),
]


@pytest.mark.parametrize(("resource", "group", "body"), WORKLOADS)
@pytest.mark.parametrize("verb", ["create", "update"])
def test_podspec_of_every_workload(
    resource: str, group: str, body: dict[str, object], verb: str
) -> None:
    one = view(verb=verb, objectRef=ref(resource, apiGroup=group or None), requestObject=body)
    assert one.values("podspec.containers.image") == ["one", "two", "three"]
    lists = ["containers", "initContainers", "ephemeralContainers"]
    assert one.values("podspec.containers.listName") == lists
    assert one.values("podspec.hostPID") == [True]
    assert one.values("podspec.source") == ["request"]


def test_podspec_of_a_patch_is_what_was_stored_else_the_patch() -> None:
    patch = {"spec": {"hostPID": True}}
    stored = {"spec": {"hostPID": False, "containers": []}}
    one = view(verb="patch", requestObject=patch, responseObject=stored)
    assert one.values("podspec.hostPID") == [False]
    assert one.values("podspec.source") == ["response"]
    alone = view(verb="patch", requestObject=patch)
    assert alone.values("podspec.hostPID") == [True]
    assert alone.values("podspec.source") == ["patch"]
    json_patch = [{"op": "add", "path": "/spec/hostPID", "value": True}]
    assert values("podspec", verb="patch", requestObject=json_patch) == []


def test_podspec_of_a_create_without_request_is_what_was_stored() -> None:
    one = view(responseObject={"spec": {"hostPID": True}})
    assert one.values("podspec.source") == ["response"]


def test_decoy_in_another_workloads_place_hides_nothing() -> None:
    decoy = {"jobTemplate": {"spec": {"template": {"spec": {"hostPID": False}}}}}
    patch = {"spec": decoy | {"template": {"spec": SPEC}}, "template": {"spec": {}}}
    found = values(
        "podspec.hostPID", verb="patch", objectRef=ref("deployments"), requestObject=patch
    )
    assert found == [True]


@pytest.mark.parametrize("verb", ["get", "delete", "list", "connect"])
def test_podspec_needs_a_write(verb: str) -> None:
    assert values("podspec", verb=verb, requestObject={"spec": SPEC}) == []


@pytest.mark.parametrize("subresource", ["status", "binding", "eviction", "log", ""])
def test_podspec_is_not_in_other_subresources(subresource: str) -> None:
    assert values("podspec", objectRef=ref("pods", subresource), requestObject={"spec": SPEC}) == []


def test_debug_container_is_a_container() -> None:
    changes: dict[str, object] = {"verb": "patch", "objectRef": ref("pods", "ephemeralcontainers")}
    assert "three" in values("podspec.containers.image", requestObject={"spec": SPEC}, **changes)


@pytest.mark.parametrize("shape", [None, 7, "text", [], [1], {"a": 1}, [[{}]], True])
def test_podspec_of_any_shape_is_no_failure(shape: object) -> None:
    for spec in ({"containers": shape, "volumes": shape}, shape):
        for body in ({"spec": spec}, shape):
            assert values("podspec.containers.image", requestObject=body) == []
            assert values("podspec.volumes.hostPath.path", requestObject=body) == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/etc", "/etc"),
        ("/etc/", "/etc"),
        ("//etc", "/etc"),
        ("///etc//kubernetes/", "/etc/kubernetes"),
        ("/var/../etc", "/etc"),
        ("/./etc/.", "/etc"),
        ("/../../etc", "/etc"),
        ("etc", "/etc"),
        ("/", "/"),
        ("", "/"),
        ("/..", "/"),
        ("/etc/..data", "/etc/..data"),
    ],
)
def test_paths_are_normalised(written: str, meant: str) -> None:
    assert normal_path(written) == meant
    volume = {"name": "v", "hostPath": {"path": written, "type": "Directory"}}
    body = {"spec": {"volumes": [volume, {"emptyDir": {}}, {"hostPath": {"path": 7}}, "text"]}}
    one = view(requestObject=body)
    assert one.values("podspec.volumes.hostPath.path") == [meant, 7]
    assert one.values("podspec.volumes.hostPath.type") == ["Directory"]


EXEC = ref("pods", "exec")


def exec_uri(query: str) -> dict[str, object]:
    return {"requestURI": f"/api/v1/namespaces/a/pods/p/exec?{query}", "objectRef": EXEC}


@pytest.mark.parametrize(
    ("query", "command"),
    [
        ("command=ls", ["ls"]),
        ("command=sh&command=-c&command=id", ["sh", "-c", "id"]),
        ("command=cat+%2Fetc%2Fpasswd&container=c", ["cat /etc/passwd"]),
        ("comm%61nd=sh", ["sh"]),
        ("command=a%26command=b", ["a&command=b"]),
        ("command=", [""]),
        ("command", [""]),
        ("command=%FF%zz", ["\ufffd%zz"]),
        ("command=ä", ["ä"]),
        ("container=c", []),
    ],
)
def test_command_of_an_exec_stands_in_the_uri(query: str, command: list[str]) -> None:
    one = view(**exec_uri(query))
    assert one.values("exec.command") == command
    assert one.values("exec.commandLine") == ([" ".join(command)] if command else [])


def test_other_parameters_of_an_exec_are_as_sent() -> None:
    one = view(**exec_uri("command=sh&container=c&stdin=true&tty=false&commandLine=harmless"))
    assert one.values("exec.container") == ["c"]
    assert one.values("exec.stdin") == ["true"]
    assert one.values("exec.tty") == ["false"]
    assert one.values("exec.commandLine") == ["sh"]


def test_attach_has_no_command() -> None:
    uri = "/api/v1/namespaces/a/pods/p/attach?stdin=true"
    one = view(requestURI=uri, objectRef=ref("pods", "attach"))
    assert one.values("exec.stdin") == ["true"]
    assert one.values("exec.command") == []


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1))
def test_every_command_is_read_back(command: list[str]) -> None:
    for encode in (quote, quote_plus):
        query = "&".join(f"command={encode(part)}" for part in command)
        assert view(**exec_uri(query)).values("exec.command") == command


@pytest.mark.parametrize(
    ("uri", "resource", "namespace", "path", "query"),
    [
        ("/api/v1/nodes/n/proxy/run/ns/p/c?cmd=id", "nodes", None, "/run/ns/p/c", "cmd=id"),
        ("/api/v1/nodes/n/proxy", "nodes", None, "/", ""),
        ("/api/v1/nodes/n/proxy/", "nodes", None, "/", ""),
        ("/api/v1/nodes/n/proxy/metrics/../run/x", "nodes", None, "/run/x", ""),
        ("/api/v1/nodes/n/proxy/metrics%2F..%2Frun", "nodes", None, "/run", ""),
        ("/api/v1/nodes/n/proxy//run", "nodes", None, "/run", ""),
        ("/api/v1/nodes/n/%70roxy/run", "nodes", None, "/run", ""),
        ("/api/v1/nodes/proxy-1/proxy/run", "nodes", None, "/run", ""),
        ("/api/v1/nodes/proxy/proxy/proxy", "nodes", None, "/proxy", ""),
        ("/api/v1/namespaces/proxy/pods/p:80/proxy/a", "pods", "proxy", "/a", ""),
        ("/api/v1/namespaces/a/services/https:s:443/proxy/a/b", "services", "a", "/a/b", ""),
    ],
)
def test_path_behind_a_proxy(
    uri: str, resource: str, namespace: str | None, path: str, query: str
) -> None:
    one = view(
        verb="get", requestURI=uri, objectRef=ref(resource, "proxy") | {"namespace": namespace}
    )
    assert one.values("proxy.path") == [path]
    assert one.values("proxy.query") == [query]


@pytest.mark.parametrize("uri", ["", "/", "/api/v1/nodes/n", "/proxy/run", "/x/y/z/proxy/a"])
def test_path_behind_no_proxy_is_absent(uri: str) -> None:
    assert (
        values("proxy", requestURI=uri, objectRef={"resource": "nodes", "subresource": "proxy"})
        == []
    )


def test_certificate_request_is_read_on_writes_only() -> None:
    changes = {
        "objectRef": {"resource": "certificatesigningrequests"},
        "requestObject": {"spec": {"request": "?", "signerName": "s"}},
    }
    assert values("csr.signerName", **changes) == ["s"]
    assert len(values("csr.error", **changes)) == 1
    assert values("csr", **changes | {"verb": "get"}) == []
    assert values("csr", **changes | {"requestObject": {"spec": 7}}) == []


ALLOW, FORBID = ({"authorization.k8s.io/decision": decision} for decision in ("allow", "forbid"))


@pytest.mark.parametrize(
    ("stage", "code", "annotations", "outcome"),
    [
        ("ResponseComplete", 101, ALLOW, "allowed"),
        ("ResponseComplete", 201, ALLOW, "allowed"),
        ("ResponseComplete", 399, None, "allowed"),
        ("ResponseStarted", 101, ALLOW, "started"),
        ("ResponseStarted", 200, ALLOW, "started"),
        ("ResponseStarted", 401, None, "unauthenticated"),
        ("ResponseComplete", 401, ALLOW, "unauthenticated"),
        ("ResponseComplete", 403, FORBID, "denied"),
        ("ResponseComplete", 403, ALLOW, "refused"),
        ("ResponseComplete", 404, ALLOW, "failed"),
        ("ResponseComplete", 409, ALLOW, "failed"),
        ("ResponseComplete", 422, ALLOW, "failed"),
        ("ResponseComplete", 500, ALLOW, "error"),
        ("Panic", 500, ALLOW, "error"),
        ("RequestReceived", None, None, None),
    ],
)
def test_outcome(
    stage: str, code: int | None, annotations: dict[str, str] | None, outcome: str | None
) -> None:
    status = None if code is None else {"code": code}
    found = values("outcome", stage=stage, responseStatus=status, annotations=annotations)
    assert found == ([outcome] if outcome else [])


def test_owner_is_the_controller() -> None:
    owners = [
        {"kind": "Pod", "name": "x", "uid": "1"},
        {"kind": "Job", "name": "j", "uid": "2", "controller": True, "apiVersion": "batch/v1"},
        "text",
    ]
    body = {"metadata": {"ownerReferences": owners}}
    assert values("owner", requestObject=body) == [{"kind": "Job", "name": "j", "uid": "2"}]
    assert values("owner.name", requestObject={}, responseObject=body) == ["j"]
    assert values("owner", requestObject={"metadata": {"ownerReferences": owners[:1]}}) == []
    assert (
        values("owner", requestObject={"metadata": {"ownerReferences": {"controller": True}}}) == []
    )


def test_credential_in_use_and_issued() -> None:
    extra = {"authentication.kubernetes.io/credential-id": ["JTI=1"]}
    issued = {"authentication.kubernetes.io/issued-credential-id": "JTI=2"}
    user = {"username": "a", "extra": extra}
    assert values("credential", user=user) == [{"id": "JTI=1", "issued": None}]
    assert values("credential.issued", annotations=issued) == ["JTI=2"]
    assert values("credential") == []
    assert values("credential", user={"username": "a", "extra": {next(iter(extra)): []}}) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("alice", "user"),
        ("system:serviceaccount:shop:web", "serviceaccount"),
        ("system:node:n1", "node"),
        ("system:anonymous", "anonymous"),
        ("system:kube-scheduler", "system"),
        ("systematic", "user"),
    ],
)
def test_kind_of_actor(name: str, kind: str) -> None:
    assert values("actor.kind", user={"username": name}) == [kind]
    assert values("actor.name", user={"username": name}) == [name]


def test_namespace_of_a_service_account() -> None:
    assert values("actor.namespace", user={"username": "system:serviceaccount:a:b"}) == ["a"]
    assert values("actor.namespace", user={"username": "alice"}) == []


def test_actor_is_whose_rights_are_used() -> None:
    user, other = {"username": "alice"}, {"username": "system:serviceaccount:a:b"}
    one = view(user=user, impersonatedUser=other)
    assert one.values("actor.name") == ["system:serviceaccount:a:b"]
    assert one.values("actor.caller") == ["alice"]
    assert values("actor.caller", user=user) == []
    assert values("actor", user=None) == []
    assert values("actor", user={"username": ""}) == []


@given(events())
def test_no_event_makes_a_derived_field_fail(one: AuditEvent) -> None:
    looked = EventView(one, AUDIT)
    for name in AUDIT.derived:
        for value in looked.values(name):
            assert isinstance(value, str | dict)


@given(JSON)
def test_no_body_makes_a_derived_field_fail(body: object) -> None:
    for resource in ("pods", "deployments", "cronjobs", "certificatesigningrequests"):
        one = view(objectRef={"resource": resource}, requestObject=body, responseObject=body)
        for name in AUDIT.derived:
            json.dumps(one.values(name))


@given(st.text(string.printable, max_size=40), st.sampled_from(["exec", "attach", "proxy"]))
def test_no_uri_makes_a_derived_field_fail(uri: str, subresource: str) -> None:
    one = view(requestURI=uri, objectRef=ref("pods", subresource))
    for name in ("exec", "proxy"):
        one.values(name)
