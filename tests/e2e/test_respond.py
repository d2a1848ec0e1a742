"""The whole line: an attack on a real API server, and the response that the operator armed."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.e2e import techniques
from tests.e2e.controlplane.harness import ADMIN, ControlPlane
from tests.e2e.site import Site, undelivered
from tests.e2e.techniques import NAME
from tests.e2e.tocsin import CLUSTER, EXECUTABLE, Tocsin, flags
from tocsin.model.response import Entry, Response, ResponseFilter

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ACCOUNT: Final = "system:serviceaccount:tocsin:tocsin-responder"
POD: Final = f"/api/v1/namespaces/{NAME}/pods/{NAME}"
# From the answer to the attacker to the deletion that the API server accepted.
PROMISED_SECONDS: Final = 3.0
TIMEOUT_SECONDS: Final = 60
WAZUH: Final = Path(__file__).parent / "wazuh"
# As people of Wazuh have it.
OSSEC_CONF: Final = """
<ossec_config>
<command>
<name>kubectl</name>
<executable>kubectl</executable>
<extra_args>delete pod $(pod) -n $(ns)</extra_args>
<timeout_allowed>yes</timeout_allowed>
</command>
<active-response>
<disabled>no</disabled>
<command>kubectl</command>
<location>local</location>
<rules_id>110011</rules_id>
<timeout>60</timeout>
</active-response>
</ossec_config>
"""


class Responding(Site):
    """A control plane and a Tocsin that may change it."""

    def responses(self) -> list[Response]:
        """Return all responses, the latest change first."""
        with self.tocsin.store() as store:
            return list(store.responses.responses(ResponseFilter(), 1000))

    def entries(self, response: Response) -> list[Entry]:
        """Return the journal's lines of a response."""
        with self.tocsin.store() as store:
            return list(store.responses.entries(response.plan.id))

    def verified(self, rule: str) -> Response:
        """Wait for a response of a rule that the audit log has confirmed."""
        try:
            return self.cluster.wait(lambda: self._verified(rule), f"a response of {rule}", 20)
        except TimeoutError as error:
            told = [
                (one.plan.rule, one.plan.action, one.state, one.text) for one in self.responses()
            ]
            error.add_note(f"instead: {told}")
            error.add_note(self.tocsin.last_words)
            raise

    def _verified(self, rule: str) -> Response | None:
        return next(
            (one for one in self.responses() if one.plan.rule == rule and one.state == "verified"),
            None,
        )


@contextmanager
def responding(tmp_path: Path, respond: Mapping[str, object], **more: Any) -> Iterator[Responding]:
    """Run a control plane and a Tocsin with just the rights that the actions need."""
    tocsin = Tocsin(tmp_path / "tocsin", tmp_path / "cache", **more)
    audit_flags = flags(tocsin.connect(policy="recommended"))
    with ControlPlane(tmp_path / "cluster", audit_flags) as cluster:
        kubeconfig = tmp_path / "responder.yaml"
        kubeconfig.write_text(json.dumps(access(cluster)))
        kubeconfig.chmod(0o600)
        clusters = {CLUSTER: {"kubeconfig": str(kubeconfig)}}
        tocsin.configure(respond={"clusters": clusters, **respond})
        tocsin.programs = Path(cluster._asset("kubectl")).parent
        with tocsin:
            yield Responding("recommended", CLUSTER, cluster, tocsin)
            assert not undelivered(cluster)


def access(cluster: ControlPlane) -> dict[str, Any]:
    """Make the responder's account as `tocsin setup rbac` says; return a kubeconfig for it."""
    cluster.kubectl("create", "namespace", "tocsin")
    written = subprocess.run(
        [EXECUTABLE, "setup", "rbac"], capture_output=True, text=True, check=True
    )
    cluster.kubectl("apply", "-f", "-", input=written.stdout)
    token = cluster.kubectl("create", "token", "tocsin-responder", "-n", "tocsin").stdout.strip()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": cluster.url,
                    "certificate-authority": str(cluster.pki.certificate),
                },
            }
        ],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


