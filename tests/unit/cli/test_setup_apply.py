"""`tocsin setup --apply`: the control-plane node is a folder here, given by --root."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.cli.commandline import Commands, Ran

MANIFEST = Path(__file__).parents[1] / "connect" / "kube-apiserver.yaml"
ADVERTISE = ("--advertise", "10.0.0.5:8080")


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """Return the root of a control-plane node of kubeadm."""
    manifests = tmp_path / "node/etc/kubernetes/manifests"
    manifests.mkdir(parents=True)
    (manifests / "kube-apiserver.yaml").write_text(MANIFEST.read_text())
    (manifests / "kube-apiserver.yaml").chmod(0o600)
    return tmp_path / "node"


@pytest.fixture
def k3s(tmp_path: Path) -> Path:
    """Return the root of a server of k3s."""
    (tmp_path / "node/etc/rancher/k3s").mkdir(parents=True)
    return tmp_path / "node"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def apply(tocsin: Commands, root: Path, *options: str) -> Ran:
    return tocsin("setup", *ADVERTISE, "--apply", "--root", root, "--yes", *options)


def applied(tocsin: Commands, root: Path, *options: str) -> dict[str, Any]:
    ran = apply(tocsin, root, "--json", *options)
    assert ran.code == 0, ran.err
    data: dict[str, Any] = json.loads(ran.out)["applied"]
    return data


def test_node_gets_files_and_the_manifest_is_edited(tocsin: Commands, node: Path) -> None:
    ran = apply(tocsin, node, "--node", "cp-1")

    assert ran.code == 0, ran.err
    folder = node / "etc/kubernetes/tocsin"
    assert sorted(contents(folder)) == [
        "ca.crt",
        "client.crt",
        "client.key",
        "policy.yaml",
        "webhook.yaml",
    ]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "client.key").stat().st_mode & 0o777 == 0o600
    assert "/v1/audit/default/cp-1" in (folder / "webhook.yaml").read_text()
    manifest = node / "etc/kubernetes/manifests/kube-apiserver.yaml"
    assert manifest.stat().st_mode & 0o777 == 0o600
    (container,) = yaml.safe_load(manifest.read_text())["spec"]["containers"]
    assert "--audit-policy-file=/etc/kubernetes/tocsin/policy.yaml" in container["command"]
    assert "The way back, if it does not:" in ran.out
    # A second file in this folder would be a second API server.
    assert [path.name for path in manifest.parent.iterdir()] == ["kube-apiserver.yaml"]


def test_the_printed_command_restores_the_manifest(tocsin: Commands, node: Path) -> None:
    data = applied(tocsin, node)
    manifest = node / "etc/kubernetes/manifests/kube-apiserver.yaml"
    assert manifest.read_text() != MANIFEST.read_text()
    (backup,) = data["backups"]
    assert Path(backup).parent == node / "etc/kubernetes/tocsin-backup"
    assert Path(backup).stat().st_mode & 0o777 == 0o600

    (command,) = data["way_back"]
    subprocess.run(["sh", "-c", command], check=True)

    assert manifest.read_text() == MANIFEST.read_text()


def test_second_time_changes_nothing(tocsin: Commands, node: Path) -> None:
    apply(tocsin, node)
    before = contents(node)

    assert applied(tocsin, node) == {
        "changed": [],
        "backups": [],
        "restart": None,
        "way_back": [],
    }
    assert "has it all already" in apply(tocsin, node).out
    assert contents(node) == before


def test_what_is_replaced_is_saved(tocsin: Commands, node: Path) -> None:
    policy = node / "etc/kubernetes/tocsin/policy.yaml"
    policy.parent.mkdir()
    policy.write_text("mine\n")

    data = applied(tocsin, node)

    saved = {Path(backup).read_text() for backup in data["backups"]}
    assert saved == {"mine\n", MANIFEST.read_text()}


def test_only_other_files_do_not_restart_the_api_server(tocsin: Commands, node: Path) -> None:
    apply(tocsin, node)
    (node / "etc/kubernetes/tocsin/client.crt").write_text("old")
    data = applied(tocsin, node)
    assert [Path(path).name for path in data["changed"]] == ["client.crt"]
    assert data["way_back"] == []


def test_k3s_gets_a_file_of_settings(tocsin: Commands, k3s: Path) -> None:
    data = applied(tocsin, k3s, "--distribution", "k3s")

    drop_in = k3s / "etc/rancher/k3s/config.yaml.d/99-tocsin.yaml"
    assert "audit-webhook-mode=batch" in drop_in.read_text()
    assert data["restart"] == "systemctl restart k3s"
    assert data["way_back"] == [f"rm {drop_in}", "systemctl restart k3s"]
    assert "config.yaml" not in contents(k3s / "etc/rancher/k3s")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--distribution", "kind"), "--apply edits nothing for kind"),
        (("--distribution", "talos"), "--apply edits nothing for Talos"),
        (("--distribution", "rke2"), "is this a server node of RKE2"),
        (("--node", "a", "--node", "b"), "give --node once"),
    ],
)
def test_what_cannot_be_applied_is_refused_before_anything_is_made(
    tocsin: Commands, node: Path, options: tuple[str, ...], problem: str
) -> None:
    before = contents(node.parent)
    ran = apply(tocsin, node, *options)
    assert ran.code == 2
    assert problem in ran.err
    assert contents(node.parent) == before


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (None, "is this a control-plane node made by kubeadm"),
        (b"\xff", "not a text file"),
        (b"kind: Pod\n", "not the manifest of a kube-apiserver"),
        (
            MANIFEST.read_bytes().replace(
                b"    - kube-apiserver\n", b"    - kube-apiserver\n    - --audit-log-maxage=30\n"
            ),
            "has its own audit settings",
        ),
    ],
)
def test_manifest_that_looks_wrong_is_refused(
    tocsin: Commands, node: Path, manifest: bytes | None, problem: str
) -> None:
    path = node / "etc/kubernetes/manifests/kube-apiserver.yaml"
    path.unlink()
    if manifest is not None:
        path.write_bytes(manifest)
    before = contents(node.parent)
    ran = apply(tocsin, node)
    assert ran.code == 2
    assert problem in ran.err
    assert contents(node.parent) == before


def test_linked_manifest_is_refused(tocsin: Commands, node: Path) -> None:
    path = node / "etc/kubernetes/manifests/kube-apiserver.yaml"
    path.rename(node / "real.yaml")
    path.symlink_to(node / "real.yaml")
    ran = apply(tocsin, node)
    assert ran.code == 2
    assert "is a link" in ran.err


@pytest.mark.parametrize(
    "options", [("--apply",), ("--apply", "--json"), ("--apply", "--yes", "--manifest", "x")]
)
def test_wrong_usage(tocsin: Commands, node: Path, options: tuple[str, ...]) -> None:
    ran = tocsin("setup", *ADVERTISE, "--root", node, *options)
    assert ran.code == 2
    assert "leave --manifest away" in ran.err or "add --yes" in ran.err


def test_manifest_of_another_distribution_is_refused(tocsin: Commands) -> None:
    ran = tocsin("setup", *ADVERTISE, "--distribution", "k3s", "--manifest", MANIFEST)
    assert ran.code == 2
    assert "--manifest is for kubeadm, not for k3s" in ran.err
