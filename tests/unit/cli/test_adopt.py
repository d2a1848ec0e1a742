"""Files that people have, as their authors wrote them, and what becomes of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.commandline import Commands, Ran
from tocsin.connect.clusters import load_clusters
from tocsin.connect.kubeconfig import read_webhook
from tocsin.connect.policy import load_policy
from tocsin.runtime.config import load_config
from tocsin.runtime.rules import load_rules

# As in the article that many followed; it names a user and has none.
KUBECONFIG = """\
apiVersion: v1
kind: Config
preferences: {}
clusters:
  - name: wazuh-webhook
    cluster:
      insecure-skip-tls-verify: true
      server: https://192.0.2.7:8080

# kubeconfig files refer to the API server as user
current-context: webhook
contexts:
- context:
    cluster: wazuh-webhook
    user: kube-apiserver
  name: webhook
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "audit-webhook.yaml").write_text(KUBECONFIG)
    (tmp_path / "audit-policy.yaml").write_bytes(load_policy("seed"))
    return tmp_path


def adopt(tocsin: Commands, *arguments: object) -> Ran:
    return tocsin("setup", "adopt", *arguments)


def adopted(tocsin: Commands, *arguments: object) -> dict[str, Any]:
    ran = adopt(tocsin, *arguments, "--json")
    assert ran.code == 0, ran.err
    data: dict[str, Any] = json.loads(ran.out)
    return data


def said(data: dict[str, Any]) -> str:
    return "\n".join(finding["what"] for finding in data["findings"])


@pytest.mark.parametrize("order", [1, -1])
def test_both_files_are_judged_in_any_order(folder: Path, tocsin: Commands, order: int) -> None:
    data = adopted(tocsin, *["audit-webhook.yaml", "audit-policy.yaml"][::order])
    wrong = said(data)
    for part in (
        "insecure-skip-tls-verify",
        "no client certificate and no token",
        "no path that names the cluster",
        f"of {len(load_rules([]).rules)} rules can never fire",
        "`verbs` of rule 4 stands inside of `resources`",
        "managedFields",
    ):
        assert part in wrong
    assert all(finding["why"] and finding["mend"] for finding in data["findings"])


def test_better_files_are_written_and_theirs_are_left_alone(folder: Path, tocsin: Commands) -> None:
    files = ["audit-policy.yaml", "audit-webhook.yaml"]
    before = [Path(file).read_bytes() for file in files]
    data = adopted(tocsin, *files, "--cluster", "prod", "--node", "cp-1")

    assert [Path(file).read_bytes() for file in files] == before
    out = folder / "tocsin-setup" / "prod"
    target = read_webhook(out / "webhook.yaml")
    assert target.url == "https://192.0.2.7:8080/v1/audit/prod/cp-1"
    assert not target.insecure
    assert target.client_key is not None
    assert (out / "policy.yaml").read_bytes() == load_policy("recommended")
    assert data["setup"]["files"]["client.crt"] == "written"
    assert load_clusters(folder / "tocsin-data").clusters.keys() == {"prod"}
    assert "-      insecure-skip-tls-verify: true" in data["differences"]["webhook.yaml"]
    assert "+omitManagedFields: true" in data["differences"]["policy.yaml"]


def test_configuration_for_the_time_until_then_is_accepted(folder: Path, tocsin: Commands) -> None:
    data = adopted(tocsin, "audit-webhook.yaml", "--sender", "192.0.2.8", "--sender", "10.0.0.0/8")
    (folder / "tocsin.yaml").write_text(json.dumps(data["until_installed"]))
    config = load_config(folder / "tocsin.yaml")
    assert config.webhook.allow_unauthenticated_from == ("192.0.2.8/32", "10.0.0.0/8")


def test_network_that_nobody_filled_in_is_refused_by_the_configuration(
    folder: Path, tocsin: Commands
) -> None:
    (folder / "tocsin.yaml").write_text(
        json.dumps(adopted(tocsin, "audit-webhook.yaml")["until_installed"])
    )
    ran = tocsin("rules", "list", "--config", "tocsin.yaml")
    assert ran.code == 2
    assert "ADDRESS-OF-THE-CONTROL-PLANE" in ran.err


