"""The kubeconfig by which the API server finds the receiver and shows who it is.

Certificate, key and token are named as files, because the API server reads such files
again when they change; what stands in the kubeconfig itself it reads once, at start.
"""

from typing import Literal

import yaml

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.names import Endpoint

Credential = Literal["certificate", "token"]


def webhook_url(endpoint: Endpoint, cluster: str, node: str) -> str:
    """Return where one API server posts; its events name neither cluster nor node."""
    return f"https://{endpoint.host_port}/v1/audit/{cluster}/{node}"


def webhook_kubeconfig(url: str, paths: NodePaths, credential: Credential) -> str:
    """Return the kubeconfig as YAML."""
    folder = paths.config_dir
    user = (
        {"tokenFile": f"{folder}/token"}
        if credential == "token"
        else {
            "client-certificate": f"{folder}/client.crt",
            "client-key": f"{folder}/client.key",
        }
    )
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "tocsin",
                "cluster": {"server": url, "certificate-authority": f"{folder}/ca.crt"},
            }
        ],
        "users": [{"name": "kube-apiserver", "user": user}],
        "contexts": [
            {"name": "tocsin", "context": {"cluster": "tocsin", "user": "kube-apiserver"}}
        ],
        "current-context": "tocsin",
    }
    return yaml.safe_dump(document, sort_keys=False)
