"""What attackers and developers do in a cluster, as requests to a real API server.

The techniques are the Kubernetes ones of Stratus Red Team, by its ids, each with the requests
that it makes. The commands that run in pods are harmless: kwok runs them on this machine.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.e2e.controlplane.certs import subject
from tests.e2e.controlplane.harness import ADMIN, ControlPlane

Json = dict[str, Any]
Action = Callable[[ControlPlane], None]

NAME: Final = "stratus-red-team"
IMAGE: Final = "registry.k8s.io/pause:3.10"
TOKEN_FILE: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"
TEN_YEARS: Final = 315_360_000
DEVELOPER: Final = "alice"
SHOP: Final = "shop"

CORE: Final = "/api/v1"
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
REQUESTS: Final = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


@dataclass(frozen=True, slots=True)
class Technique:
    """One attack: what prepares it, the attack itself, and what clears up after it."""

    id: str
    warmup: Action
    detonate: Action
    revert: Action


def _nothing(cluster: ControlPlane) -> None:
    """Need no preparation, or leave nothing behind."""


def _metadata(name: str, namespace: str | None = None) -> Json:
    return {"name": name, **({"namespace": namespace} if namespace else {})}


def _create(http: httpx2.Client, path: str, body: Mapping[str, object]) -> Json:
    created: Json = http.post(path, json=body).raise_for_status().json()
    return created


def _delete(cluster: ControlPlane, kind: str, name: str, *flags: str) -> None:
    cluster.kubectl("delete", kind, name, "--ignore-not-found", *flags)


def _create_namespace(cluster: ControlPlane) -> None:
    """Make the namespace; that of the technique before may still be on its way out."""
    path = f"{CORE}/namespaces"
    with cluster.api() as http:
        cluster.wait(lambda: _is_absent(http, f"{path}/{NAME}"), f"the end of {NAME}")
        _create(http, path, {"metadata": _metadata(NAME)})


def _is_absent(http: httpx2.Client, path: str) -> bool:
    return http.get(path).status_code == httpx2.codes.NOT_FOUND


def _delete_namespace(cluster: ControlPlane) -> None:
    """Ask for its removal, which takes Kubernetes more than five seconds."""
    _delete(cluster, "namespace", NAME, "--wait=false")


def _pod(container: Mapping[str, object] | None = None, **spec: object) -> Json:
    main = {"name": "main", "image": IMAGE, **(container or {})}
    return {"metadata": _metadata(NAME), "spec": {"containers": [main], **spec}}


def _grant(http: httpx2.Client, namespace: str, rule: Mapping[str, object]) -> None:
    """Create a ClusterRole, a service account and the binding of the two."""
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME}
    binding = {"metadata": _metadata(NAME), "subjects": [account], "roleRef": role}
    _create(http, f"{RBAC}/clusterroles", {"metadata": _metadata(NAME), "rules": [rule]})
    _create(http, _accounts(namespace), {"metadata": _metadata(NAME)})
    _create(http, f"{RBAC}/clusterrolebindings", binding)


def _accounts(namespace: str) -> str:
    return f"{CORE}/namespaces/{namespace}/serviceaccounts"


def _create_attack_pod(cluster: ControlPlane, body: Json) -> None:
    with cluster.api() as http:
        _create(http, f"{CORE}/namespaces/{NAME}/pods", body)


def dump_secrets(cluster: ControlPlane) -> None:
    """List the Secrets of all namespaces, page by page."""
    parameters = {"limit": "1000"}
    with cluster.api() as http:
        while True:
            page = http.get(f"{CORE}/secrets", params=parameters).raise_for_status().json()
            token = page["metadata"].get("continue")
            if not token:
                return
            parameters["continue"] = token


def prepare_steal_token(cluster: ControlPlane) -> None:
    """Run a pod with a service account of its own."""
    _create_namespace(cluster)
    with cluster.api() as http:
        _create(http, _accounts(NAME), {"metadata": _metadata(NAME)})
    _create_attack_pod(cluster, _pod(serviceAccountName=NAME))
    ready = ("--for=condition=Ready", "--timeout=60s")
    cluster.kubectl("wait", "pod", NAME, "-n", NAME, *ready)


def _steal_token(cluster: ControlPlane, *, websockets: bool) -> None:
    # Outside a container there is no such file; the request is what counts.
    environment = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": str(websockets).lower()}
    command = ("exec", NAME, "-n", NAME, "--", "cat", TOKEN_FILE)
    cluster.kubectl(*command, env=environment, check=False)


def steal_token_spdy(cluster: ControlPlane) -> None:
    """Read a pod's token as client-go's SPDY executor does: a `create` of pods/exec."""
    _steal_token(cluster, websockets=False)


def steal_token_websocket(cluster: ControlPlane) -> None:
    """Read a pod's token as kubectl does by default: a `get` of pods/exec."""
    _steal_token(cluster, websockets=True)


