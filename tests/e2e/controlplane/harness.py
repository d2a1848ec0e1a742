"""A real Kubernetes control plane on this machine, without containers.

etcd, the API server, the controller manager and the scheduler are the real ones; kwok plays the
kubelets, so pods reach Running and `kubectl exec` and `kubectl logs` answer, but no image runs.

kwok runs an exec's command on this very machine, for whoever reaches its loopback port: keep the
commands harmless, and do not run this where other people have accounts.

Auditing is the caller's business: nothing is audited unless `audit_flags` say so.
"""

import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx2

from tests.e2e.controlplane import build, processes
from tests.e2e.controlplane.certs import Authority

T = TypeVar("T")

ADMIN: Final = "kubernetes-admin"
GROUPS: Final[dict[str, tuple[str, ...]]] = {ADMIN: ("system:masters",)}
# What client-go calls a program without a version stamp, as most third-party tools are.
USER_AGENT: Final = "client/v0.0.0 (linux/amd64) kubernetes/$Format"
WATCH_LIST_ETCD: Final = (3, 5, 13)
POD_LOG: Final = "2026-01-01T00:00:00.000000000Z stdout F ready\n"


class CommandFailedError(RuntimeError):
    """A kubectl command failed; the message holds what it wrote."""


class ControlPlane:
    """A control plane that runs for the length of a `with` block.

    Attributes:
        url: where the API server listens.
        directory: holds certificates, kubeconfigs, etcd's data and `logs/`.
        pki: the CA, for further certificates.
    """

    def __init__(
        self,
        directory: Path,
        audit_flags: Sequence[str] = (),
        *,
        nodes: Sequence[str] = ("node-1",),
        assets: build.Assets | None = None,
    ) -> None:
        """Choose ports and make certificates, so that `kubeconfig` works; nothing runs yet.

        Args:
            directory: an empty folder to work in.
            audit_flags: flags for kube-apiserver, as `tocsin setup` prints them.
            nodes: the nodes to have ready at the start.
            assets: the programs; built if not given.
        """
        self.directory = directory.resolve()
        self._audit_flags = list(audit_flags)
        self._nodes = tuple(nodes)
        self._assets = assets
        self._servers: list[processes.Server] = []
        self._etcd_version: tuple[int, ...] = ()
        self._port, self._etcd_port, self._etcd_peer_port = processes.free_ports(3)
        self.url = f"https://127.0.0.1:{self._port}"
        self.pki = Authority(self.directory / "pki")
        self.pki.server("apiserver", "kubernetes.default.svc")
        self.pki.client("apiserver-kubelet-client", "kube-apiserver-kubelet-client", *GROUPS[ADMIN])
        # Service account tokens are signed with a key; its certificate is how they are checked.
        self.pki.server("service-accounts")

    def __enter__(self) -> Self:
        if self._assets is None:
            self._assets = build.build()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each running program."""
        return {server.name: server.process.pid for server in self._servers}

    def stop(self) -> None:
        """End all programs; etcd last, for the API server hangs without it."""
        processes.stop(self._servers[1:])
        processes.stop(self._servers[:1])
        self._servers.clear()

    def kubectl(
        self,
        *args: str,
        user: str = ADMIN,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        input: str | None = None,  # noqa: A002 - the name that subprocess.run uses
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as a user and return its status and output.

        Raises:
            CommandFailedError: it failed, and `check` is true.
        """
        command = [self._asset("kubectl"), *args]
        result = subprocess.run(
            command,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            env={**self._environment(), "KUBECONFIG": str(self.kubeconfig(user)), **(env or {})},
            timeout=120,
        )
        if check and result.returncode != 0:
            message = f"{' '.join(['kubectl', *args])}: {result.returncode}\n{result.stderr}"
            raise CommandFailedError(message)
        return result

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """Return a user's kubeconfig; who is not known yet gets a certificate first."""
        path = self.directory / "kubeconfig" / f"{_stem(user)}.yaml"
        if not path.exists():
            self._issue_user(user)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(json.dumps(self._kubeconfig(user), indent=2))
        return path

    def api(self, user: str | None = ADMIN, *, token: str | None = None) -> httpx2.Client:
        """Return an HTTP client for the API server; close it, or use it in a `with` block.

        Args:
            user: whose certificate to show; None for an anonymous client.
            token: a bearer token, which replaces the certificate.
        """
        headers = {"User-Agent": USER_AGENT}
        context = ssl.create_default_context(cafile=self.pki.certificate)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        elif user is not None:
            self.kubeconfig(user)
            stem = _stem(user)
            context.load_cert_chain(self.pki.crt(stem), self.pki.key(stem))
        return httpx2.Client(
            base_url=self.url, verify=context, headers=headers, timeout=30, trust_env=False
        )

    def add_node(self, name: str) -> None:
        """Add a node with a kubelet of its own, and wait until it takes pods."""
        self._start_kubelet(name)
        self._wait_node(name)

    def wait(self, predicate: Callable[[], T | None], what: str, timeout: float = 30.0) -> T:
        """Poll until `predicate` returns something true, and return that.

        Raises:
            TimeoutError: it did not in time.
            ControlPlaneError: a program of the control plane ended meanwhile.
        """

        def checked() -> T | None:
            for server in self._servers:
                server.check()
            return predicate()

        return processes.wait_for(checked, what, timeout)

    def _start(self) -> None:
        started = time.monotonic()
        (self.directory / "logs").mkdir(parents=True, exist_ok=True)
        (self.directory / "pod.log").write_text(POD_LOG)
        self._start_etcd()
        self._start_apiserver()
        self._start_controllers()
        for name in self._nodes:
            self._start_kubelet(name)
        for name in self._nodes:
            self._wait_node(name)
        self.wait(self._has_default_account, "the default service account")
        ready = f"ready after {time.monotonic() - started:.1f} s\n"
        (self.directory / "logs" / "harness.log").write_text(ready)

    def _start_etcd(self) -> None:
        self._etcd_version = build.etcd_version(Path(self._asset("etcd")))
        client = f"http://127.0.0.1:{self._etcd_port}"
        peer = f"http://127.0.0.1:{self._etcd_peer_port}"
        self._run(
            "etcd",
            f"--data-dir={self.directory / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        )

        def healthy() -> bool:
            with httpx2.Client(base_url=client, trust_env=False) as http:
                return _answers(http, "/health")

        self.wait(healthy, "etcd")

    def _start_apiserver(self) -> None:
        pki = self.pki
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            f"--secure-port={self._port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--tls-cert-file={pki.crt('apiserver')}",
            f"--tls-private-key-file={pki.key('apiserver')}",
            f"--client-ca-file={pki.certificate}",
            f"--service-account-key-file={pki.crt('service-accounts')}",
            f"--service-account-signing-key-file={pki.key('service-accounts')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=Node,RBAC,ABAC",
            f"--authorization-policy-file={self._abac_policy()}",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--kubelet-certificate-authority={pki.certificate}",
            f"--kubelet-client-certificate={pki.crt('apiserver-kubelet-client')}",
            f"--kubelet-client-key={pki.key('apiserver-kubelet-client')}",
            "--kubelet-preferred-address-types=InternalIP",
            *self._feature_flags("WatchList", "WatchListClient"),
            *self._audit_flags,
        )
        with self.api() as http:
            self.wait(lambda: _answers(http, "/readyz"), "the API server", timeout=60)

    def _feature_flags(self, *features: str) -> list[str]:
        """Turn features off if etcd is too old for them; clients would fail over and over."""
        if self._etcd_version >= WATCH_LIST_ETCD:
            return []
        return [f"--feature-gates={','.join(f'{feature}=false' for feature in features)}"]

    def _abac_policy(self) -> Path:
        """Let kubelets list what kwok lists; an RBAC grant would leave audit events."""
        path = self.directory / "abac.jsonl"
        version = "abac.authorization.kubernetes.io/v1beta1"
        shared = {"group": "system:nodes", "apiGroup": "*", "namespace": "*", "readonly": True}
        policies = [
            {"apiVersion": version, "kind": "Policy", "spec": {**shared, "resource": resource}}
            for resource in ("nodes", "leases")
        ]
        path.write_text("".join(json.dumps(policy) + "\n" for policy in policies))
        return path

    def _start_controllers(self) -> None:
        manager, scheduler = "system:kube-controller-manager", "system:kube-scheduler"
        # No leader election: a busy machine must not make them give up.
        shared = [
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            *self._feature_flags("WatchListClient"),
        ]
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig(manager)}",
            f"--cluster-signing-cert-file={self.pki.certificate}",
            f"--cluster-signing-key-file={self.pki.key('ca')}",
            f"--root-ca-file={self.pki.certificate}",
            f"--service-account-private-key-file={self.pki.key('service-accounts')}",
            "--use-service-account-credentials=true",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            *shared,
        )
        self._run("kube-scheduler", f"--kubeconfig={self.kubeconfig(scheduler)}", *shared)

    def _start_kubelet(self, name: str) -> None:
        """Register a node with the identity that a kubelet has, and let kwok play it."""
        user = _node_user(name)
        (port,) = processes.free_ports(1)
        self.pki.server(f"kubelet-{name}", name)
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        metadata = {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
        with self.api(user) as http:
            response = http.post("/api/v1/nodes", json={"metadata": metadata})
            response.raise_for_status()
        self._run(
            "kwok",
            f"--kubeconfig={self.kubeconfig(user)}",
            f"--config={self._kwok_config()}",
            f"--manage-single-node={name}",
            "--node-ip=127.0.0.1",
            f"--node-name={name}",
            f"--node-port={port}",
            f"--server-address=127.0.0.1:{port}",
            f"--tls-cert-file={self.pki.crt(f'kubelet-{name}')}",
            f"--tls-private-key-file={self.pki.key(f'kubelet-{name}')}",
            "--cidr=10.244.0.1/16",
            "--node-lease-duration-seconds=40",
            log=f"kwok-{name}",
        )

    def _kwok_config(self) -> Path:
        path = self.directory / "kwok.yaml"
        log_file = {"logsFile": str(self.directory / "pod.log"), "follow": False}
        documents = [
            Path(self._asset(build.STAGES)).read_text(),
            _kwok_document("ClusterExec", {"execs": [{"local": {}}]}),
            _kwok_document("ClusterLogs", {"logs": [log_file]}),
        ]
        path.write_text("\n---\n".join(documents))
        return path

    def _wait_node(self, name: str) -> None:
        with self.api() as http:

            def schedulable() -> bool:
                node = http.get(f"/api/v1/nodes/{name}").raise_for_status().json()
                conditions = node.get("status", {}).get("conditions", [])
                ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
                return ready and not node["spec"].get("taints")

            self.wait(schedulable, f"node {name}")

    def _has_default_account(self) -> bool:
        with self.api() as http:
            return _answers(http, "/api/v1/namespaces/default/serviceaccounts/default")

    def _run(self, program: str, *flags: str, log: str | None = None) -> None:
        server = processes.start(
            self.directory / "logs" / f"{log or program}.log",
            [self._asset(program), *flags],
            cwd=self.directory,
            env=self._environment(),
        )
        self._servers.append(server)

    def _asset(self, name: str) -> str:
        if self._assets is None:
            message = "the control plane is not started"
            raise processes.ControlPlaneError(message)
        return self._assets[name]

    def _environment(self) -> dict[str, str]:
        """Keep the caller's configuration and proxies out of the programs."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory)}
        if self._etcd_version < WATCH_LIST_ETCD:
            environment["KUBE_FEATURE_WatchListClient"] = "false"
        return environment

    def _issue_user(self, user: str) -> None:
        groups = ("system:nodes",) if user.startswith("system:node:") else GROUPS.get(user, ())
        self.pki.client(_stem(user), user, *groups)

    def _kubeconfig(self, user: str) -> dict[str, object]:
        stem = _stem(user)
        cluster = {"server": self.url, "certificate-authority": self.pki.certificate}
        identity = {
            "client-certificate": self.pki.crt(stem),
            "client-key": self.pki.key(stem),
        }
        context = {"cluster": "e2e", "user": user}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "e2e", "cluster": cluster}],
            "users": [{"name": user, "user": identity}],
            "contexts": [{"name": "e2e", "context": context}],
            "current-context": "e2e",
        }


def _answers(http: httpx2.Client, path: str) -> bool:
    try:
        return http.get(path).status_code == httpx2.codes.OK
    except httpx2.TransportError:
        return False


def _kwok_document(kind: str, spec: dict[str, object]) -> str:
    document = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "everywhere"},
        "spec": spec,
    }
    return json.dumps(document)


def _node_user(name: str) -> str:
    return f"system:node:{name}"


def _stem(user: str) -> str:
    return user.replace(":", "-")
