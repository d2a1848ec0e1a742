import pytest
import yaml

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.kubeconfig import Credential, webhook_kubeconfig, webhook_url
from tocsin.connect.names import Endpoint

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
