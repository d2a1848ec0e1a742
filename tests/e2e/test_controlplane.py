"""The harness' own test: each technique leaves the audit events that a detection needs."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import techniques
from tests.e2e.controlplane.harness import ADMIN, CommandFailedError, ControlPlane
from tests.e2e.controlplane.processes import ControlPlaneError
from tests.e2e.techniques import DEVELOPER, NAME, SHOP, TECHNIQUES, Technique

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

POLICY = Path(__file__).parents[2] / "src/tocsin/content/policies/audit-policy.yaml"

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """An event that must be in the log, with texts that its JSON must hold."""

    verb: str
    resource: str
    texts: tuple[str, ...] = ()

    def fits(self, event: Event) -> bool:
        text = json.dumps(event, separators=(",", ":"))
        asked = (event["verb"], _resource(event))
        return asked == (self.verb, self.resource) and all(part in text for part in self.texts)


@dataclass(frozen=True, slots=True)
class Audited:
    """A control plane and the log that it writes."""

    cluster: ControlPlane
    log: Path

    def events(self, offset: int) -> list[Event]:
        """Return the events after a place in the log; a line still being written waits."""
        with self.log.open("rb") as file:
            file.seek(offset)
            lines = file.read().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def wait_for(self, expected: Expected, offset: int) -> Event:
        return self.cluster.wait(
            lambda: next((e for e in self.events(offset) if expected.fits(e)), None),
            f"an event like {expected}",
            timeout=10,
        )

    def now(self) -> int:
        return self.log.stat().st_size


def _resource(event: Event) -> str:
    target = event.get("objectRef", {})
    parts = (target.get("resource", ""), target.get("subresource", ""))
    return "/".join(part for part in parts if part)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    folder = tmp_path_factory.mktemp("controlplane")
    log = folder / "audit.log"
    flags = [f"--audit-policy-file={POLICY}", f"--audit-log-path={log}"]
    with ControlPlane(folder, flags) as cluster:
        yield Audited(cluster, log)


EVENTS = {
    "dump-secrets": [Expected("list", "secrets", ('"/api/v1/secrets?limit=1000"', '"code":200'))],
    "steal-serviceaccount-token": [
        Expected("create", "pods/exec", ("command=cat", "serviceaccount%2Ftoken", '"code":101'))
    ],
    "steal-serviceaccount-token-websocket": [
        Expected("get", "pods/exec", ("command=cat", "serviceaccount%2Ftoken", '"code":101'))
    ],
    "create-admin-clusterrole": [
        Expected("create", "clusterroles", ('"verbs":["*"]', '"resources":["*"]')),
        Expected("create", "serviceaccounts", ('"namespace":"kube-system"',)),
        Expected("create", "clusterrolebindings", (f'"name":"{NAME}"',)),
        Expected("get", "serviceaccounts", (NAME,)),
    ],
    "create-client-certificate": [
        Expected("create", "certificatesigningrequests", ("kubernetes.io/kube-apiserver-client",)),
        Expected("update", "certificatesigningrequests/approval", ('"type":"Approved"',)),
        Expected("get", "certificatesigningrequests"),
        Expected("delete", "certificatesigningrequests"),
    ],
    "create-token": [
        Expected(
            "create",
            "serviceaccounts/token",
            ("clusterrole-aggregation-controller", '"expirationSeconds":315360000'),
        )
    ],
    "hostpath-volume": [Expected("create", "pods", ('"hostPath":{"path":"/"', NAME))],
    "nodes-proxy": [
        Expected("create", "serviceaccounts/token", (NAME,)),
        Expected("list", "nodes"),
        Expected(
            "get",
            "nodes/proxy",
            ("/proxy/runningpods/", f'"username":"system:serviceaccount:{NAME}:{NAME}"'),
        ),
    ],
    "privileged-pod": [
        Expected("create", "pods", ('"privileged":true', NAME)),
        Expected("delete", "pods", ("gracePeriodSeconds=0",)),
    ],
}

CASES = [
    *((technique.id.rpartition(".")[2], technique) for technique in TECHNIQUES),
    ("steal-serviceaccount-token-websocket", techniques.STEAL_TOKEN_BY_WEBSOCKET),
]


@pytest.mark.parametrize(("case", "technique"), CASES, ids=[case for case, _ in CASES])
def test_technique_leaves_its_events(audited: Audited, case: str, technique: Technique) -> None:
    technique.warmup(audited.cluster)
    offset = audited.now()
    technique.detonate(audited.cluster)
    technique.revert(audited.cluster)
    for expected in EVENTS[case]:
        audited.wait_for(expected, offset)


def test_a_developer_can_work(audited: Audited) -> None:
    offset = audited.now()
    techniques.run_background(audited.cluster)
    verbs = {e["verb"] for e in audited.events(offset) if e["user"]["username"] == DEVELOPER}
    assert {"create", "delete", "get", "list", "patch", "watch"} <= verbs


def test_pods_run_and_go(audited: Audited) -> None:
    offset = audited.now()
    techniques.open_shop(audited.cluster)
    techniques.create_pod(audited.cluster, "plain", SHOP)
    techniques.delete_pod(audited.cluster, "plain", SHOP)
    techniques.close_shop(audited.cluster)
    audited.wait_for(Expected("create", "pods", (f'"username":"{DEVELOPER}"',)), offset)
    audited.wait_for(Expected("delete", "pods", (f'"username":"{DEVELOPER}"',)), offset)


def test_a_stranger_may_do_nothing(audited: Audited) -> None:
    with pytest.raises(CommandFailedError, match="Forbidden"):
        audited.cluster.kubectl("get", "secrets", "-A", user="mallory")
    with audited.cluster.api(None) as anonymous:
        assert anonymous.get("/api/v1/secrets").status_code == 403


def test_a_token_identifies_its_service_account(audited: Audited) -> None:
    token = audited.cluster.kubectl("create", "token", "default").stdout.strip()
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    with audited.cluster.api(token=token) as http:
        answer = http.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json=review)
    user = answer.raise_for_status().json()["status"]["userInfo"]["username"]
    assert user == "system:serviceaccount:default:default"


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_exec_answers(audited: Audited, websockets: str) -> None:
    cluster, name = audited.cluster, f"exec-{websockets}"
    techniques.create_pod(cluster, name, "default", ADMIN)
    cluster.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=30s")
    environment = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": websockets}
    answer = cluster.kubectl("exec", name, "--", "echo", "hello", env=environment)
    assert answer.stdout == "hello\n"
    techniques.delete_pod(cluster, name, "default", ADMIN)


def test_nothing_is_left_running(tmp_path: Path) -> None:
    with ControlPlane(tmp_path) as cluster:
        cluster.add_node("node-2")
        pids = cluster.pids
    assert {"etcd", "kube-apiserver", "kwok-node-1", "kwok-node-2"} <= set(pids)
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_refused_flag_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ControlPlaneError, match="unknown flag: --audit-nonsense"):
        ControlPlane(tmp_path, ["--audit-nonsense=1"]).__enter__()
