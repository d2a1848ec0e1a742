"""The first hour with a cluster: setup, doctor, first alert; and each way to get it wrong."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import yaml

from tests.e2e import techniques
from tests.e2e.controlplane import processes
from tests.e2e.controlplane.harness import ADMIN, ControlPlane
from tests.e2e.test_techniques import client_context, forged_events
from tests.e2e.tocsin import CLUSTER, HOST, Tocsin, flags
from tocsin.connect.pki import Authority
from tocsin.lifeline.health import SILENT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FIRST_ALERT_SECONDS: Final = 60.0
CANARY_SECONDS: Final = 75.0
CANARY_DELAY_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 180.0
# Nobody is told by a Tocsin that names no channel; the doctor says so, rightly.
EXPECTED_WARNINGS: Final = {"notifications"}

Findings = dict[str, str]


@dataclass(frozen=True, slots=True)
class Connected:
    """A cluster that was connected from an empty folder, and how long that took."""

    tocsin: Tocsin
    cluster: ControlPlane
    seconds: float

    def doctor(self, *options: str, webhook: Path | None = None) -> Findings:
        """Return the state of each check; the exit code must agree with them."""
        kubeconfig = webhook or self.tocsin.bundle(CLUSTER) / "webhook.yaml"
        where = ("--webhook", str(kubeconfig), "-c", str(self.tocsin.config))
        done = self.tocsin.run("doctor", *where, *options, "--json")
        findings = json.loads(done.stdout)
        states = {finding["check"]: finding["state"] for finding in sorted(findings, key=_rank)}
        assert done.returncode == int("fault" in states.values()), findings
        return states


def _rank(finding: Mapping[str, str]) -> int:
    """Order findings so that the worst of a check comes last."""
    return ["skipped", "ok", "warning", "fault"].index(finding["state"])


@contextmanager
def connection(folder: Path, cache: Path) -> Iterator[Connected]:
    """Go the way from an empty folder to the first alert."""
    began = time.monotonic()
    tocsin = Tocsin(folder / "tocsin", cache)
    cluster = ControlPlane(folder / "cluster", flags(tocsin.connect()))
    tocsin.configure(api_servers={CLUSTER: {"kubeconfig": str(cluster.kubeconfig())}})
    with tocsin, cluster:
        techniques.create_pod(cluster, "first", "default", ADMIN)
        processes.wait_for(lambda: created("first", tocsin), "the first alert", FIRST_ALERT_SECONDS)
        yield Connected(tocsin, cluster, time.monotonic() - began)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "pycache"


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Connected]:
    with connection(tmp_path_factory.mktemp("first-hour"), cache) as made:
        yield made


def created(name: str, tocsin: Tocsin) -> bool:
    return any(one.alert.target.name == name for one in tocsin.alerts())


def test_doctor_is_content_and_tells_when_the_line_breaks(tmp_path: Path, cache: Path) -> None:
    with connection(tmp_path, cache) as connected:
        assert connected.seconds < FIRST_ALERT_SECONDS
        assert_healthy(connected)
        expect_canary(connected.tocsin)
        break_line(connected.tocsin, tmp_path)
        processes.wait_for(lambda: is_silent(connected.tocsin), "the alert", SILENCE_SECONDS)


def assert_healthy(connected: Connected) -> None:
    policy = connected.tocsin.bundle(CLUSTER) / "policy.yaml"
    states = connected.doctor("--policy", str(policy))
    assert "fault" not in states.values()
    assert {check for check, state in states.items() if state == "warning"} <= EXPECTED_WARNINGS
    needed = {"kubeconfig", "dns", "port", "tls", "answer", "clock", "disk", "counters", "policy"}
    assert {states[check] for check in needed | {"processes", "spool", "sources"}} == {"ok"}


def expect_canary(tocsin: Tocsin) -> None:
    with tocsin.store() as store:
        (canary,) = processes.wait_for(store.sources.canaries, "the canary", CANARY_SECONDS)
    assert canary.cluster == CLUSTER
    assert canary.heard - canary.sent < CANARY_DELAY_SECONDS


def break_line(tocsin: Tocsin, folder: Path) -> None:
    """Leave the API server with a certificate that nobody knows."""
    stranger = Authority.load_or_create(folder / "stranger").issue_client(CLUSTER)
    shutil.copyfile(stranger.certificate, tocsin.bundle(CLUSTER) / "client.crt")
    shutil.copyfile(stranger.key, tocsin.bundle(CLUSTER) / "client.key")
    tocsin.kill_receiver()


def is_silent(tocsin: Tocsin) -> bool:
    return any(one.alert.rule.id == SILENT for one in tocsin.alerts())


def other_authority(folder: Path, kubeconfig: dict[str, Any], _: Connected) -> None:
    authority = Authority.load_or_create(folder / "other")
    kubeconfig["clusters"][0]["cluster"]["certificate-authority"] = str(authority.certificate_path)


def other_name(_: Path, kubeconfig: dict[str, Any], __: Connected) -> None:
    kubeconfig["clusters"][0]["cluster"]["tls-server-name"] = "elsewhere.example"


def other_path(_: Path, kubeconfig: dict[str, Any], connected: Connected) -> None:
    connected.tocsin.connect("other")
    cluster = kubeconfig["clusters"][0]["cluster"]
    cluster["server"] = cluster["server"].replace(f"/{CLUSTER}/", "/other/")


def closed_port(_: Path, kubeconfig: dict[str, Any], __: Connected) -> None:
    (port,) = processes.free_ports(1)
    kubeconfig["clusters"][0]["cluster"]["server"] = f"https://{HOST}:{port}/v1/audit/{CLUSTER}/cp"


def expired_certificate(folder: Path, kubeconfig: dict[str, Any], connected: Connected) -> None:
    pki = shutil.copytree(connected.tocsin.data / "pki", folder / "pki")
    long_ago = datetime.now(UTC) - timedelta(days=400)
    issued = Authority.load_or_create(pki, clock=lambda: long_ago).issue_client("late")
    user = kubeconfig["users"][0]["user"]
    user.update({"client-certificate": str(issued.certificate), "client-key": str(issued.key)})


Break = Callable[[Path, dict[str, Any], Connected], None]


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (other_authority, "tls"),
        (other_name, "tls"),
        (other_path, "answer"),
        (closed_port, "port"),
        (expired_certificate, "kubeconfig"),
    ],
)
def test_doctor_finds_a_wrong_kubeconfig(
    connected: Connected, tmp_path: Path, damage: Break, check: str
) -> None:
    webhook = connected.tocsin.bundle(CLUSTER) / "webhook.yaml"
    kubeconfig = yaml.safe_load(webhook.read_text())
    damage(tmp_path, kubeconfig, connected)
    (tmp_path / "webhook.yaml").write_text(yaml.safe_dump(kubeconfig))
    assert connected.doctor(webhook=tmp_path / "webhook.yaml")[check] == "fault"


def test_doctor_finds_a_policy_without_bodies(connected: Connected, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n")
    assert connected.doctor("--policy", str(policy))["policy"] == "warning"


def test_doctor_finds_a_full_disk(connected: Connected, tmp_path: Path) -> None:
    settings = yaml.safe_load(connected.tocsin.config.read_text())
    room = shutil.disk_usage(connected.tocsin.data).total
    full = tmp_path / "tocsin.yaml"
    full.write_text(yaml.safe_dump({**settings, "spool": {"min_free_bytes": room}}))
    assert connected.doctor("-c", str(full), "--only", "disk")["disk"] == "fault"


def test_doctor_finds_a_clock_that_is_wrong(connected: Connected) -> None:
    bundle = connected.tocsin.connect("fast")
    ahead = datetime.now(UTC) + timedelta(hours=1)
    url = f"{connected.tocsin.url}/v1/audit/fast/cp-1"
    with httpx2.Client(verify=client_context(bundle), trust_env=False) as http:

        def post() -> bool:
            return http.post(url, json=forged_events(ahead)).status_code == httpx2.codes.OK

        processes.wait_for(post, "the new cluster")
        assert all(post() for _ in range(3))
    processes.wait_for(lambda: connected.doctor()["clock"] == "fault", "the finding")
