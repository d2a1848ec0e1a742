from pathlib import Path

import yaml

from tests.unit.connect.distributions.bundles import bundle, connection, document


def test_the_bundle_is_mounted_where_the_flags_say(tmp_path: Path) -> None:
    made = connection("kind", "cp-1")
    out = bundle(tmp_path, made)
    cluster = document(out / "kind/cluster.yaml")

    (node,) = cluster["nodes"]
    assert node["extraMounts"] == [
        {"hostPath": str(out), "containerPath": made.paths.config_dir, "readOnly": True}
    ]
    names = ("policy.yaml", "webhook.yaml", "ca.crt", "client.crt", "client.key")
    assert not [name for name in names if not (out / name).is_file()]


def test_each_version_of_kubeadm_has_its_patch(tmp_path: Path) -> None:
    made = connection("kind")
    cluster = document(bundle(tmp_path, made) / "kind/cluster.yaml")

    patches = [yaml.safe_load(patch) for patch in cluster["kubeadmConfigPatches"]]
    old, new = (patch["apiServer"]["extraArgs"] for patch in patches)

    assert [patch["apiVersion"] for patch in patches] == [
        "kubeadm.k8s.io/v1beta3",
        "kubeadm.k8s.io/v1beta4",
    ]
    assert [f"--{name}={value}" for name, value in old.items()] == made.flags
    assert [f"--{one['name']}={one['value']}" for one in new] == made.flags
