"""The whole line: an attack on a real API server, and the response that the operator armed."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import yaml

from tests.e2e import techniques
from tests.e2e.controlplane.harness import ADMIN, ControlPlane
from tests.e2e.site import Site, undelivered
from tests.e2e.techniques import IMAGE, NAME
from tests.e2e.test_actions import substance
from tests.e2e.tocsin import CLUSTER, EXECUTABLE, Tocsin, flags
from tocsin.detect.credential import RULE_ID as CREDENTIAL_MISUSED
from tocsin.model.response import Entry, Response, ResponseFilter, State

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ACCOUNT: Final = "system:serviceaccount:tocsin:tocsin-responder"
POD: Final = f"/api/v1/namespaces/{NAME}/pods/{NAME}"
# From the answer to the attacker to the deletion that the API server accepted.
PROMISED_SECONDS: Final = 3.0
TIMEOUT_SECONDS: Final = 60
PRIVILEGED: Final = "0e09b142-3444-411e-a447-6f2350299716"
PRIVILEGED_BY_WORKLOAD: Final = "cabc625c-7e05-4076-92e5-726fe49af453"
HOST_PATH: Final = "93f7b2ae-a44e-4c46-967d-7b9ec572814e"
ADMIN_BINDING: Final = "913746fc-050b-4910-8c4d-5b9e6b6d43ea"
SECRETS_LISTED: Final = "365e73d2-9598-4e89-8e9b-392f34d4ea69"
KUBELET_ACCESS: Final = "5df67128-02f3-4c4b-a33f-0751510c812a"
POD_DELETED: Final = "f40221cb-c4f2-44a6-aec5-847f389163a8"
THIEF: Final = "thief"
FLEET: Final = "fleet"
IDLE: Final = "idle"
STREET: Final = "street"
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
# Undone, a binding is another object.
REMADE: Final = ("uid", "creationTimestamp")
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
        return self.reached(rule, "verified")

    def reached(self, rule: str, state: State) -> Response:
        """Wait for a response of a rule that is in a state."""
        try:
            return self.cluster.wait(
                lambda: next(iter(self.of(rule, state)), None), f"{state} of {rule}", 20
            )
        except TimeoutError as error:
            told = [
                (one.plan.rule, one.plan.action, one.state, one.text) for one in self.responses()
            ]
            error.add_note(f"instead: {told}")
            error.add_note(self.tocsin.last_words)
            raise

    def of(self, rule: str, *states: State) -> list[Response]:
        """Return the responses of a rule, in any of the states."""
        return [
            one
            for one in self.responses()
            if one.plan.rule == rule and (not states or one.state in states)
        ]

    def respond(self, *args: str) -> str:
        """Run `tocsin respond`, which must succeed, and return its output."""
        return self.tocsin.command("respond", *args, "-c", str(self.tocsin.config))

    def token(self) -> str:
        """Return the responder's own token."""
        (access,) = yaml.safe_load(self.tocsin.config.read_text())["respond"]["clusters"].values()
        user = json.loads(Path(access["kubeconfig"]).read_text())["users"][0]["user"]
        return str(user["token"])


@contextmanager
def responding(
    tmp_path: Path, respond: Mapping[str, object], bind: Sequence[str] = (), **more: Any
) -> Iterator[Responding]:
    """Run a control plane and a Tocsin with just the rights that the actions need.

    Args:
        tmp_path: an empty folder.
        respond: the settings of responses.
        bind: roles whose bindings may be created again.
        more: further parts of Tocsin's configuration.
    """
    tocsin = Tocsin(tmp_path / "tocsin", tmp_path / "cache", **more)
    audit_flags = flags(tocsin.connect(policy="recommended"))
    with ControlPlane(tmp_path / "cluster", audit_flags) as cluster:
        kubeconfig = tmp_path / "responder.yaml"
        kubeconfig.write_text(json.dumps(access(cluster, bind)))
        kubeconfig.chmod(0o600)
        clusters = {CLUSTER: {"kubeconfig": str(kubeconfig)}}
        tocsin.configure(respond={"clusters": clusters, **respond})
        tocsin.programs = Path(cluster._asset("kubectl")).parent
        with tocsin:
            yield Responding("recommended", CLUSTER, cluster, tocsin)
            assert not undelivered(cluster)


