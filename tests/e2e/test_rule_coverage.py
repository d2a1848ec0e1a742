"""What `tocsin rules coverage` says of a policy is what a real API server records under it.

Each priority 1 detection is provoked under the recommended policy and under a lean one that keeps
bodies of pods only. A rule that can never fire does not, and one that sees all that it is for does.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
import pytest

from tests.e2e.attacks import (
    ATTACKER,
    ATTACKS,
    NOBODY,
    Attack,
    binding,
    pod,
    role,
    webhook,
    workload,
)
from tests.e2e.controlplane.harness import ControlPlane
from tests.e2e.techniques import CORE, RBAC
from tocsin.auditpolicy import State, coverage
from tocsin.connect.policy import load_policy, read_policy
from tocsin.ingest.file import documents, read_files
from tocsin.normalize.fields import AUDIT
from tocsin.rules.ir import Rule
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.rules import load_rules

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_CONTENT = {"PATCH": "application/strategic-merge-patch+json"}


@pytest.fixture(params=["recommended", "seed"])
def policy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_coverage_is_what_a_live_api_server_makes_of_it(policy: str, tmp_path: Path) -> None:
    file, log = tmp_path / "policy.yaml", tmp_path / "audit.log"
    file.write_bytes(load_policy(policy))
    flags = [f"--audit-policy-file={file}", f"--audit-log-path={log}"]
    with ControlPlane(tmp_path / "cluster", flags) as cluster:
        prepare(cluster)
        for attack in ATTACKS:
            send(cluster, attack)
    rules = load_rules([], grades=("core", "extended", "audit")).rules
    fired = fired_in(log, rules)
    states = {one.rule.id: one.state for one in coverage(read_policy(policy), rules, AUDIT)}
    wrong = list(contradictions(rules, states, fired))
    assert not wrong, "\n".join(wrong)


def prepare(cluster: ControlPlane) -> None:
    """Make what the attacks need: who sends them, and what they are about."""
    with cluster.api() as http:
        for namespace in ("shop", "falco", "public"):
            create(http, f"{CORE}/namespaces", {"metadata": {"name": namespace}})
        bind = f"{RBAC}/clusterrolebindings"
        create(http, bind, binding("attacker", "cluster-admin", "User", ATTACKER))
        create(http, f"{RBAC}/clusterroles", role("plain", ["get"], "", "services"))
        writer = role("writer", ["create"], "rbac.authorization.k8s.io", "roles")
        create(http, f"{RBAC}/clusterroles", writer)
        create(http, bind, binding("nobody", "writer", "User", NOBODY))
        create(http, f"{RBAC}/clusterroles", role("opener", ["get"], "", "configmaps"))
        opened = binding("opened", "opener", "User", "system:anonymous")
        create(http, f"{RBAC}/namespaces/public/rolebindings", opened)
        create(http, f"{CORE}/namespaces/shop/pods", pod("target"))
        create(http, f"{CORE}/namespaces/kube-system/pods", pod("target", "kube-system"))
        for name in ("coredns", "aws-auth"):
            found = {"metadata": {"name": name}, "data": {"a": "b"}}
            create(http, f"{CORE}/namespaces/kube-system/configmaps", found)
        secret = {"metadata": {"name": "credentials"}, "data": {"a": "Yg=="}}
        create(http, f"{CORE}/namespaces/shop/secrets", secret)
        agent = workload("falco", {"containers": [{"name": "falco", "image": "falco"}]})
        agent["metadata"]["namespace"] = "falco"
        create(http, "/apis/apps/v1/namespaces/falco/daemonsets", agent)
        admission = "/apis/admissionregistration.k8s.io/v1"
        inside = {"service": {"namespace": "shop", "name": "guard"}}
        guard = webhook("guard", inside, ["services"])
        create(http, f"{admission}/validatingwebhookconfigurations", guard)
        create(http, f"{admission}/validatingadmissionpolicies", _admission_policy("guard"))


def _admission_policy(name: str) -> dict[str, object]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    return {
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{**rule, "resources": ["pods"]}]},
            "validations": [{"expression": "true"}],
        },
    }


def create(http: httpx2.Client, path: str, body: Mapping[str, object]) -> None:
    http.post(path, json=body).raise_for_status()


def send(cluster: ControlPlane, attack: Attack) -> None:
    """Send one request; whether it succeeds is the cluster's business."""
    headers = dict(attack.headers)
    if attack.method in _CONTENT:
        headers["Content-Type"] = _CONTENT[attack.method]
    if "/exec?" in attack.path:
        headers |= {"Connection": "Upgrade", "Upgrade": "websocket"}
        headers |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        headers |= {"Sec-WebSocket-Protocol": "v5.channel.k8s.io"}
    with cluster.api(attack.user) as http:
        body = dict(attack.body) if attack.body else None
        if attack.method == "PUT" and body:
            live = http.get(attack.path.removesuffix("/approval")).json()
            body = {**live, "status": body["status"]}
        # An exec goes on; its answer's first line is enough.
        with http.stream(attack.method, attack.path, json=body, headers=headers):
            pass


def fired_in(log: Path, rules: list[Rule]) -> dict[str, int]:
    """Return how often each rule fired on what the API server wrote, by its id."""
    pipeline = Pipeline(rules)
    fired: dict[str, int] = defaultdict(int)
    for chunk in documents(read_files([str(log)])):
        for alert in pipeline.process(chunk.data, "default").alerts:
            fired[alert.rule.id] += 1
    return fired


def contradictions(
    rules: list[Rule], states: Mapping[str, State], fired: Mapping[str, int]
) -> Iterator[str]:
    """Yield rules that fired though they cannot, and detections that did not though they must.

    Several rules may share a detection, each for another form of it: one of them has to fire.
    """
    for rule in rules:
        if states[rule.id] == "never" and rule.id in fired:
            yield f"{rule.title}: never, fired {fired[rule.id]} times"
    for attack in ATTACKS:
        # A first time is told after days of learning.
        named = [rule for rule in rules if attack.id in rule.catalogue and rule.first_seen is None]
        full = [rule.title for rule in named if states[rule.id] == "full"]
        if full and not any(rule.id in fired for rule in named):
            yield f"{attack.id}: did not fire, though these see all: {', '.join(full)}"
        elif not named:
            yield f"{attack.id}: no rule"
