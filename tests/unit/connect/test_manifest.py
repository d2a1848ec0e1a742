import re
from pathlib import Path

import pytest
import yaml

from tocsin.connect.apiserver import NodePaths, audit_flags, host_mounts
from tocsin.connect.manifest import patch_manifest, unified_diff
from tocsin.model.errors import TocsinError

MANIFEST = (Path(__file__).parent / "kube-apiserver.yaml").read_text()
FLAGS = audit_flags(NodePaths())
MOUNTS = host_mounts(NodePaths())


def patched(text: str) -> str:
    return patch_manifest(text, FLAGS, MOUNTS, name="cp-1.yaml")


def with_flag(flag: str) -> str:
    return MANIFEST.replace("    - kube-apiserver\n", f"    - kube-apiserver\n    - {flag}\n")


def with_folder(mount: str, volume: str) -> str:
    text = MANIFEST.replace("    volumeMounts:\n", f"    volumeMounts:\n    - {mount}\n")
    return text.replace("  # as kubeadm wrote them\n", f"  - {volume}\n")


def test_manifest_gets_flags_mounts_and_volumes() -> None:
    before, after = yaml.safe_load(MANIFEST), yaml.safe_load(patched(MANIFEST))
    (old,), (new,) = before["spec"]["containers"], after["spec"]["containers"]

    assert new["command"] == old["command"] + FLAGS
    assert new["volumeMounts"][len(old["volumeMounts"]) :] == [
        {"mountPath": "/etc/kubernetes/tocsin", "name": "tocsin-config", "readOnly": True},
        {"mountPath": "/var/log/kubernetes/audit", "name": "tocsin-audit-log"},
    ]
    assert after["spec"]["volumes"][len(before["spec"]["volumes"]) :] == [
        {
            "hostPath": {"path": "/etc/kubernetes/tocsin", "type": "Directory"},
            "name": "tocsin-config",
        },
        {
            "hostPath": {"path": "/var/log/kubernetes/audit", "type": "DirectoryOrCreate"},
            "name": "tocsin-audit-log",
        },
    ]


def test_only_lines_are_added() -> None:
    after = patched(MANIFEST)
    added = [line for line in unified_diff(MANIFEST, after, "x").splitlines() if line[0] in "+-"]

    # 2 lines of heading; one line for each flag; 3 and 2 lines of mounts; 2 volumes of 4.
    assert len(added) == 2 + len(FLAGS) + 5 + 8
    assert [line for line in added if line.startswith("-")] == ["--- x"]
    lines = iter(after.splitlines())
    assert all(line in lines for line in MANIFEST.splitlines())


def test_second_time_changes_nothing() -> None:
    once = patched(MANIFEST)
    assert patched(once) == once
    assert unified_diff(once, once, "x") == ""


def test_only_what_is_missing_is_added() -> None:
    once = patched(MANIFEST)
    without = once.replace("    - --audit-webhook-mode=batch\n", "")
    assert yaml.safe_load(patched(without))["spec"]["containers"][0]["command"][-1] == (
        "--audit-webhook-mode=batch"
    )


@pytest.mark.parametrize(
    "text",
    [
        MANIFEST.rstrip("\n"),
        MANIFEST.replace("status: {}\n", ""),
        MANIFEST.replace("status: {}\n", "").rstrip("\n"),
        MANIFEST.replace("    - -", "      - -").replace("    - kube", "      - kube"),
        MANIFEST + "# the end\n",
        MANIFEST.replace("  - command:\n    - kube-apiserver\n", "  - args:\n"),
        MANIFEST.replace(
            "  containers:\n", "  containers:\n  - name: sidecar\n    image: example.org/sidecar\n"
        ),
        MANIFEST.replace("    name: k8s-certs\nstatus", "    name: |\n      k8s-certs\nstatus"),
    ],
)
def test_other_layouts_are_edited_too(text: str) -> None:
    once = patched(text)
    assert patched(once) == once