def test_text_for_a_person(folder: Path, tocsin: Commands) -> None:
    ran = adopt(tocsin, "audit-webhook.yaml", "audit-policy.yaml", "--cluster", "prod")
    assert ran.code == 0
    for part in (
        "What is wrong with audit-webhook.yaml and audit-policy.yaml:",
        "  -      insecure-skip-tls-verify: true",
        f"With the new policy: Of {len(load_rules([]).rules)} rules, ",
        "Cluster 'prod' is ready to be connected.",
        "Until they are installed:",
        "allow_unauthenticated_from:",
        "responses are off",
        "Alerts are of cluster 'default' until then, and of 'prod' afterwards.",
    ):
        assert part in ran.out


def test_policy_can_be_kept(folder: Path, tocsin: Commands) -> None:
    adopted(tocsin, "audit-webhook.yaml", "audit-policy.yaml", "--keep-policy")
    assert (folder / "tocsin-setup/default/policy.yaml").read_bytes() == load_policy("seed")
    assert adopt(tocsin, "audit-webhook.yaml", "--keep-policy").code == 2


def test_policy_alone_needs_an_address(folder: Path, tocsin: Commands) -> None:
    ran = adopt(tocsin, "audit-policy.yaml")
    assert ran.code == 2
    assert "add --advertise HOST:PORT" in ran.err
    data = adopted(tocsin, "audit-policy.yaml", "--advertise", "tocsin.example.com")
    assert data["until_installed"] is None
    assert data["differences"].keys() == {"policy.yaml"}


def test_nothing_is_replaced_unseen(folder: Path, tocsin: Commands) -> None:
    adopted(tocsin, "audit-webhook.yaml")
    written = folder / "tocsin-setup/default/policy.yaml"
    written.write_text("mine")
    ran = adopt(tocsin, "audit-webhook.yaml")
    assert ran.code == 2
    assert "add --yes" in ran.err
    assert written.read_text() == "mine"
    adopted(tocsin, "audit-webhook.yaml", "--yes")
    assert written.read_bytes() == load_policy("recommended")


def test_address_that_leads_nowhere(folder: Path, tocsin: Commands) -> None:
    (folder / "audit-webhook.yaml").write_text(KUBECONFIG.replace("192.0.2.7", "<WAZUH_SERVER_IP>"))
    ran = adopt(tocsin, "audit-webhook.yaml")
    assert ran.code == 2
    assert "<WAZUH_SERVER_IP>" in ran.err
    data = adopted(tocsin, "audit-webhook.yaml", "--advertise", "10.0.0.5")
    assert data["findings"][0]["state"] == "fault"


def test_kubeconfig_that_leads_nowhere(folder: Path, tocsin: Commands) -> None:
    text = KUBECONFIG.replace("current-context: webhook", "current-context: other")
    (folder / "audit-webhook.yaml").write_text(text)
    data = adopted(tocsin, "audit-webhook.yaml", "--advertise", "10.0.0.5")
    assert "'other'" in said(data)
    assert data["until_installed"] is None


def test_secret_in_a_kubeconfig_is_shown_nowhere(folder: Path, tocsin: Commands) -> None:
    user = "users: [{name: kube-apiserver, user: {token: hunter2}}]"
    (folder / "audit-webhook.yaml").write_text(KUBECONFIG + user)
    ran = adopt(tocsin, "audit-webhook.yaml")
    assert ran.code == 0
    assert "hunter2" not in ran.out + ran.err
    assert "`token` stands in the kubeconfig itself" in ran.out
    # A credential that Tocsin does not know is refused even where none is asked for.
    assert "Nothing can arrive" in ran.out


def test_nothing_is_wrong_with_our_own_policy(folder: Path, tocsin: Commands) -> None:
    (folder / "audit-policy.yaml").write_bytes(load_policy("recommended"))
    data = adopted(tocsin, "audit-policy.yaml", "--advertise", "10.0.0.5")
    assert data["findings"] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: Pod\nspec: {}", "tocsin setup --manifest"),
        ("a: 1", "is neither a webhook kubeconfig"),
        ("- a", "is not a Kubernetes object"),
        (KUBECONFIG, "are both webhook kubeconfigs: give one"),
    ],
)
def test_file_of_another_kind(folder: Path, tocsin: Commands, text: str, problem: str) -> None:
    (folder / "other.yaml").write_text(text)
    ran = adopt(tocsin, "audit-webhook.yaml", "other.yaml")
    assert ran.code == 2
    assert problem in ran.err
    assert "other.yaml" in ran.err


def test_wrong_network(folder: Path, tocsin: Commands) -> None:
    assert adopt(tocsin, "audit-webhook.yaml", "--sender", "10.0.0.1/8").code == 2
