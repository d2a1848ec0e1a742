"""What is already in a cluster is found, with no more rights than listing; and who may do what."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.e2e.controlplane.harness import ControlPlane
from tocsin.cli import app
from tocsin.inventory import rbac

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MANIFESTS = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: default}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      containers: [{name: agent, image: agent, securityContext: {privileged: true}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: everything}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: carol-may-all}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: carol}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("scan") / "cluster") as running:
        running.kubectl("create", "namespace", "tocsin")
        reader = {"apiVersion": "v1", "kind": "List", "items": rbac.objects("tocsin")}
        running.kubectl("apply", "-f", "-", input=json.dumps(reader))
        running.kubectl("apply", "-f", "-", input=MANIFESTS)
        pods = ("get", "pods", "--output", "name")
        running.wait(lambda: len(running.kubectl(*pods).stdout.split()) > 1, "the pods")
        yield running


@pytest.fixture(scope="module")
def kubeconfig(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the access of the account whose rights `tocsin setup rbac --scan` prints."""
    folder = tmp_path_factory.mktemp("reader")
    token = cluster.kubectl("create", "token", rbac.NAME, "--namespace", "tocsin").stdout
    (folder / "token").write_text(token)
    found = json.loads(cluster.kubeconfig().read_text())
    found["users"][0]["user"] = {"tokenFile": str(folder / "token")}
    path = folder / "kubeconfig"
    path.write_text(json.dumps(found))
    return path


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def place(target: dict[str, str]) -> tuple[str, str]:
    return target["resource"], target["name"]


def test_what_is_there_is_found_once_at_its_owner(kubeconfig: Path) -> None:
    result = run("scan", "--kubeconfig", str(kubeconfig), "--json")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    named = {(one["rule"]["title"], *place(one["target"])) for one in found}
    assert ("Privileged container", "daemonsets", "agent") in named
    assert ("ClusterRole with all rights", "clusterroles", "everything") in named
    assert {name for _, _, name in named} == {"agent", "everything", "carol-may-all"}
    assert all(one["source"] == "scan" and one["event"] is None for one in found)
    assert "Unknown" not in result.stderr


def test_who_can_agrees_with_the_api_server(cluster: ControlPlane, kubeconfig: Path) -> None:
    asked = ("create", "pods/exec", "--kubeconfig", str(kubeconfig), "--json")
    holders = json.loads(run("who-can", *asked).stdout)["holders"]
    users = {one["name"] for one in holders if one["kind"] == "User"}
    assert users == {"carol"}
    for user, expected in (("carol", "yes"), ("dave", "no")):
        said = cluster.kubectl("auth", "can-i", "create", "pods/exec", "--as", user, check=False)
        assert said.stdout.split()[0] == expected