def create_admin_clusterrole(cluster: ControlPlane) -> None:
    """Give a new service account in kube-system all rights, and look for its Secret."""
    rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    with cluster.api() as http:
        _grant(http, "kube-system", rule)
        # Since Kubernetes 1.24 no Secret comes; the original asks for a minute.
        http.get(f"{_accounts('kube-system')}/{NAME}").raise_for_status()


def remove_admin_clusterrole(cluster: ControlPlane) -> None:
    """Delete the binding, the role and the account."""
    _delete(cluster, "clusterrolebinding", NAME)
    _delete(cluster, "clusterrole", NAME)
    _delete(cluster, "serviceaccount", NAME, "-n", "kube-system")


def create_client_certificate(cluster: ControlPlane) -> None:
    """Have the cluster sign a certificate for its own controller manager."""
    with cluster.api() as http:
        created = _create(http, REQUESTS, signing_request(NAME, "system:kube-controller-manager"))
        approval = {"type": "Approved", "status": "True", "reason": "e2e", "message": "approved"}
        created["status"] = {"conditions": [approval]}
        http.put(f"{REQUESTS}/{NAME}/approval", json=created).raise_for_status()
        cluster.wait(lambda: _is_signed(http), "the signed certificate")


def signing_request(name: str, user: str) -> Json:
    """Return a request for a client certificate in a user's name."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(user))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return {
        "metadata": _metadata(name),
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        },
    }


def _is_signed(http: httpx2.Client) -> bool:
    request = http.get(f"{REQUESTS}/{NAME}").raise_for_status().json()
    return "certificate" in request["status"]


def remove_signing_request(cluster: ControlPlane) -> None:
    """Delete the certificate signing request."""
    with cluster.api() as http:
        http.delete(f"{REQUESTS}/{NAME}")


def create_token(cluster: ControlPlane) -> None:
    """Ask for a token of a powerful service account that lives ten years."""
    account = "clusterrole-aggregation-controller"
    path = f"{_accounts('kube-system')}/{account}"
    with cluster.api() as http:
        cluster.wait(lambda: http.get(path).status_code == httpx2.codes.OK, account)
        _create(http, f"{path}/token", {"spec": {"expirationSeconds": TEN_YEARS}})


def hostpath_volume(cluster: ControlPlane) -> None:
    """Run a pod that mounts the node's root folder."""
    volume = {"name": "root", "hostPath": {"path": "/"}}
    mount = {"name": "root", "mountPath": "/host"}
    body = _pod({"volumeMounts": [mount]}, volumes=[volume])
    _create_attack_pod(cluster, body)


def prepare_nodes_proxy(cluster: ControlPlane) -> None:
    """Let a service account reach the kubelets through the API server."""
    rule = {"verbs": ["get", "create"], "apiGroups": [""], "resources": ["nodes/proxy"]}
    _create_namespace(cluster)
    with cluster.api() as http:
        _grant(http, NAME, rule)


def nodes_proxy(cluster: ControlPlane) -> None:
    """With that account's token, ask a kubelet what runs on it.

    The API server answers 400: it does not proxy to a loopback address, and ours has no other.
    """
    with cluster.api() as http:
        token = _create(http, f"{_accounts(NAME)}/{NAME}/token", {"spec": {}})["status"]["token"]
        nodes = http.get(f"{CORE}/nodes").raise_for_status().json()["items"]
    with cluster.api(token=token) as http:
        http.get(f"{CORE}/nodes/{nodes[0]['metadata']['name']}/proxy/runningpods/")


def remove_nodes_proxy(cluster: ControlPlane) -> None:
    """Delete the binding, the role and the namespace."""
    _delete(cluster, "clusterrolebinding", NAME)
    _delete(cluster, "clusterrole", NAME)
    _delete_namespace(cluster)


def privileged_pod(cluster: ControlPlane) -> None:
    """Run a pod with all of the node's privileges."""
    _create_attack_pod(cluster, _pod({"securityContext": {"privileged": True}}))


def padded_privileged_pod(cluster: ControlPlane) -> None:
    """Hide a privileged pod behind annotations, almost as many as Kubernetes allows."""
    body = _pod({"securityContext": {"privileged": True}})
    body["metadata"]["annotations"] = {f"padding-{n}": "x" * 2**14 for n in range(13)}
    _create_attack_pod(cluster, body)


def remove_pod(cluster: ControlPlane) -> None:
    """Delete the pod at once, then its namespace."""
    with cluster.api() as http:
        path = f"{CORE}/namespaces/{NAME}/pods/{NAME}"
        http.delete(path, params={"gracePeriodSeconds": "0"})
    _delete_namespace(cluster)


STEAL_TOKEN: Final = "k8s.credential-access.steal-serviceaccount-token"
PRIVILEGED_POD: Final = "k8s.privilege-escalation.privileged-pod"