@pytest.mark.parametrize(
    "text",
    [
        re.sub(r"- command:\n(    - .*\n)+", "- command: [kube-apiserver]\n", MANIFEST),
        re.sub(r"- command:\n(    - .*\n)+", "- command: [\n    kube-apiserver]\n", MANIFEST),
        MANIFEST.replace("  - command:\n", "  - command: &flags\n").replace(
            "    volumeMounts:\n", "    args: *flags\n    volumeMounts:\n"
        ),
    ],
)
def test_unknown_layout_is_refused_not_damaged(text: str) -> None:
    with pytest.raises(TocsinError, match="in a way that Tocsin does not know"):
        patched(text)


def test_other_audit_settings_are_refused() -> None:
    with pytest.raises(TocsinError, match=r"--audit-policy-file=/x \(Tocsin: /etc/.*take them out"):
        patched(with_flag("--audit-policy-file=/x"))
    with pytest.raises(TocsinError, match="--no-log-file"):
        patched(with_flag("--audit-log-maxage=30"))


@pytest.mark.parametrize(
    "flag",
    [
        "--audit-webhook-mode=batch",
        "--audit-webhook-mode\n    - batch",
        "--audit-webhook-truncate-enabled",
        "--audit-log-format=json",
    ],
)
def test_same_or_unrelated_audit_setting_is_left_alone(flag: str) -> None:
    assert f"    - {flag}\n" in patched(with_flag(flag))


def test_folder_that_is_mounted_already_is_used() -> None:
    text = with_folder(
        "{mountPath: /var/log/kubernetes/audit/, name: audit}",
        "{name: audit, hostPath: {path: /var/log/kubernetes/audit/}}",
    )
    assert "tocsin-audit-log" not in patched(text)


@pytest.mark.parametrize(
    ("mount", "volume", "problem"),
    [
        (
            "{mountPath: /var/log/kubernetes/audit, name: audit, readOnly: true}",
            "{name: audit, hostPath: {path: /var/log/kubernetes/audit}}",
            "read-only",
        ),
        (
            "{mountPath: /var/log/kubernetes/audit, name: audit}",
            "{name: audit, emptyDir: {}}",
            "something else",
        ),
        (
            "{mountPath: /x, name: tocsin-config}",
            "{name: tocsin-config, hostPath: {path: /x}}",
            "has a volume tocsin-config already",
        ),
    ],
)
def test_folder_that_is_used_otherwise_is_refused(mount: str, volume: str, problem: str) -> None:
    with pytest.raises(TocsinError, match=problem):
        patched(with_folder(mount, volume))


def test_mirror_pod_is_refused() -> None:
    mark = "    kubernetes.io/config.mirror: x\n"
    text = MANIFEST.replace("  annotations:\n", f"  annotations:\n{mark}")
    with pytest.raises(TocsinError, match="take the file from the node"):
        patched(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no mapping"),
        ("[]", "holds no mapping"),
        ("a: [", "not readable as YAML"),
        ("[" * 1000, "not readable as YAML"),
        ("a: 1\n---\nb: 2\n", "not readable as YAML"),
        ("kind: Pod", "not the manifest of a kube-apiserver"),
        ("spec: {containers: [{name: etcd}], volumes: []}", "no container named kube-apiserver"),
        ("spec: {containers: [{name: kube-apiserver}], volumes: []}", "with volumeMounts"),
        ("spec: {containers: [{name: kube-apiserver}]}", "not the manifest of a kube-apiserver"),
        ("spec: {containers: [{name: kube-apiserver, command: [1]}]}", "not the manifest"),
        ("metadata: 1\nspec: {containers: [], volumes: []}", "not the manifest"),
    ],
)
def test_other_files_are_refused(text: str, problem: str) -> None:
    with pytest.raises(TocsinError, match=problem):
        patched(text)
