from pathlib import Path

import pytest
import yaml

from tests.unit.connect.distributions.bundles import bundle, connection, document
from tocsin.connect.kubeconfig import Credential


@pytest.mark.parametrize("credential", ["certificate", "token"])
def test_patch_carries_all_that_the_api_server_reads(
    tmp_path: Path, credential: Credential
) -> None:
    made = connection("talos", credential=credential)
    out = bundle(tmp_path, made)
    patch = document(out / "talos/patch.yaml")
    server = patch["cluster"]["apiServer"]
    files = {file["path"]: file["content"] for file in patch["machine"]["files"]}

    assert server["extraArgs"]["audit-webhook-config-file"] in files
    user = yaml.safe_load(files["/var/lib/tocsin/webhook.yaml"])["users"][0]["user"]
    assert set(user.values()) <= files.keys()
    assert files["/var/lib/tocsin/ca.crt"] == (out / "ca.crt").read_text()
    assert server["auditPolicy"] == document(out / "policy.yaml")
    assert server["extraVolumes"] == [
        {"hostPath": "/var/lib/tocsin", "mountPath": "/var/lib/tocsin", "readonly": True}
    ]
    # Talos' API server runs as a user of its own.
    assert {file["permissions"] for file in patch["machine"]["files"]} == {0o444}


def test_policy_and_log_are_left_to_talos(tmp_path: Path) -> None:
    out = bundle(tmp_path, connection("talos"))
    arguments = document(out / "talos/patch.yaml")["cluster"]["apiServer"]["extraArgs"]
    flags = (out / "apiserver-flags.txt").read_text().splitlines()
    assert [f"--{name}={value}" for name, value in arguments.items()] == flags
    assert all(name.startswith("audit-webhook-") for name in arguments)


def test_the_log_is_that_of_talos() -> None:
    assert connection("talos").paths.log == "/var/log/audit/kube/kube-apiserver.log"


def test_each_node_has_its_own_patch(tmp_path: Path) -> None:
    out = bundle(tmp_path, connection("talos", "cp-1", "cp-2"))
    for node in ("cp-1", "cp-2"):
        path = out / f"talos/patch-{node}.yaml"
        assert f"/v1/audit/prod/{node}" in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600
