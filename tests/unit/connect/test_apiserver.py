import pytest

from tocsin.connect.apiserver import NodePaths, audit_flags, host_mounts
from tocsin.model.errors import TocsinError


def test_flags_are_those_of_the_reference() -> None:
    assert audit_flags(NodePaths()) == [
        "--audit-policy-file=/etc/kubernetes/tocsin/policy.yaml",
        "--audit-webhook-config-file=/etc/kubernetes/tocsin/webhook.yaml",
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
        "--audit-log-path=/var/log/kubernetes/audit/audit.log",
        "--audit-log-maxsize=200",
        "--audit-log-maxbackup=20",
        "--audit-log-maxage=7",
    ]


def test_log_can_be_left_out() -> None:
    paths = NodePaths(config_dir="/opt/tocsin")
    assert not [flag for flag in audit_flags(paths, log_backend=False) if "audit-log" in flag]
    assert [mount.path for mount in host_mounts(paths, log_backend=False)] == ["/opt/tocsin"]


@pytest.mark.parametrize("path", ["", "/", "relative", "/a/", "/a b", "/a/../b", "/a;b", "/a\n"])
def test_folder_that_needs_quoting_is_refused(path: str) -> None:
    with pytest.raises(TocsinError, match="wrong folder"):
        NodePaths(config_dir=path)
