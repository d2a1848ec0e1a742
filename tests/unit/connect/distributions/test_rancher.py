from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.connect.distributions.bundles import bundle, connection, document
from tocsin.connect.distributions import DISTRIBUTIONS
from tocsin.model.errors import TocsinError

ARGUMENTS = "kube-apiserver-arg"


def merged(*files: dict[str, Any]) -> dict[str, Any]:
    """Read settings in order, as the documentation of k3s and RKE2 says."""
    settings: dict[str, Any] = {}
    for file in files:
        for key, value in file.items():
            name = key.removesuffix("+")
            settings[name] = [*settings.get(name, []), *value] if key != name else value
    return settings


@pytest.mark.parametrize("name", ["k3s", "rke2"])
def test_arguments_are_added_to_those_of_the_user(tmp_path: Path, name: str) -> None:
    made = connection(name)
    settings = document(bundle(tmp_path, made) / name / "99-tocsin.yaml")

    both = merged({"token": "x", ARGUMENTS: ["profiling=false"]}, settings)

    assert both["token"] == "x"
    assert both[ARGUMENTS][0] == "profiling=false"
    assert [f"--{argument}" for argument in both[ARGUMENTS][1:]] == made.flags
    assert all(isinstance(argument, str) for argument in both[ARGUMENTS])


def test_rke2_mounts_the_folder_and_not_that_of_the_log(tmp_path: Path) -> None:
    settings = document(bundle(tmp_path, connection("rke2")) / "rke2/99-tocsin.yaml")
    # RKE2 mounts the folder of the log by itself; twice at one place is no valid pod.
    assert settings["kube-apiserver-extra-mount+"] == [
        "/etc/rancher/rke2/tocsin:/etc/rancher/rke2/tocsin:ro"
    ]
    log_path = "audit-log-path=/var/lib/rancher/rke2/server/logs/audit.log"
    assert log_path in settings[f"{ARGUMENTS}+"]


def test_k3s_mounts_nothing(tmp_path: Path) -> None:
    settings = document(bundle(tmp_path, connection("k3s")) / "k3s/99-tocsin.yaml")
    assert list(settings) == [f"{ARGUMENTS}+"]


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """Return the root of a k3s server."""
    root = tmp_path / "node"
    (root / "etc/rancher/k3s/config.yaml.d").mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("config.yaml", {ARGUMENTS: ["audit-log-path=/mine"]}),
        ("config.yaml", {ARGUMENTS: "audit-log-path=/mine"}),
        ("config.yaml.d/x.yml", {f"{ARGUMENTS}+": ["--audit-log-path=/mine"]}),
    ],
)
def test_own_audit_settings_are_refused(node: Path, file: str, settings: dict[str, Any]) -> None:
    (node / "etc/rancher/k3s" / file).write_text(yaml.safe_dump(settings))
    with pytest.raises(TocsinError, match="audit-log-path=/mine; take them out"):
        DISTRIBUTIONS["k3s"].refuse_node(connection("k3s"), node)


def test_other_settings_and_the_same_ones_are_left_alone(node: Path) -> None:
    folder = node / "etc/rancher/k3s"
    settings = {ARGUMENTS: ["profiling=false", "audit-webhook-mode=batch"], "token": "x"}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "config.yaml.d/99-tocsin.yaml").write_text("kube-apiserver-arg+: [audit-log-path=/x]")
    DISTRIBUTIONS["k3s"].refuse_node(connection("k3s"), node)


def test_a_machine_without_k3s_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TocsinError, match="is this a server node of k3s"):
        DISTRIBUTIONS["k3s"].refuse_node(connection("k3s"), tmp_path)
