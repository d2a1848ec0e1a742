"""A real API server records each request at the level that our evaluator says."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.conformance.test_audit_policy import request_of
from tests.e2e.controlplane.harness import ControlPlane
from tocsin.auditpolicy import Policy, parse_policy
from tocsin.connect.policy import load_policy, read_policy
from tocsin.model.event import AuditEvent
from tocsin.normalize.decode import decode

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# Each rule restricts itself in another way; `verbs` stands in a wrong place on purpose.
PICKY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "nonResourceURLs": ["/readyz*", "/openapi*"]},
        {"level": "None", "resources": [{"group": "coordination.k8s.io"}]},
        {
            "level": "RequestResponse",
            "omitManagedFields": True,
            "namespaces": ["shop", ""],
            "resources": [
                {"group": "", "resources": ["configmaps"], "resourceNames": ["named"]},
                {"group": "*", "resources": ["*/scale"], "verbs": ["update"]},
                {"group": "", "resources": ["namespaces"]},
            ],
        },
        {"level": "Request", "userGroups": ["system:masters"], "verbs": ["create", "patch"]},
        {"level": "Request", "users": ["system:kube-scheduler"], "resources": [{"group": ""}]},
        {"level": "Metadata", "resources": [{"group": "", "resources": ["pods/*"]}]},
        {"level": "Metadata", "omitStages": ["ResponseStarted"]},
    ],
}

COMMANDS = (
    "create namespace shop",
    "create configmap named --namespace shop --from-literal=a=b",
    "create configmap other --namespace shop --from-literal=a=b",
    "get configmap named other --namespace shop",
    "patch configmap named --namespace shop --patch={}",
    "create deployment web --namespace shop --image=web",
    "scale deployment web --namespace shop --replicas=2",
    "get namespaces,pods,roles --all-namespaces",
    "get --raw /version",
    "get --raw /metrics",
    "delete deployment web --namespace shop",
    "auth can-i --list",
)


def policy_of(name: str) -> Policy:
    return read_policy(name) if name == "recommended" else parse_policy(PICKY, name)


@pytest.mark.parametrize("name", ["recommended", "picky"])
def test_levels_are_those_of_a_real_api_server(name: str, tmp_path: Path) -> None:
    file, log = tmp_path / "policy.yaml", tmp_path / "audit.log"
    policy = policy_of(name)
    file.write_bytes(load_policy(name) if name == "recommended" else msgspec.yaml.encode(PICKY))
    flags = [f"--audit-policy-file={file}", f"--audit-log-path={log}"]
    with ControlPlane(tmp_path / "cluster", flags) as cluster:
        for command in COMMANDS:
            cluster.kubectl(*command.split(), check=False)
    levels: Counter[str | None] = Counter()
    for event in decode(log.read_bytes()).events:
        decision = policy.level_of(request_of(event))
        assert decision.level == event.level, (event.request_uri, event.user)
        assert event.stage not in decision.omit_stages
        assert not (decision.omit_managed_fields and holds_managed_fields(event))
        levels[event.level] += 1
    assert {*levels} == {"Metadata", "Request", "RequestResponse"}


def holds_managed_fields(event: AuditEvent) -> bool:
    bodies = (event.request_object, event.response_object)
    return any(b'"managedFields"' in bytes(body) for body in bodies)
