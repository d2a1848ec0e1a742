"""Tocsin between a real control plane and whoever reads its alerts (bar D2)."""

import fnmatch
import json
import ssl
import time
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

import tocsin as product
from tests.e2e import techniques
from tests.e2e.controlplane import processes
from tests.e2e.controlplane.harness import ADMIN, ControlPlane
from tests.e2e.site import Site, at_least, loud, shown, undelivered
from tests.e2e.techniques import NAME, STEAL_TOKEN, TECHNIQUES, Technique
from tests.e2e.tocsin import CLUSTER, HOST, NODE, Tocsin, flags
from tocsin.model.alert import Alert

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# From the answer to the attacker to the alert in the store.
PROMISED_SECONDS: Final = 2.0
# The API server sends what it could not deliver again after 20 to 24 seconds, then after 30 to 36.
RETRY_SECONDS: Final = 75.0

# Each technique's alert carries one of these ATT&CK ids.
ATTACK: Final = {
    "k8s.credential-access.dump-secrets": ("T1552.007",),
    STEAL_TOKEN: ("T1528", "T1552*"),
    "k8s.persistence.create-admin-clusterrole": ("T1098.006", "T1136*", "T1078*"),
    "k8s.persistence.create-client-certificate": ("T1098*", "T1550*", "T1649"),
    "k8s.persistence.create-token": ("T1528", "T1550.001", "T1098*"),
    "k8s.privilege-escalation.hostpath-volume": ("T1611",),
    "k8s.privilege-escalation.nodes-proxy": ("T1609", "T1611"),
    "k8s.privilege-escalation.privileged-pod": ("T1611",),
}
# What tutorials have people write: no proof of either side, no path.
ADOPTED_KUBECONFIG: Final = """\
apiVersion: v1
kind: Config
preferences: {}
clusters:
  - name: wazuh-webhook
    cluster:
      insecure-skip-tls-verify: true
      server: https://HOST:8080
current-context: webhook
contexts:
- context:
    cluster: wazuh-webhook
    user: kube-apiserver
  name: webhook
"""
SEED_POLICY: Final = Path(product.__file__).parent / "content/policies/seed-policy.yaml"
# Who attacks, where it is not the administrator.
ACTORS: Final = {
    "k8s.privilege-escalation.nodes-proxy": f"system:serviceaccount:{NAME}:{NAME}",
}
CASES: Final = {
    **{technique.id.rpartition(".")[2]: technique for technique in TECHNIQUES},
    "steal-serviceaccount-token-websocket": techniques.STEAL_TOKEN_BY_WEBSOCKET,
    "privileged-pod-padded": techniques.PADDED_PRIVILEGED_POD,
}


