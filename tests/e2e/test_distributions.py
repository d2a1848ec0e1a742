"""What `tocsin setup` writes for a distribution, put through that distribution's own code.

kubeadm, kind and Talos publish theirs as Go modules. No cluster is made of it here.
"""

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.distributions.build import program
from tests.unit.connect.distributions.bundles import bundle, connection, document
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.manifest import patch_manifest

pytestmark = [
    pytest.mark.e2e,
    # A first build of kubeadm takes minutes.
    pytest.mark.timeout(1800),
    pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed"),
]

KUBERNETES = "v1.36.3"
INIT = {
    "apiVersion": "kubeadm.k8s.io/v1beta4",
    "kind": "InitConfiguration",
    "localAPIEndpoint": {"advertiseAddress": "192.0.2.11", "bindPort": 6443},
    "nodeRegistration": {"name": "cp-1", "criSocket": "unix:///run/containerd/containerd.sock"},
}
CLUSTER: dict[str, Any] = {
    "apiVersion": "kubeadm.k8s.io/v1beta4",
    "kind": "ClusterConfiguration",
    "kubernetesVersion": KUBERNETES,
    "apiServer": {"certSANs": ["prod.example.com"]},
}


def run(name: str, *arguments: str | Path) -> str:
    """Run a program, which must succeed, and return what it prints."""
    ran = subprocess.run(
        [program(name), *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def fails(name: str, *arguments: str | Path) -> str:
    """Run a program, which must fail, and return its complaint."""
    ran = subprocess.run(
        [program(name), *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 1
    return ran.stderr


def kubeadm_manifest(folder: Path, *documents: Any, patches: Path | str = "") -> str:
    """Return the manifest that kubeadm writes for a configuration."""
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump_all(documents))
    run("kubeadm", config, patches, folder)
    return (folder / "kube-apiserver.yaml").read_text()


def with_tocsin(out: Path) -> dict[str, Any]:
    """Return the cluster's configuration with the entries of the bundle, as README.txt says."""
    ours = document(out / "kubeadm/cluster-configuration.yaml")
    return {**CLUSTER, "apiServer": {**CLUSTER["apiServer"], **ours["apiServer"]}}


def flags_of(manifest: str) -> Counter[str]:
    (container,) = yaml.safe_load(manifest)["spec"]["containers"]
    return Counter(container["command"][1:])


def mounts_of(manifest: str) -> dict[str, tuple[str, str, bool]]:
    """Return what the container sees, by path: folder, its type, and whether read-only."""
    pod = yaml.safe_load(manifest)["spec"]
    volumes = {volume["name"]: volume["hostPath"] for volume in pod["volumes"]}
    mounts = pod["containers"][0]["volumeMounts"]
    assert len(volumes) == len(pod["volumes"])
    seen = {
        mount["mountPath"]: (
            volumes[mount["name"]]["path"],
            volumes[mount["name"]]["type"],
            mount.get("readOnly", False),
        )
        for mount in mounts
    }
    assert len(seen) == len(mounts)
    return seen


OURS = {
    "/etc/kubernetes/tocsin": ("/etc/kubernetes/tocsin", "Directory", True),
    "/var/log/kubernetes/audit": ("/var/log/kubernetes/audit", "DirectoryOrCreate", False),
}


def test_kubeadm_takes_all_three_ways_to_the_same_api_server(tmp_path: Path) -> None:
    made = connection("kubeadm", "cp-1")
    out = bundle(tmp_path, made)
    plain = kubeadm_manifest(tmp_path, INIT, CLUSTER)

    by_configuration = kubeadm_manifest(tmp_path, INIT, with_tocsin(out))
    by_patches = kubeadm_manifest(tmp_path, INIT, CLUSTER, patches=out / "kubeadm/patches")
    by_editing = patch_manifest(plain, made.flags, made.mounts, name="cp-1.yaml")

    for manifest in (by_configuration, by_patches, by_editing):
        assert flags_of(manifest) == flags_of(plain) + Counter(made.flags)
        assert mounts_of(manifest) == mounts_of(plain) | OURS
    assert patch_manifest(by_patches, made.flags, made.mounts, name="x") == by_patches
    assert patch_manifest(by_configuration, made.flags, made.mounts, name="x") == by_configuration


def test_kubeadm_refuses_a_wrong_entry(tmp_path: Path) -> None:
    wrong = with_tocsin(bundle(tmp_path, connection("kubeadm")))
    wrong["apiServer"]["extraVolume"] = wrong["apiServer"].pop("extraVolumes")
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump_all([INIT, wrong]))
    assert 'unknown field "apiServer.extraVolume"' in fails("kubeadm", config, "", tmp_path)


@pytest.mark.parametrize("version", ["v1.31.0", "v1.35.1", "v1.36.1"])
def test_kind_s_configuration_ends_in_the_manifest(tmp_path: Path, version: str) -> None:
    made = connection("kind", "cp-1")
    out = bundle(tmp_path, made)
    config = tmp_path / "kind.yaml"
    config.write_text(run("kind", out / "kind/cluster.yaml", version))
    documents = {one["kind"]: one for one in yaml.safe_load_all(config.read_text())}
    for written in documents.values():
        # kind's own; kubeadm warns of it, and the program here is stricter.
        written.pop("metadata", None)
    # kubeadm 1.36 makes clusters of 1.35 and newer; the form of the configuration is the same.
    documents["ClusterConfiguration"]["kubernetesVersion"] = KUBERNETES

    manifest = kubeadm_manifest(
        tmp_path, documents["InitConfiguration"], documents["ClusterConfiguration"]
    )

    assert not Counter(made.flags) - flags_of(manifest)
    audit = [flag for flag in flags_of(manifest).elements() if flag.startswith("--audit-")]
    assert sorted(audit) == sorted(made.flags)
    assert mounts_of(manifest).items() >= OURS.items()


def test_kind_refuses_a_wrong_entry(tmp_path: Path) -> None:
    cluster = bundle(tmp_path, connection("kind")) / "kind/cluster.yaml"
    cluster.write_text(cluster.read_text().replace("extraMounts", "extraMount"))
    assert "field extraMount not found" in fails("kind", cluster, "v1.36.1")


@pytest.mark.parametrize("credential", ["certificate", "token"])
def test_talos_takes_the_patch(tmp_path: Path, credential: Credential) -> None:
    made = connection("talos", credential=credential)
    out = bundle(tmp_path, made)
    patch = document(out / "talos/patch.yaml")

    node = yaml.safe_load(run("talos", out / "talos/patch.yaml"))

    server = node["cluster"]["apiServer"]
    assert server["auditPolicy"] == document(out / "policy.yaml")
    assert server["extraArgs"] == patch["cluster"]["apiServer"]["extraArgs"]
    assert server["extraVolumes"] == patch["cluster"]["apiServer"]["extraVolumes"]
    files = [
        # Talos writes YAML 1.2, where 0o444 is a number.
        {**file, "permissions": int(file["permissions"], 8)}
        for file in node["machine"]["files"]
    ]
    assert files == patch["machine"]["files"]


def test_talos_adds_a_patch_twice_as_the_steps_warn(tmp_path: Path) -> None:
    patch = bundle(tmp_path, connection("talos")) / "talos/patch.yaml"
    twice = yaml.safe_load(run("talos", patch, patch))
    assert len(twice["cluster"]["apiServer"]["extraVolumes"]) == 2


def test_talos_refuses_a_wrong_entry(tmp_path: Path) -> None:
    patch = bundle(tmp_path, connection("talos")) / "talos/patch.yaml"
    patch.write_text(patch.read_text().replace("extraVolumes", "extraVolume"))
    assert "extraVolume" in fails("talos", patch)
