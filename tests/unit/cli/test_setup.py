import json
import shlex
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from tocsin.cli.setup import setup_app
from tocsin.connect.clusters import load_clusters
from tocsin.model.errors import TocsinError

MANIFEST = Path(__file__).parents[1] / "connect" / "kube-apiserver.yaml"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(setup_app, ["--advertise", "127.0.0.1:8080", *arguments])


def run_well(*arguments: str) -> str:
    result = run(*arguments)
    if result.exception:
        raise result.exception
    return result.stdout


def run_json(*arguments: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(run_well("--json", *arguments))
    return data


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_bundle_holds_what_a_node_needs(tmp_path: Path) -> None:
    run_well("--cluster", "prod", "--node", "cp-1")
    out = tmp_path / "tocsin-setup/prod"

    assert sorted(contents(out)) == [
        "README.txt",
        "apiserver-flags.txt",
        "ca.crt",
        "client.crt",
        "client.key",
        "forwarders/fluent-bit.yaml",
        "forwarders/vector.yaml",
        "kubeadm/cluster-configuration.yaml",
        "kubeadm/patches/kube-apiserver-tocsin+json.yaml",
        "kubeadm/patches/kube-apiserver-tocsin+strategic.yaml",
        "policy.yaml",
        "webhook.yaml",
    ]
    assert out.stat().st_mode & 0o777 == 0o700
    assert (out / "client.key").stat().st_mode & 0o777 == 0o600
    webhook = yaml.safe_load((out / "webhook.yaml").read_text())
    assert webhook["clusters"][0]["cluster"]["server"] == (
        "https://127.0.0.1:8080/v1/audit/prod/cp-1"
    )
    assert list(load_clusters(tmp_path / "tocsin-data").clusters) == ["prod"]


def test_bundle_and_data_folder_fit_together_over_tls(tmp_path: Path) -> None:
    out, pki = tmp_path / "tocsin-setup/default", tmp_path / "tocsin-data/pki"
    run_well()
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(pki / "server.crt", pki / "server.key")
    listening.load_verify_locations(pki / "ca.crt")
    listening.verify_mode = ssl.CERT_REQUIRED
    calling = ssl.create_default_context(cafile=out / "ca.crt")
    calling.load_cert_chain(out / "client.crt", out / "client.key")

    seen: list[Any] = []

    def serve(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        with listening.wrap_socket(accepted, server_side=True) as connection:
            seen.append(connection.getpeercert())
            connection.sendall(b"hello")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with (
            socket.create_connection(listener.getsockname(), timeout=5) as raw,
            calling.wrap_socket(raw, server_hostname="127.0.0.1") as client,
        ):
            assert client.recv(5) == b"hello"
        thread.join()
    assert seen[0]["subject"] == (
        (("organizationName", "tocsin:cluster"),),
        (("commonName", "default"),),
    )


def test_second_run_changes_nothing(tmp_path: Path) -> None:
    options = ("--cluster", "prod", "--node", "a", "--node", "b", "--manifest", str(MANIFEST))
    run_well(*options)
    before = contents(tmp_path)

    second = run_json(*options)

    assert contents(tmp_path) == before
    assert set(second["files"].values()) == {"unchanged"}
    assert second["server_certificate"]["new_because"] is None
    assert second["client_certificate"]["new_because"] is None


def test_several_nodes_have_a_kubeconfig_each() -> None:
    data = run_json("--node", "cp-1", "--node", "cp-2", "--node", "cp-1")
    assert data["urls"] == {
        "cp-1": "https://127.0.0.1:8080/v1/audit/default/cp-1",
        "cp-2": "https://127.0.0.1:8080/v1/audit/default/cp-2",
    }
    assert {"webhook-cp-1.yaml", "webhook-cp-2.yaml"} <= data["files"].keys()
    assert "webhook.yaml" not in data["files"]


def test_other_content_is_shown_and_kept_without_yes(tmp_path: Path) -> None:
    run_well()
    out = tmp_path / "tocsin-setup/default"
    (out / "client.key").write_text("mine")
    before = contents(out)

    refused = run("--policy", "seed", "--node", "cp-1")

    assert isinstance(refused.exception, TocsinError)
    assert "policy.yaml" in str(refused.exception)
    assert "--yes" in str(refused.exception)
    assert "+kind: Policy" not in refused.stdout
    assert "-omitManagedFields: true" in refused.stderr
    assert "client.key: a secret, not shown" in refused.stderr
    assert "PRIVATE KEY" not in refused.stderr
    assert contents(out) == before

    data = run_json("--policy", "seed", "--node", "cp-1", "--yes")
    assert data["files"]["policy.yaml"] == "replaced"
    assert data["files"]["ca.crt"] == "unchanged"


def test_token_is_for_the_api_server_alone(tmp_path: Path) -> None:
    run_well("--credential", "token")
    out, data = tmp_path / "tocsin-setup/default", tmp_path / "tocsin-data"
    token = (out / "token").read_text().strip()

    assert (out / "token").stat().st_mode & 0o777 == 0o600
    assert not (out / "client.key").exists()
    assert load_clusters(data).clusters["default"].has_token(token)
    assert not [path for path, content in contents(data).items() if token.encode() in content]
    run_well("--credential", "token")
    assert (out / "token").read_text().strip() == token


def test_token_that_the_receiver_no_longer_takes_is_replaced(tmp_path: Path) -> None:
    run_well("--credential", "token")
    (tmp_path / "tocsin-data/clusters.yaml").unlink()

    refused = run("--credential", "token")
    data = run_json("--credential", "token", "--yes")

    assert isinstance(refused.exception, TocsinError)
    assert data["files"]["token"] == "replaced"


def test_manifest_is_changed_in_a_copy(tmp_path: Path) -> None:
    before = MANIFEST.read_bytes()
    data = run_json("--manifest", str(MANIFEST))
    text = run_well("--manifest", str(MANIFEST), "--out", "again")

    assert MANIFEST.read_bytes() == before
    copy = tmp_path / "tocsin-setup/default/kubeadm/manifests/kube-apiserver.yaml"
    assert "--audit-webhook-mode=batch" in copy.read_text()
    assert "+    - --audit-webhook-mode=batch" in data["manifest_diff"]
    assert "+    - --audit-webhook-mode=batch" in text
    assert "(nothing to change)" in run_well("--manifest", str(copy), "--out", "third")


def test_log_file_can_be_left_out() -> None:
    assert not [flag for flag in run_json("--no-log-file")["flags"] if "audit-log" in flag]


def test_remote_dir_is_used_everywhere(tmp_path: Path) -> None:
    run_well("--remote-dir", "/opt/tocsin")
    for name, content in contents(tmp_path / "tocsin-setup").items():
        assert b"/etc/kubernetes/tocsin" not in content, name


def test_summary_tells_what_is_next() -> None:
    output = run_well()
    assert "reached only by API servers on this machine" in output
    assert "Without --node" in output
    assert "4. Change the API server" in output
    assert "tocsin-setup/default/README.txt" in output


def test_notes_warn_of_what_usually_goes_wrong() -> None:
    run_well()
    notes = " ".join(run_json("--advertise", "tocsin.audit.svc", "--node", "a", "--yes")["notes"])
    assert "is a service of the cluster" in notes


@pytest.mark.parametrize("distribution", ["kind", "minikube"])
def test_loopback_is_the_node_itself_in_a_container(distribution: str) -> None:
    data = run_json("--distribution", distribution)
    assert "127.0.0.1 is the node itself" in data["notes"][0]
    assert data["verified"] == "schema-checked only"
    assert "schema-checked only" in data["notes"][-1]


@pytest.mark.parametrize(
    "options",
    [
        ("--no-log-file",),
        ("--no-log-file", "--node", "cp-1", "--credential", "token"),
        ("--remote-dir", "/opt/tocsin", "--log-dir", "/opt/log"),
        ("--distribution", "minikube"),
        ("--distribution", "talos", "--remote-dir", "/var/mine"),
    ],
)
def test_command_in_the_readme_makes_the_same_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    policy = tmp_path / "own policy.yaml"
    policy.write_text("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}")
    run_well("--policy", "own policy.yaml", *options)
    out = tmp_path / "tocsin-setup/default"
    readme = (out / "README.txt").read_text()
    command = next(line for line in readme.splitlines() if line.startswith("    tocsin setup"))
    words = shlex.split(command.partition(" --manifest")[0])

    monkeypatch.chdir(out)
    result = CliRunner().invoke(setup_app, [*words[2:], "--json"])

    assert set(json.loads(result.stdout)["files"].values()) == {"unchanged"}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--advertise", "https://x"), "wrong address"),
        (("--advertise", "x:99999"), "wrong address"),
        (("--advertise", "no_host"), "wrong host"),
        (("--cluster", "Prod"), "wrong cluster name"),
        (("--node", "a/b"), "wrong node name"),
        (("--remote-dir", "etc"), "wrong folder"),
        (("--policy", "none.yaml"), "there is no file none.yaml"),
        (("--policy", str(MANIFEST)), "not an audit policy"),
        (("--manifest", "none.yaml"), "there is no file none.yaml"),
        (("--manifest", "binary"), "not a text file"),
        (("--distribution", "minikube", "--log-file"), "can write no audit log"),
        (("--distribution", "talos", "--no-log-file"), "Talos itself writes the audit log"),
        (("--distribution", "kind", "--node", "a", "--node", "b"), "give --node once"),
        (("--out", "binary"), "cannot make the folder binary"),
        (("--data", "binary"), "cannot make the folder binary"),
    ],
)
def test_wrong_input_makes_nothing(tmp_path: Path, options: tuple[str, ...], problem: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    result = run(*options)
    assert isinstance(result.exception, TocsinError)
    assert problem in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not list(tmp_path.rglob("*.crt"))


def test_unknown_credential_is_wrong_usage() -> None:
    assert run("--credential", "password").exit_code == 2