def access(cluster: ControlPlane, bind: Sequence[str]) -> dict[str, Any]:
    """Make the responder's account as `tocsin setup rbac` says; return a kubeconfig for it."""
    cluster.kubectl("create", "namespace", "tocsin")
    roles = [word for role in bind for word in ("--undo-bindings", role)]
    written = subprocess.run(
        [EXECUTABLE, "setup", "rbac", *roles], capture_output=True, text=True, check=True
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
        site.cluster.kubectl("create", "namespace", NAME)
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
        assert "1 of 1 changes" in site.respond("show", response.plan.id[:8])
        site.respond("verify")


def assert_chain(site: Responding, response: Response, uid: str) -> None:
    """Event, alert, arguments, proxied calls, exit code, and the audit event of the deletion."""
    told = assert_proved(site, response, uid, "110011")
    assert json.dumps(["delete", "pod", NAME, "-n", NAME]) in told
    assert '"exit_code": 0' in told


def assert_proved(site: Responding, response: Response, uid: str, rule_id: str) -> str:
    """Event, alert, call, answer, audit event; return what the journal tells."""
    assert response.plan.target.uid == uid
    stored = site.wait_for(lambda alert: alert.id == response.plan.alert_id)
    assert stored.alert.rule.id == rule_id
    assert stored.alert.evidence
    entries = site.entries(response)
    told = json.dumps([entry.data for entry in entries])
    states = [entry.state for entry in entries if entry.state]
    assert states == ["planned", "started", "done", "verified"]
    (proof,) = deletions(site)
    assert proof["auditID"] in told
    assert [entry for entry in entries if entry.data.get("audit_id") == proof["auditID"]]
    return told


def deletions(site: Responding, namespace: str = NAME) -> list[dict[str, Any]]:
    """Return the audit events of effective deletions of pods by the responder."""
    return [
        event
        for event in audited(site)
        if event["user"]["username"] == ACCOUNT
        and event["verb"] == "delete"
        and event["objectRef"]["resource"] == "pods"
        and event["objectRef"].get("namespace") == namespace
        and event["stage"] == "ResponseComplete"
        and event["responseStatus"]["code"] < httpx2.codes.BAD_REQUEST
        and "dryRun" not in event["requestURI"]
    ]


def audited(site: Responding) -> Iterator[dict[str, Any]]:
    (log,) = (site.tocsin.config.parent / "audit").glob("*.log")
    for line in log.read_text().splitlines():
        yield json.loads(line)


def auto(name: str, rule_id: str, action: str, *namespaces: str, **more: object) -> dict[str, Any]:
    when = {"rules": [rule_id], **({"namespaces": namespaces} if namespaces else {})}
    return {"name": name, "when": when, "actions": [action], "mode": "auto", **more}


RESPONSES: Final = (
    auto("delete", PRIVILEGED, "delete_pod", NAME),
    auto("delete-in-street", PRIVILEGED, "delete_pod", STREET),
    auto("delete-of-fleet", PRIVILEGED_BY_WORKLOAD, "delete_pod", FLEET),
    auto("isolate", HOST_PATH, "isolate_pod"),
    auto("unbind", ADMIN_BINDING, "delete_binding"),
    auto("revoke", SECRETS_LISTED, "revoke_account"),
    auto("revoke-at-kubelet", KUBELET_ACCESS, "revoke_account"),
    auto("idle", PRIVILEGED, "scale_owner", IDLE, undo_after_seconds=3),
    auto("on-deletion", POD_DELETED, "isolate_pod"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Responding]:
    """Respond to Tocsin's own rules by itself, the shipped dry runs beside that."""
    settings = {"responses": RESPONSES, "limits": {"per_minute": 100}}
    respond = json.loads(json.dumps(settings))
    folder = tmp_path_factory.mktemp("respond")
    with responding(folder, respond, ("admin", THIEF)) as site:
        for namespace in (NAME, FLEET, IDLE, STREET):
            site.cluster.kubectl("create", "namespace", namespace)
        yield site
        site.respond("verify")


@pytest.fixture(scope="module")
def admin(site: Responding) -> Iterator[httpx2.Client]:
    with site.cluster.api() as http:
        yield http


def create(http: httpx2.Client, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    created: dict[str, Any] = http.post(path, json=body).raise_for_status().json()
    return created


def read(http: httpx2.Client, path: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(path).raise_for_status().json()
    return found


def is_gone(http: httpx2.Client, path: str) -> bool:
    return http.get(path).status_code == httpx2.codes.NOT_FOUND


def stolen(site: Responding, name: str) -> httpx2.Client:
    """Return a client of who has the token of a service account."""
    token = site.cluster.kubectl("create", "token", name, "-n", NAME).stdout.strip()
    return site.cluster.api(token=token)


def privileged_deployment(name: str, replicas: int) -> dict[str, Any]:
    container = {"name": "main", "image": IMAGE, "securityContext": {"privileged": True}}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


def test_a_privileged_pod_is_deleted_within_three_seconds(site: Responding) -> None:
    uid = attack(site)
    answered = time.monotonic()
    site.cluster.wait(lambda: being_deleted(site, uid), "the deletion", 20)
    seconds = time.monotonic() - answered
    print(f"deleted after {seconds:.2f} s")
    response = site.verified("delete")
    assert seconds <= PROMISED_SECONDS
    assert_proved(site, response, uid, PRIVILEGED)
    assert "1 of 1 changes" in site.respond("show", response.plan.id[:8])


def test_a13_a_pod_that_mounts_its_node_is_isolated(site: Responding, admin: httpx2.Client) -> None:
    spec = {
        "containers": [
            {
                "name": "main",
                "image": IMAGE,
                "volumeMounts": [{"name": "root", "mountPath": "/host"}],
            }
        ],
        "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
    }
    pods = f"/api/v1/namespaces/{NAME}/pods"
    before = substance(create(admin, pods, {"metadata": {"name": "host-path"}, "spec": spec}))
    response = site.verified("isolate")
    policies = f"/apis/networking.k8s.io/v1/namespaces/{NAME}/networkpolicies"
    assert len(read(admin, policies)["items"]) == 1
    site.respond("undo", response.plan.id[:8])
    site.reached("isolate", "undone")
    after = substance(read(admin, f"{pods}/host-path"))
    # The scheduler has come by since.
    after["spec"].pop("nodeName", None)
    assert after == before
    assert not read(admin, policies)["items"]


def test_a13_an_admin_binding_is_deleted(site: Responding, admin: httpx2.Client) -> None:
    path = f"{RBAC}/clusterrolebindings"
    body = {
        "metadata": {"name": "admins", "labels": {"a": "b"}},
        "subjects": [{"kind": "ServiceAccount", "name": "nobody", "namespace": NAME}],
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "admin",
        },
    }
    before = substance(create(admin, path, body), *REMADE)
    response = site.verified("unbind")
    assert is_gone(admin, f"{path}/admins")
    site.respond("undo", response.plan.id[:8])
    site.reached("unbind", "undone")
    assert substance(read(admin, f"{path}/admins"), *REMADE) == before
    # What creates it again is our own request, and nothing to respond to.
    site.settle()
    assert len(site.of("unbind")) == 1


def test_a13_who_lists_all_secrets_is_revoked(site: Responding, admin: httpx2.Client) -> None:
    path = f"{RBAC}/clusterrolebindings/{THIEF}"
    kubectl = site.cluster.kubectl
    kubectl("create", "serviceaccount", THIEF, "-n", NAME)
    kubectl("create", "clusterrole", THIEF, "--verb=list,get", "--resource=secrets,nodes/proxy")
    account = f"--serviceaccount={NAME}:{THIEF}"
    kubectl("create", "clusterrolebinding", THIEF, f"--clusterrole={THIEF}", account)
    before = substance(read(admin, path), *REMADE)
    with stolen(site, THIEF) as http:
        # The API server of these tests proxies to no kubelet: it answers 400.
        http.get("/api/v1/nodes/node-1/proxy/runningpods/")
        refused = site.reached("revoke-at-kubelet", "refused")
        assert "refused by the cluster (code 400)" in refused.text
        read(http, "/api/v1/secrets")
        response = site.verified("revoke")
        assert is_gone(admin, path)
        assert http.get("/api/v1/secrets").status_code == httpx2.codes.FORBIDDEN
    site.respond("undo", response.plan.id[:8])
    site.reached("revoke", "undone")
    assert substance(read(admin, path), *REMADE) == before


def test_a13_a_workload_is_scaled_to_zero_and_back_by_itself(
    site: Responding, admin: httpx2.Client
) -> None:
    path = f"/apis/apps/v1/namespaces/{IDLE}/deployments"
    before = substance(create(admin, path, privileged_deployment("miner", 2)))
    site.cluster.wait(lambda: read(admin, f"{path}/miner")["spec"]["replicas"] == 0, "no replicas")
    site.reached("idle", "undone")
    after = substance(read(admin, f"{path}/miner"))
    # The controller numbers what it deploys.
    after["metadata"].pop("annotations", None)
    assert after == before


def test_a6_a_workload_is_not_fought_for_ever(site: Responding, admin: httpx2.Client) -> None:
    path = f"/apis/apps/v1/namespaces/{FLEET}/deployments"
    create(admin, path, privileged_deployment("web", 3))
    rule = "delete-of-fleet"
    site.cluster.wait(lambda: len(site.of(rule, "awaiting-approval")) == 3, "three that wait")
    site.settle()
    assert len(deletions(site, FLEET)) == len(site.of(rule, "verified", "done")) == 3
    first, *_, last = site.of(rule, "awaiting-approval")
    assert f"scale_owner on deployments {FLEET}/web would end this" in last.text
    site.respond("approve", first.plan.id[:8], "--note", "the last of them")
    site.cluster.wait(lambda: len(deletions(site, FLEET)) == 4, "what was approved")
    site.respond("ask", last.plan.alert_id, "--action", "scale_owner")
    asked = site.reached("manual", "awaiting-approval")
    site.respond("approve", asked.plan.id[:8])
    site.verified("manual")
    assert read(admin, f"{path}/web")["spec"]["replicas"] == 0
    assert len(deletions(site, FLEET)) == 4


def test_a7_a_stolen_credential_is_told_from_our_own(
    site: Responding, admin: httpx2.Client
) -> None:
    techniques.create_pod(site.cluster, "bystander", STREET, ADMIN)
    pods = f"/api/v1/namespaces/{STREET}/pods"
    container = {"name": "main", "image": IMAGE, "securityContext": {"privileged": True}}
    create(admin, pods, {"metadata": {"name": "thug"}, "spec": {"containers": [container]}})
    site.verified("delete-in-street")
    with site.cluster.api(token=site.token()) as http:
        http.delete(f"{pods}/bystander").raise_for_status()
    stored = site.wait_for(lambda alert: alert.rule.id == CREDENTIAL_MISUSED)
    assert stored.alert.rule.severity == "critical"
    assert stored.alert.actor.user == ACCOUNT
    assert stored.alert.target.name == "bystander"
    site.settle()
    misuses = [one for one in site.alerts() if one.rule.id == CREDENTIAL_MISUSED]
    assert [one.target.name for one in misuses] == ["bystander"]
    # Of all that was deleted with this credential, only the stolen use asks for a response.
    asking = {one.plan.target.name for one in site.responses() if one.plan.user == ACCOUNT}
    assert asking == {"bystander"}
    assert len(deletions(site, STREET)) == 2
