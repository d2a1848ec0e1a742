from pathlib import Path

import pytest

from tocsin.connect.apiserver import NodePaths, audit_flags, host_mounts
from tocsin.connect.manifest import ApiServerPod, patch_manifest, read_manifest
from tocsin.model.errors import TocsinError
from tocsin.runtime.doctor.finding import Finding
from tocsin.runtime.doctor.manifest import judge, log_growth, seconds

PLAIN = Path(__file__).parents[2] / "connect" / "kube-apiserver.yaml"
PATHS = NodePaths()


@pytest.fixture(scope="module")
def pod() -> ApiServerPod:
    """Return what setup makes of a manifest of kubeadm's."""
    text = patch_manifest(PLAIN.read_text(), audit_flags(PATHS), host_mounts(PATHS), name="m")
    return read_manifest(text, name="m")


def with_flag(pod: ApiServerPod, flag: str, value: str | None) -> ApiServerPod:
    flags = pod.flags | ({flag: value} if value is not None else {})
    if value is None:
        del flags[flag]
    return ApiServerPod(flags, pod.folders)


def found(pod: ApiServerPod, webhook: str | None = PATHS.webhook) -> list[Finding]:
    return judge(pod, webhook, lambda _: True)


def only(pod: ApiServerPod) -> Finding:
    [one] = found(pod)
    return one


def test_what_setup_writes_is_in_order(pod: ApiServerPod) -> None:
    assert only(pod).state == "ok"


def test_no_policy_is_no_event() -> None:
    one = only(read_manifest(PLAIN.read_text(), name="m"))
    assert one.state == "fault"
    assert "no --audit-policy-file" in one.what


@pytest.mark.parametrize(
    ("flag", "value", "state", "said"),
    [
        ("--audit-webhook-mode", "blocking", "fault", "--audit-webhook-mode=blocking"),
        ("--audit-webhook-mode", "blocking-strict", "fault", "blocking-strict"),
        ("--audit-webhook-batch-max-wait", None, "warning", "up to 30s"),
        ("--audit-webhook-batch-max-wait", "5001ms", "warning", "up to 5001ms"),
        ("--audit-webhook-truncate-max-event-size", None, "warning", "is 102400"),
        ("--audit-webhook-truncate-max-event-size", "1000", "warning", "is 1000"),
        ("--audit-log-truncate-enabled", "true", "warning", "--audit-log-truncate-max"),
        ("--audit-policy-file", "/elsewhere/policy.yaml", "fault", "no folder of the node"),
        ("--audit-webhook-config-file", None, "warning", "it sends nothing"),
    ],
)
def test_flags_that_cost_events(
    pod: ApiServerPod, flag: str, value: str | None, state: str, said: str
) -> None:
    one = only(with_flag(pod, flag, value))
    assert one.state == state
    assert said in one.what
    assert one.mend


def test_without_any_way_out_nothing_leaves_the_node(pod: ApiServerPod) -> None:
    mute = with_flag(with_flag(pod, "--audit-webhook-config-file", None), "--audit-log-path", None)
    assert only(mute).state == "fault"


def test_another_kubeconfig_is_in_use(pod: ApiServerPod) -> None:
    [one] = found(pod, "/root/webhook.yaml")
    assert one.what == (
        "the API server goes by /etc/kubernetes/tocsin/webhook.yaml, and this looks at "
        "/root/webhook.yaml"
    )
    assert found(pod, None)[0].state == "ok"


def test_files_that_are_not_there(pod: ApiServerPod) -> None:
    states = [one.state for one in judge(pod, None, lambda _: False)]
    assert states == ["fault", "fault"]


def test_paths_of_the_container_on_the_node() -> None:
    pod = ApiServerPod({}, {"/a": "/host/a", "/a/b": "/other"})
    assert pod.on_node("/a/x.yaml") == "/host/a/x.yaml"
    assert pod.on_node("/a/b/x.yaml") == "/other/x.yaml"
    assert pod.on_node("/a/b") == "/other"
    assert pod.on_node("/ab/x.yaml") is None


def test_another_pod_is_refused() -> None:
    text = PLAIN.read_text().replace("name: kube-apiserver", "name: other")
    with pytest.raises(TocsinError, match="no container has that name"):
        read_manifest(text, name="m")


@pytest.mark.parametrize(
    ("text", "number"),
    [("1s", 1), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("x", 0)],
)
def test_durations_as_go_writes_them(text: str, number: float) -> None:
    assert seconds(text) == number


def test_the_room_that_a_log_needs(pod: ApiServerPod) -> None:
    assert log_growth(pod) == 200 * 21 * 1_000_000
    assert log_growth(ApiServerPod({}, {})) == 100 * 101 * 1_000_000
