"""Tocsin between a real control plane and whoever reads its alerts (bar D2)."""

import fnmatch
import itertools
import json
import ssl
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.e2e import techniques
from tests.e2e.controlplane import processes
from tests.e2e.controlplane.harness import ADMIN, ControlPlane
from tests.e2e.techniques import NAME, STEAL_TOKEN, TECHNIQUES, Technique
from tests.e2e.tocsin import CLUSTER, MARKER, MARKER_RULE, NODE, Tocsin
from tocsin.model.alert import SEVERITIES, Alert, Severity
from tocsin.model.ports import StoredAlert

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# From the answer to the attacker to the alert in the store.
PROMISED_SECONDS: Final = 2.0
# How long an alert is waited for: what comes late is told from what never comes.
PATIENCE_SECONDS: Final = 15.0
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
# Who attacks, where it is not the administrator.
ACTORS: Final = {
    "k8s.privilege-escalation.nodes-proxy": f"system:serviceaccount:{NAME}:{NAME}",
}
CASES: Final = {
    **{technique.id.rpartition(".")[2]: technique for technique in TECHNIQUES},
    "steal-serviceaccount-token-websocket": techniques.STEAL_TOKEN_BY_WEBSOCKET,
    "privileged-pod-padded": techniques.PADDED_PRIVILEGED_POD,
}


@dataclass(slots=True)
class Site:
    """A control plane and the Tocsin that it reports to."""

    policy: str
    cluster: ControlPlane
    tocsin: Tocsin
    at_startup: list[Alert] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def settle(self) -> int:
        """Wait until all requests so far are evaluated; return the last alert's number."""
        name = f"{MARKER}{next(self._numbers)}"
        with self.cluster.api() as http:
            http.get(f"/api/v1/namespaces/default/configmaps/{name}")
        self.wait_for(lambda alert: alert.target.name == name)
        return max(stored.seq for stored in self.tocsin.alerts())

    def wait_for(
        self, fits: Callable[[Alert], bool], after: int = 0, timeout: float = PATIENCE_SECONDS
    ) -> StoredAlert:
        """Wait for an alert; TimeoutError tells what came instead."""
        with self.tocsin.store() as store:

            def found() -> StoredAlert | None:
                known = store.follow(after, 100_000)
                return next((stored for stored in known if fits(stored.alert)), None)

            try:
                return self.cluster.wait(found, "an alert", timeout)
            except TimeoutError as error:
                error.add_note(f"instead: {shown(self.alerts(after)) or 'none'}")
                error.add_note(self.tocsin.last_words)
                raise

    def alerts(self, after: int = 0) -> list[Alert]:
        """Return the alerts after a number, without those of markers."""
        stored = (one.alert for one in self.tocsin.alerts(after))
        return [alert for alert in stored if alert.rule.id != MARKER_RULE["id"]]


# The first parameter is also that of tests which one policy suffices for.
@pytest.fixture(scope="module", params=["recommended", "seed"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp(request.param)
    cache = tmp_path_factory.getbasetemp() / "pycache"
    # Of no use to Tocsin; it tells what happened when a test fails.
    evidence = f"--audit-log-path={folder / 'audit.log'}"
    with (
        Tocsin(folder / "tocsin", request.param, cache) as tocsin,
        ControlPlane(folder / "cluster", [*tocsin.flags, evidence]) as cluster,
    ):
        found = Site(request.param, cluster, tocsin)
        found.settle()
        found.at_startup = found.alerts()
        yield found
        # No event of a real API server was set aside, nothing was lost on either side.
        assert not tocsin.findings()
        assert not undelivered(cluster)


def undelivered(cluster: ControlPlane) -> list[str]:
    """Return the API server's own count of events that it gave up."""
    with cluster.api() as http:
        samples = http.get("/metrics").raise_for_status().text.splitlines()
    return [
        sample
        for sample in samples
        if sample.startswith("apiserver_audit_error_total") and not sample.endswith(" 0")
    ]


def at_least(severity: Severity, alert: Alert) -> bool:
    return SEVERITIES.index(alert.rule.severity) >= SEVERITIES.index(severity)


def shown(alerts: Iterable[Alert]) -> str:
    """Return severity and rule of alerts, and how often each came."""
    found = Counter(
        f"{alert.rule.severity} {Path(alert.rule.source).stem}"
        for alert in sorted(alerts, key=lambda alert: -SEVERITIES.index(alert.rule.severity))
    )
    return ", ".join(f"{text} x{count}" if count > 1 else text for text, count in found.items())


def loud(alerts: Iterable[Alert]) -> list[tuple[str, str | None, str]]:
    """Return what an operator would have looked at."""
    return [
        (shown([alert]), alert.actor.user, alert.description)
        for alert in alerts
        if at_least("medium", alert)
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
        site.wait_for(lambda alert: tells(technique, alert), before)
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


def tells(technique: Technique, alert: Alert) -> bool:
    """Return whether an alert says who did what, and loudly enough."""
    return (
        at_least("medium", alert)
        and alert.cluster == CLUSTER
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


def test_command_shows_what_is_stored(site: Site) -> None:
    site.settle()
    output = site.tocsin.show_alerts("--json", "--severity", "info", "--limit", "100000")
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


def forged_events() -> dict[str, Any]:
    """Return a batch of one event: a pod was created."""
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
        "requestReceivedTimestamp": "2026-11-23T10:00:00.000000Z",
        "stageTimestamp": "2026-11-23T10:00:00.001000Z",
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }
    return {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [event]}


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