TECHNIQUES: Final = (
    Technique("k8s.credential-access.dump-secrets", _nothing, dump_secrets, _nothing),
    Technique(STEAL_TOKEN, prepare_steal_token, steal_token_spdy, remove_pod),
    Technique(
        "k8s.persistence.create-admin-clusterrole",
        _nothing,
        create_admin_clusterrole,
        remove_admin_clusterrole,
    ),
    Technique(
        "k8s.persistence.create-client-certificate",
        _nothing,
        create_client_certificate,
        remove_signing_request,
    ),
    Technique("k8s.persistence.create-token", _nothing, create_token, _nothing),
    Technique(
        "k8s.privilege-escalation.hostpath-volume",
        _create_namespace,
        hostpath_volume,
        remove_pod,
    ),
    Technique(
        "k8s.privilege-escalation.nodes-proxy",
        prepare_nodes_proxy,
        nodes_proxy,
        remove_nodes_proxy,
    ),
    Technique(PRIVILEGED_POD, _create_namespace, privileged_pod, remove_pod),
)

STEAL_TOKEN_BY_WEBSOCKET: Final = Technique(
    STEAL_TOKEN, prepare_steal_token, steal_token_websocket, remove_pod
)
PADDED_PRIVILEGED_POD: Final = Technique(
    PRIVILEGED_POD, _create_namespace, padded_privileged_pod, remove_pod
)


def create_pod(cluster: ControlPlane, name: str, namespace: str, user: str = DEVELOPER) -> None:
    """Run an ordinary pod."""
    cluster.kubectl("run", name, f"--image={IMAGE}", "-n", namespace, user=user)


def delete_pod(cluster: ControlPlane, name: str, namespace: str, user: str = DEVELOPER) -> None:
    """Delete a pod, and wait until it is gone."""
    cluster.kubectl("delete", "pod", name, "-n", namespace, user=user)


@dataclass(frozen=True, slots=True)
class Step:
    """One kubectl command of somebody's ordinary day."""

    user: str
    args: tuple[str, ...]
    input: str | None = None

    def run(self, cluster: ControlPlane) -> None:
        """Run the command, which must succeed."""
        cluster.kubectl(*self.args, user=self.user, input=self.input)


def _by(user: str, command: str, body: Json | None = None) -> Step:
    return Step(user, tuple(command.split()), json.dumps(body) if body else None)


SETTINGS: Final[Json] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": _metadata("settings", SHOP),
    "data": {"colour": "green"},
}

OPENING: Final = (
    _by(ADMIN, f"create namespace {SHOP}"),
    _by(ADMIN, f"create rolebinding team --clusterrole=edit --user={DEVELOPER} -n {SHOP}"),
)
# In order: each step builds on the ones before it.
BACKGROUND: Final = (
    _by(DEVELOPER, f"auth can-i create deployments -n {SHOP}"),
    _by(DEVELOPER, f"create configmap settings --from-literal=colour=blue -n {SHOP}"),
    _by(DEVELOPER, f"create secret generic database --from-literal=password=blue -n {SHOP}"),
    _by(DEVELOPER, f"get secret database -n {SHOP} -o yaml"),
    _by(DEVELOPER, f"create deployment web --image={IMAGE} --port=8080 -n {SHOP}"),
    _by(DEVELOPER, f"rollout status deployment/web --timeout=60s -n {SHOP}"),
    _by(DEVELOPER, f"expose deployment web --port=80 -n {SHOP}"),
    _by(DEVELOPER, f"scale deployment web --replicas=2 -n {SHOP}"),
    _by(DEVELOPER, f"get pods -n {SHOP}"),
    _by(DEVELOPER, f"logs deployment/web -n {SHOP}"),
    _by(DEVELOPER, f"describe deployment web -n {SHOP}"),
    _by(DEVELOPER, "apply --server-side --force-conflicts -f -", SETTINGS),
    _by(DEVELOPER, f"rollout restart deployment/web -n {SHOP}"),
    _by(DEVELOPER, f"rollout status deployment/web --timeout=60s -n {SHOP}"),
    _by(DEVELOPER, f"create cronjob report --image={IMAGE} --schedule=@daily -n {SHOP}"),
    _by(DEVELOPER, f"create serviceaccount builder -n {SHOP}"),
    _by(DEVELOPER, f"create token builder --duration=10m -n {SHOP}"),
    _by(ADMIN, f"create role reader --verb=get,list,watch --resource=pods -n {SHOP}"),
    _by(
        ADMIN, f"create rolebinding reader --role=reader --serviceaccount={SHOP}:builder -n {SHOP}"
    ),
    _by(DEVELOPER, f"delete deployment web -n {SHOP}"),
)


def open_shop(cluster: ControlPlane) -> None:
    """Give the developer a namespace with the rights to work in it."""
    for step in OPENING:
        step.run(cluster)


def close_shop(cluster: ControlPlane) -> None:
    """Remove the developer's namespace."""
    _delete(cluster, "namespace", SHOP)


def run_background(cluster: ControlPlane) -> None:
    """Do a developer's ordinary work, from an empty namespace to its removal."""
    open_shop(cluster)
    for step in BACKGROUND:
        step.run(cluster)
    close_shop(cluster)
