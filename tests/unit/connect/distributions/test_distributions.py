import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from tests.unit.connect.distributions.bundles import bundle, connection
from tocsin.connect.apiserver import NodePaths
from tocsin.connect.connection import Sources
from tocsin.connect.distributions import DISTRIBUTIONS, DistributionName
from tocsin.connect.guide import next_commands, steps
from tocsin.connect.kubeconfig import Credential
from tocsin.model.errors import TocsinError

DOCS = Path(__file__).parents[4] / "docs"
NAMES = list(DISTRIBUTIONS)


def readme(folder: Path, name: str, credential: Credential = "certificate") -> str:
    made = connection(name, "cp-1", credential=credential)
    return (bundle(folder, made) / "README.txt").read_text()


def test_every_distribution_can_be_chosen() -> None:
    assert set(NAMES) == set(get_args(DistributionName))


@pytest.mark.parametrize("credential", ["certificate", "token"])
@pytest.mark.parametrize("name", NAMES)
def test_commands_of_the_readme_are_a_shell_s(
    tmp_path: Path, name: str, credential: Credential
) -> None:
    text = readme(tmp_path, name, credential)
    commands = "\n".join(re.findall("^    (.*)$", text, re.MULTILINE))
    assert "tocsin serve" in commands
    checked = subprocess.run(
        ["bash", "-n"], input=commands, capture_output=True, text=True, check=False
    )
    assert checked.stderr == ""


@pytest.mark.parametrize("name", NAMES)
def test_readme_says_how_far_it_was_tried_and_the_way_back(tmp_path: Path, name: str) -> None:
    text = readme(tmp_path, name)
    assert f"How far this way was tried: {DISTRIBUTIONS[name].verified}." in text
    assert "The way back" in text
    assert "See that events arrive" in text
    assert "Keep the change through upgrades" in text


@pytest.mark.parametrize("name", NAMES)
def test_page_of_the_docs_says_the_same(name: str) -> None:
    distribution = DISTRIBUTIONS[name]
    page = (DOCS / "connect" / f"{name}.md").read_text()
    assert page.startswith(f"# {distribution.title}\n")
    assert f"**{distribution.verified}**" in page
    assert " ".join(distribution.checked.split()) in " ".join(page.split())
    assert f"--distribution {name}" in page
    index = (DOCS / "connect" / "README.md").read_text()
    assert f"| [{distribution.title}]({name}.md) | {distribution.verified} |" in index


@pytest.mark.parametrize("name", NAMES)
def test_secrets_are_never_in_public_files(tmp_path: Path, name: str) -> None:
    out = bundle(tmp_path, connection(name))
    for path in out.rglob("*"):
        if path.is_file() and "PRIVATE KEY" in path.read_text():
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("name", NAMES)
def test_three_commands_to_begin_with(name: str) -> None:
    sources = Sources(data=Path("data"), out=Path("out"))
    commands = next_commands(connection(name, "cp-1"), sources)
    assert len(commands) == 3
    assert commands[0].startswith("tocsin serve --data /")
    assert not [command for command in commands if "\n" in command]


def test_only_what_runs_here_is_called_run_live() -> None:
    assert [d.name for d in DISTRIBUTIONS.values() if d.verified == "run live"] == ["kubeadm"]


@pytest.mark.parametrize("name", ["kind", "minikube"])
def test_nodes_in_containers_share_one_name(name: str) -> None:
    with pytest.raises(TocsinError, match="give --node once"):
        DISTRIBUTIONS[name].check(connection(name, "a", "b"))


@pytest.mark.parametrize(
    ("name", "paths", "problem"),
    [
        ("minikube", NodePaths(), "sees no folder of the node but /etc/ssl/certs"),
        ("talos", NodePaths("/etc/tocsin", "/var/log/audit/kube"), "in /var only"),
        ("talos", NodePaths("/var/tocsin", "/var/log/mine"), "Talos itself writes the audit log"),
    ],
)
def test_folders_that_cannot_work_are_refused(name: str, paths: NodePaths, problem: str) -> None:
    with pytest.raises(TocsinError, match=problem):
        DISTRIBUTIONS[name].check(replace(connection(name), paths=paths))


def test_every_node_is_in_the_steps() -> None:
    for name in ("kubeadm", "k3s", "rke2"):
        sources = Sources(data=Path("data"), out=Path("out"))
        copying = steps(connection(name, "cp-1", "cp-2"), sources)[1]
        assert "webhook-cp-2.yaml root@cp-2:" in copying.body
