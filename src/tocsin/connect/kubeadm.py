"""What kubeadm needs so that an upgrade, which rewrites the manifest, keeps the change.

Two forms, of which a cluster needs one: a part of its ClusterConfiguration, or patches for
the folder that is given to `kubeadm upgrade --patches`.
"""

from collections.abc import Sequence

import yaml

from tocsin.connect.apiserver import HostMount


def cluster_configuration(flags: Sequence[str], mounts: Sequence[HostMount]) -> str:
    """Return the `apiServer` part of a ClusterConfiguration, v1beta4."""
    arguments = [flag.removeprefix("--").partition("=") for flag in flags]
    document = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": [{"name": name, "value": value} for name, _, value in arguments],
            "extraVolumes": [
                {
                    "name": mount.name,
                    "hostPath": mount.path,
                    "mountPath": mount.path,
                    "readOnly": mount.read_only,
                    "pathType": mount.kind,
                }
                for mount in mounts
            ],
        },
    }
    return (
        "# Add this to the cluster's own ClusterConfiguration; it is not a whole one.\n"
        "# In a v1beta3 one (kubeadm before 1.31) extraArgs is a mapping: `name: value`.\n"
        + yaml.safe_dump(document, sort_keys=False)
    )


def patches(flags: Sequence[str], mounts: Sequence[HostMount]) -> dict[str, str]:
    """Return the files for kubeadm's patches folder by name (`target[suffix]+type.yaml`).

    A strategic merge replaces a list without merge key as a whole, and `command` is one: the
    API server would lose all its other flags. So flags are appended by a JSON patch.
    Volumes and mounts have merge keys, and merging does not add them a second time where the
    ClusterConfiguration has them already; two volumes of one name would stop the API server.
    """
    append = [
        {"op": "add", "path": "/spec/containers/0/command/-", "value": flag} for flag in flags
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "kube-apiserver", "namespace": "kube-system"},
        "spec": {
            "containers": [
                {
                    "name": "kube-apiserver",
                    "volumeMounts": [volume_mount(mount) for mount in mounts],
                }
            ],
            "volumes": [volume(mount) for mount in mounts],
        },
    }
    return {
        "kube-apiserver-tocsin+json.yaml": yaml.safe_dump(append, sort_keys=False),
        "kube-apiserver-tocsin+strategic.yaml": yaml.safe_dump(pod, sort_keys=False),
    }


def volume_mount(mount: HostMount) -> dict[str, object]:
    """Return the container's entry of a mount, with the keys in kubeadm's order."""
    entry: dict[str, object] = {"mountPath": mount.path, "name": mount.name}
    if mount.read_only:
        entry["readOnly"] = True
    return entry


def volume(mount: HostMount) -> dict[str, object]:
    """Return the pod's entry of a mount, with the keys in kubeadm's order."""
    return {"hostPath": {"path": mount.path, "type": mount.kind}, "name": mount.name}