def attack(site: Responding) -> str:
    """Create the privileged pod of Stratus Red Team, and return its uid."""
    techniques.PADDED_PRIVILEGED_POD.warmup(site.cluster)
    techniques.privileged_pod(site.cluster)
    with site.cluster.api() as http:
        return str(http.get(POD).raise_for_status().json()["metadata"]["uid"])


def being_deleted(site: Responding, uid: str) -> bool:
    with site.cluster.api() as http:
        answer = http.get(POD)
    if answer.status_code == httpx2.codes.NOT_FOUND:
        return True
    metadata = answer.raise_for_status().json()["metadata"]
    return bool(metadata["uid"] != uid or "deletionTimestamp" in metadata)


def test_the_files_of_wazuh_alone_delete_a_privileged_pod(tmp_path: Path) -> None:
    """Nothing happens again after the timeout, although a namesake was created meanwhile."""
    conf = tmp_path / "ossec.conf"
    conf.write_text(OSSEC_CONF)
    rules = [{"wazuh": {"folder": str(WAZUH), "config": str(conf)}}]
    with responding(tmp_path, {"builtin": False}, rules=rules, builtin_rules=False) as site:
        uid = attack(site)
        answered = time.monotonic()
        site.cluster.wait(lambda: being_deleted(site, uid), "the deletion", 20)
        seconds = time.monotonic() - answered
        response = site.verified("wazuh-kubectl60")
        done = time.monotonic()
        assert "response wazuh-kubectl60" in site.tocsin.last_words
        assert seconds <= PROMISED_SECONDS
        assert_chain(site, response, uid)
        with site.cluster.api() as http:
            site.cluster.wait(
                lambda: http.get(POD).status_code == httpx2.codes.NOT_FOUND, "the pod's end"
            )
        techniques.create_pod(site.cluster, NAME, NAME, ADMIN)
        # Wazuh would have run the program as `delete` by now.
        time.sleep(max(0.0, done + TIMEOUT_SECONDS + 5 - time.monotonic()))
        with site.cluster.api() as http:
            assert "deletionTimestamp" not in http.get(POD).raise_for_status().json()["metadata"]
        assert [one.plan.id for one in site.responses()] == [response.plan.id]
        assert len(deletions(site)) == 1
        assert "proved" in site.tocsin.command(
            "respond", "show", response.plan.id[:8], "-c", str(site.tocsin.config)
        )
        site.tocsin.command("respond", "verify", "-c", str(site.tocsin.config))


def assert_chain(site: Responding, response: Response, uid: str) -> None:
    """Event, alert, arguments, proxied calls, exit code, and the audit event of the deletion."""
    assert response.plan.target.uid == uid
    stored = site.wait_for(lambda alert: alert.id == response.plan.alert_id)
    assert stored.alert.rule.id == "110011"
    assert stored.alert.evidence
    entries = site.entries(response)
    told = json.dumps([entry.data for entry in entries])
    assert json.dumps(["delete", "pod", NAME, "-n", NAME]) in told
    assert '"exit_code": 0' in told
    states = [entry.state for entry in entries if entry.state]
    assert states == ["planned", "started", "done", "verified"]
    (proof,) = deletions(site)
    assert proof["auditID"] in told


def deletions(site: Responding) -> list[dict[str, Any]]:
    """Return the audit events of effective deletions of the pod by the responder."""
    return [
        event
        for event in audited(site)
        if event["user"]["username"] == ACCOUNT
        and event["verb"] == "delete"
        and event["stage"] == "ResponseComplete"
        and event["responseStatus"]["code"] < httpx2.codes.BAD_REQUEST
        and "dryRun" not in event["requestURI"]
    ]


def audited(site: Responding) -> Iterator[dict[str, Any]]:
    (log,) = (site.tocsin.config.parent / "audit").glob("*.log")
    for line in log.read_text().splitlines():
        yield json.loads(line)