# The first parameter is also that of tests which one policy suffices for.
@pytest.fixture(scope="module", params=["recommended", "seed", "adopted"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp(request.param)
    cache = tmp_path_factory.getbasetemp() / "pycache"
    if request.param == "adopted":
        name = "default"
        tocsin = Tocsin(folder / "tocsin", cache, {"allow_unauthenticated_from": [f"{HOST}/32"]})
        audit_flags = adopted_flags(folder, tocsin.address)
    else:
        name = CLUSTER
        tocsin = Tocsin(folder / "tocsin", cache)
        audit_flags = flags(tocsin.connect(policy=request.param))
    with tocsin, ControlPlane(folder / "cluster", audit_flags) as cluster:
        found = Site(request.param, name, cluster, tocsin)
        found.settle()
        found.at_startup = found.alerts()
        yield found
        # No event of a real API server was set aside, nothing was lost on either side.
        assert not tocsin.findings()
        assert not undelivered(cluster)


def adopted_flags(folder: Path, address: str) -> list[str]:
    """Return the flags of somebody who sent audit events elsewhere before, by these files."""
    kubeconfig = folder / "webhook-kubeconfig.yaml"
    kubeconfig.write_text(ADOPTED_KUBECONFIG.replace("HOST:8080", address))
    return [
        f"--audit-policy-file={SEED_POLICY}",
        f"--audit-webhook-config-file={kubeconfig}",
        "--audit-webhook-batch-max-wait=1s",
    ]


def assert_one_per_request(alerts: Collection[Alert]) -> None:
    requests = Counter(
        (
            alert.rule.id,
            alert.event and (alert.event.audit_id, alert.event.received, alert.event.request_uri),
            alert.actor.user,
            alert.target.verb,
        )
        for alert in alerts
    )
    assert not [request for request, count in requests.items() if count > 1]
    assert len({alert.id for alert in alerts}) == len(alerts)


def record(request: pytest.FixtureRequest, **columns: str) -> None:
    """Put a row into the table at the end of the run."""
    request.node.user_properties.extend(columns.items())


@pytest.mark.parametrize("case", CASES)
def test_technique_is_alerted(request: pytest.FixtureRequest, site: Site, case: str) -> None:
    technique = CASES[case]
    technique.warmup(site.cluster)
    before = site.settle()
    try:
        technique.detonate(site.cluster)
        answered = time.monotonic()
        site.wait_for(lambda alert: tells(technique, site.name, alert), before)
        seconds = time.monotonic() - answered
        site.settle()
        alerts = site.alerts(before)
    finally:
        technique.revert(site.cluster)
    serious = [alert for alert in alerts if at_least("medium", alert)]
    record(
        request,
        technique=case,
        policy=site.policy,
        seconds=f"{seconds:.2f}",
        alerts=shown(serious),
    )
    assert seconds <= PROMISED_SECONDS
    assert_one_per_request(site.alerts())


def tells(technique: Technique, cluster: str, alert: Alert) -> bool:
    """Return whether an alert says who did what and where, and loudly enough."""
    return (
        at_least("medium", alert)
        and alert.cluster == cluster
        and alert.actor.user == ACTORS.get(technique.id, ADMIN)
        and any(
            fnmatch.fnmatchcase(known.technique, pattern)
            for known in alert.rule.attack
            for pattern in ATTACK[technique.id]
        )
    )


def test_start_of_a_cluster_is_quiet(request: pytest.FixtureRequest, site: Site) -> None:
    rows = shown(site.at_startup) or "none"
    record(request, technique="(cluster starts)", policy=site.policy, seconds="", alerts=rows)
    assert not loud(site.at_startup)


def test_ordinary_work_is_quiet(request: pytest.FixtureRequest, site: Site) -> None:
    before = site.settle()
    techniques.run_background(site.cluster)
    site.settle()
    alerts = site.alerts(before)
    rows = shown(alerts) or "none"
    record(request, technique="(ordinary work)", policy=site.policy, seconds="", alerts=rows)
    assert not loud(alerts)


def test_pods_that_come_and_go_are_told(site: Site) -> None:
    before = site.settle()
    techniques.create_pod(site.cluster, "plain", "default", ADMIN)
    techniques.delete_pod(site.cluster, "plain", "default", ADMIN)
    site.settle()
    alerts = [alert for alert in site.alerts(before) if alert.actor.user == ADMIN]
    assert {shown([alert]) for alert in alerts} == {"info pod-created", "info pod-deleted"}
    assert {alert.target.name for alert in alerts} == {"plain"}


WHOLE = ("--json", "--severity", "info", "--hidden", "with", "--limit", "100000")


def test_command_shows_what_is_stored(site: Site) -> None:
    site.settle()
    output = site.tocsin.show_alerts(*WHOLE)
    printed = [json.loads(line)["id"] for line in output.splitlines()]
    stored = [one.alert.id for one in site.tocsin.alerts()]
    assert set(stored) <= set(printed)
    assert len(printed) == len(set(printed))


def test_another_cluster_cannot_post_here(site: Site) -> None:
    bundle = site.tocsin.connect("other")
    with httpx2.Client(
        base_url=site.tocsin.url, verify=client_context(bundle), trust_env=False
    ) as http:

        def post(cluster: str) -> int:
            return http.post(f"/v1/audit/{cluster}/{NODE}", json=forged_events()).status_code

        processes.wait_for(lambda: post("other") == httpx2.codes.OK, "the new cluster")
        assert post(CLUSTER) == httpx2.codes.FORBIDDEN
    site.wait_for(forged)
    site.settle()
    assert {alert.cluster for alert in site.alerts() if forged(alert)} == {"other"}


def client_context(bundle: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=bundle / "ca.crt")
    context.load_cert_chain(bundle / "client.crt", bundle / "client.key")
    return context


def forged(alert: Alert) -> bool:
    return alert.actor.user == "mallory"


def forged_events(when: datetime | None = None) -> dict[str, Any]:
    """Return a batch of one event: a pod was created, just now if no time is given."""
    now = (when or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    event = {
        "level": "Metadata",
        "auditID": "5d3e8c56-0f6e-4b7a-9d53-8a1f0f0a7c11",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/default/pods",
        "verb": "create",
        "user": {"username": "mallory", "groups": ["system:authenticated"]},
        "sourceIPs": ["192.0.2.1"],
        "objectRef": {
            "resource": "pods",
            "namespace": "default",
            "name": "forged",
            "apiVersion": "v1",
        },
        "responseStatus": {"code": 201},
        "requestReceivedTimestamp": now,
        "stageTimestamp": now,
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }
    return {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [event]}


@pytest.mark.parametrize("site", ["adopted"], indirect=True)
def test_sender_without_proof_is_shown_everywhere(site: Site) -> None:
    site.settle()
    stored = [one for one in site.tocsin.alerts() if one.alert.cluster == site.name]
    assert stored
    assert not any(one.authenticated for one in stored)
    said = "let in without proof as cluster 'default'"
    assert said in site.tocsin.last_words
    assert any(said in one for one in site.tocsin.readiness()["receiver"]["findings"])
    assert said in site.tocsin.run("alerts", "-c", str(site.tocsin.config)).stderr


@pytest.mark.parametrize("site", ["recommended"], indirect=True)
def test_pods_created_while_tocsin_is_down_are_alerts(site: Site) -> None:
    """First its receiver is killed time and again, then all of it."""
    before = site.settle()
    names = [f"outage-{number}" for number in range(6)]
    down = []
    for name in names[:3]:
        site.tocsin.kill_receiver()
        techniques.create_pod(site.cluster, name, "default", ADMIN)
        down.append(site.tocsin.receiver() is None)
    assert any(down)
    site.tocsin.kill()
    for name in names[3:]:
        techniques.create_pod(site.cluster, name, "default", ADMIN)
    site.tocsin.start()

    def created() -> Counter[str | None]:
        rule = "info pod-created"
        alerts = (alert for alert in site.alerts(before) if shown([alert]) == rule)
        return Counter(alert.target.name for alert in alerts if alert.actor.user == ADMIN)

    processes.wait_for(lambda: created().keys() >= set(names), f"{names}", RETRY_SECONDS)
    for name in names:
        techniques.delete_pod(site.cluster, name, "default", ADMIN)
    site.settle()
    assert created() == dict.fromkeys(names, 1)
    assert_one_per_request(site.alerts())


def test_wazuh_files_alone(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Decoder and rules as people of Wazuh have them, and no rule of ours."""
    rules = [{"wazuh": {"folder": str(Path(__file__).parent / "wazuh")}}]
    tocsin = Tocsin(tmp_path / "tocsin", tmp_path / "cache", rules=rules, builtin_rules=False)
    audit_flags = flags(tocsin.connect(policy="seed"))
    with tocsin, ControlPlane(tmp_path / "cluster", audit_flags) as cluster:
        site = Site("wazuh", CLUSTER, cluster, tocsin)
        technique = CASES["privileged-pod"]
        technique.warmup(cluster)
        technique.detonate(cluster)
        answered = time.monotonic()
        privileged = site.wait_for(lambda alert: alert.rule.id == "110011").alert
        seconds = time.monotonic() - answered
        technique.revert(cluster)
        site.wait_for(lambda alert: alert.rule.id == "110009")
        assert {alert.rule.dialect for alert in site.alerts()} == {"wazuh"}
        assert not tocsin.findings()
        assert not undelivered(cluster)
    record(
        request,
        technique="privileged-pod",
        policy=site.policy,
        seconds=f"{seconds:.2f}",
        alerts=shown([privileged]),
    )
    assert privileged.fields == {"ns": NAME, "pod": privileged.target.name}
    assert (privileged.target.namespace, privileged.actor.user) == (NAME, ADMIN)
    assert privileged.description == (
        f"Kubernetes privileged pod created in {{namespace: {NAME} pod: {privileged.target.name}}}"
    )
    assert [one.technique for one in privileged.rule.attack] == ["T1611"]
    assert seconds <= PROMISED_SECONDS
