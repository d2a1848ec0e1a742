from pathlib import Path

import pytest
import yaml

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.kubeconfig import (
    Credential,
    Material,
    read_webhook,
    webhook_kubeconfig,
    webhook_url,
)
from tocsin.connect.names import Endpoint
from tocsin.model.errors import TocsinError

URL = "https://10.0.0.5:8080/v1/audit/prod/cp-1"


def test_url_names_cluster_and_node() -> None:
    assert webhook_url(Endpoint("10.0.0.5", 8080), "prod", "cp-1") == URL
    assert webhook_url(Endpoint("::1", 1), "a", "b") == "https://[::1]:1/v1/audit/a/b"


@pytest.mark.parametrize(
    ("credential", "user"),
    [
        ("certificate", {"client-certificate": "/x/client.crt", "client-key": "/x/client.key"}),
        ("token", {"tokenFile": "/x/token"}),
    ],
)
def test_credentials_are_files_and_the_authority_is_pinned(
    credential: Credential, user: dict[str, str]
) -> None:
    text = webhook_kubeconfig(URL, NodePaths(config_dir="/x"), credential)
    document = yaml.safe_load(text)

    (cluster,) = document["clusters"]
    (context,) = document["contexts"]
    assert document["kind"] == "Config"
    assert cluster["cluster"] == {"server": URL, "certificate-authority": "/x/ca.crt"}
    assert document["users"] == [{"name": context["context"]["user"], "user": user}]
    assert document["current-context"] == context["name"]
    assert context["context"]["cluster"] == cluster["name"]
    assert "insecure" not in text


def _write(folder: Path, cluster: str, user: str) -> Path:
    path = folder / "webhook.yaml"
    path.write_text(
        f"""
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {cluster}}}]
users: [{{name: u, user: {user}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""
    )
    return path


@pytest.mark.parametrize("credential", ["certificate", "token"])
def test_what_setup_writes_is_read_back(tmp_path: Path, credential: Credential) -> None:
    path = tmp_path / "webhook.yaml"
    path.write_text(webhook_kubeconfig(URL, NodePaths(config_dir="/x"), credential))

    target = read_webhook(path)

    assert target.url == URL
    assert target.ca == Material("certificate-authority", Path("/x/ca.crt"))
    if credential == "token":
        assert target.token == Material("tokenFile", Path("/x/token"))
        assert target.client_key is None
    else:
        assert target.token is None
        assert target.client_key == Material("client-key", Path("/x/client.key"))
    assert not target.insecure


def test_inline_data_goes_over_files_and_a_token_file_over_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from the file")
    path = _write(
        tmp_path,
        "{server: 'https://h:1', certificate-authority: ca, certificate-authority-data: QUJD,"
        " insecure-skip-tls-verify: true, tls-server-name: other, proxy-url: 'http://p'}",
        "{token: inline, tokenFile: token, exec: {command: get-token}}",
    )

    target = read_webhook(path)

    assert target.ca is not None
    assert target.ca.read() == b"ABC"
    assert target.token is not None
    assert target.token.read() == b"from the file"
    assert (target.insecure, target.tls_server_name) == (True, "other")
    assert target.unused == ("proxy-url", "exec")


def test_user_that_is_not_there_shows_no_credential(tmp_path: Path) -> None:
    """As client-go has it; a cluster that is not there is an error."""
    path = _write(tmp_path, "{server: 'https://h:1'}", "{token: t}")
    [users] = [line for line in path.read_text().splitlines() if line.startswith("users:")]
    whole = path.read_text()
    assert read_webhook(path).token is not None
    for other in (
        "",
        "users: []",
        "users: [{name: other, user: {token: t}}]",
        "users: [{name: u}]",
    ):
        path.write_text(whole.replace(users, other))
        assert read_webhook(path).token is None


def test_a_file_that_is_not_there_shows_when_it_is_read(tmp_path: Path) -> None:
    target = read_webhook(
        _write(tmp_path, "{server: 'https://h:1', certificate-authority: gone.crt}", "{}")
    )

    assert target.ca is not None
    with pytest.raises(TocsinError, match=r"there is no file .*gone\.crt"):
        target.ca.read()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("kind: Pod\n", "this is no kubeconfig, its kind is 'Pod'"),
        ("kind: Config\n", "there is no current-context"),
        ("current-context: x\n", "needs 'x' under `contexts`"),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
            "clusters: [{name: c, cluster: {}}]\n",
            "the cluster 'c' has no `server: ",
        ),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
            "clusters: [{name: c, cluster: {server: s, certificate-authority-data: '?'}}]\n",
            "`certificate-authority-data` is not base64",
        ),
        ("clusters: [{name: 1}]\n", r"Expected `str`, got `int` - at `\$\.clusters"),
        ("{", "is not readable as YAML"),
    ],
)
def test_what_cannot_be_read_is_told_in_words(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "webhook.yaml"
    path.write_text(content)

    with pytest.raises(TocsinError, match=message) as raised:
        read_webhook(path)

    assert str(path) in str(raised.value)
