"""The API server's side: where files lie on a control-plane node, and its audit flags."""

import re
from dataclasses import dataclass
from typing import Literal

from tocsin.model.errors import TocsinError

_PATH_PATTERN = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*)+")


@dataclass(frozen=True, slots=True)
class NodePaths:
    """Where things lie on every control-plane node, in and outside of the static pod."""

    config_dir: str = "/etc/kubernetes/tocsin"
    log_dir: str = "/var/log/kubernetes/audit"
    log_name: str = "audit.log"

    def __post_init__(self) -> None:
        """Allow what needs no quoting anywhere: YAML, flags, shell commands."""
        for path in (self.config_dir, self.log_dir):
            if not _PATH_PATTERN.fullmatch(path):
                message = (
                    f"wrong folder {path!r}: give an absolute path of letters, digits, "
                    "'.', '_' and '-', without a slash at the end"
                )
                raise TocsinError(message)

    @property
    def policy(self) -> str:
        """The audit policy."""
        return f"{self.config_dir}/policy.yaml"

    @property
    def webhook(self) -> str:
        """The webhook kubeconfig."""
        return f"{self.config_dir}/webhook.yaml"

    @property
    def log(self) -> str:
        """The audit log, the second leg besides the webhook."""
        return f"{self.log_dir}/{self.log_name}"


@dataclass(frozen=True, slots=True)
class HostMount:
    """A folder of the node that the API server's static pod must see, at the same path."""

    name: str
    path: str
    read_only: bool
    kind: Literal["Directory", "DirectoryOrCreate"]

    @property
    def volume_mount(self) -> dict[str, object]:
        """The container's entry, with the keys in kubeadm's order."""
        entry: dict[str, object] = {"mountPath": self.path, "name": self.name}
        if self.read_only:
            entry["readOnly"] = True
        return entry

    @property
    def volume(self) -> dict[str, object]:
        """The pod's entry, with the keys in kubeadm's order."""
        return {"hostPath": {"path": self.path, "type": self.kind}, "name": self.name}


# The delay is a second instead of 30, the receiver may be away for about 160 s, and no body
# is cut off below 8 MiB, because padding a pod past the limit would hide it.
_WEBHOOK_SETTINGS = (
    "--audit-webhook-mode=batch",
    "--audit-webhook-batch-max-wait=1s",
    "--audit-webhook-batch-max-size=200",
    "--audit-webhook-batch-buffer-size=50000",
    "--audit-webhook-batch-throttle-qps=20",
    "--audit-webhook-batch-throttle-burst=40",
    "--audit-webhook-initial-backoff=20s",
    "--audit-webhook-truncate-enabled=true",
    "--audit-webhook-truncate-max-event-size=8388608",
    "--audit-webhook-truncate-max-batch-size=10485760",
)
# About 4 GB of the node's disk.
_LOG_SETTINGS = (
    "--audit-log-maxsize=200",
    "--audit-log-maxbackup=20",
    "--audit-log-maxage=7",
)


def audit_flags(paths: NodePaths, *, log_backend: bool = True) -> list[str]:
    """Return the flags for kube-apiserver, in the order in which they are best read."""
    flags = [
        f"--audit-policy-file={paths.policy}",
        f"--audit-webhook-config-file={paths.webhook}",
        *_WEBHOOK_SETTINGS,
    ]
    if log_backend:
        flags += [f"--audit-log-path={paths.log}", *_LOG_SETTINGS]
    return flags


def host_mounts(paths: NodePaths, *, log_backend: bool = True) -> list[HostMount]:
    """Return the folders to mount.

    Folders, not single files: a mounted file stays the old one when it is replaced, so the
    API server would never see a renewed certificate. The configuration must be there
    already: `Directory` has the kubelet say so, instead of mounting an empty folder.
    """
    mounts = [HostMount("tocsin-config", paths.config_dir, read_only=True, kind="Directory")]
    if log_backend:
        mounts.append(
            HostMount("tocsin-audit-log", paths.log_dir, read_only=False, kind="DirectoryOrCreate")
        )
    return mounts
