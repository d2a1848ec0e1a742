import re
from typing import Any

from tocsin.connect.apiserver import NodePaths, audit_flags, host_mounts
from tocsin.connect.distributions.kubeadm import cluster_configuration, patches

FLAGS = audit_flags(NodePaths())
MOUNTS = host_mounts(NodePaths())


def test_cluster_configuration_has_all_flags_as_v1beta4_lists() -> None:
    document: Any = cluster_configuration(FLAGS, MOUNTS)
    arguments: list[dict[str, Any]] = document["apiServer"]["extraArgs"]

    assert document["apiVersion"] == "kubeadm.k8s.io/v1beta4"
    assert [f"--{one['name']}={one['value']}" for one in arguments] == FLAGS
    assert all(isinstance(one["value"], str) for one in arguments)
    assert document["apiServer"]["extraVolumes"] == [
        {
            "name": "tocsin-config",
            "hostPath": "/etc/kubernetes/tocsin",
            "mountPath": "/etc/kubernetes/tocsin",
            "readOnly": True,
            "pathType": "Directory",
        },
        {
            "name": "tocsin-audit-log",
            "hostPath": "/var/log/kubernetes/audit",
            "mountPath": "/var/log/kubernetes/audit",
            "readOnly": False,
            "pathType": "DirectoryOrCreate",
        },
    ]


def test_patch_file_names_follow_kubeadm() -> None:
    for name in patches(FLAGS, MOUNTS):
        # The expression of kubeadm's own parseFilename.
        assert re.match(r"^(kube-apiserver)([^.+\n]*)?(\+)(json|strategic)\.yaml$", name)


def test_patches_append_flags_and_merge_volumes() -> None:
    files: dict[str, Any] = patches(FLAGS, MOUNTS)
    operations = files["kube-apiserver-tocsin+json.yaml"]
    pod = files["kube-apiserver-tocsin+strategic.yaml"]
    (container,) = pod["spec"]["containers"]

    assert [operation["value"] for operation in operations] == FLAGS
    assert {(o["op"], o["path"]) for o in operations} == {("add", "/spec/containers/0/command/-")}
    # A strategic merge would replace the whole list.
    assert "command" not in container
    assert container["name"] == "kube-apiserver"
    assert [mount["name"] for mount in container["volumeMounts"]] == [
        volume["name"] for volume in pod["spec"]["volumes"]
    ]
