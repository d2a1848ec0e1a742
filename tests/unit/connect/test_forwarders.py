"""Ready configurations of log forwarders: complete, without a secret, and lossless by design."""

from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tocsin.connect.apiserver import NodePaths
from tocsin.connect.connection import Connection
from tocsin.connect.forwarders import FORWARDERS, forwarder_files
from tocsin.connect.names import parse_endpoint
from tocsin.normalize.split import MAX_ITEM_BYTES

PATHS = NodePaths("/etc/k8s/tocsin", "/var/log/k8s")


def connection(address: str = "10.0.0.5:8443", **changes: Any) -> Connection:
    plain: dict[str, Any] = {"credential": "token", "paths": PATHS, "named_nodes": ("cp-1",)}
    return Connection("prod", parse_endpoint(address), **(plain | changes))


def rendered(address: str = "10.0.0.5:8443") -> dict[str, Any]:
    """Return the configurations by their forwarder."""
    files = {file.name: file.content for file in forwarder_files(connection(address))}
    return {name: yaml.safe_load(files[f"forwarders/{name}.yaml"]) for name in FORWARDERS}


def test_one_file_of_each_for_each_node() -> None:
    names = [file.name for file in forwarder_files(connection(named_nodes=("cp-1", "cp-2")))]
    assert names == [
        "forwarders/vector-cp-1.yaml",
        "forwarders/fluent-bit-cp-1.yaml",
        "forwarders/vector-cp-2.yaml",
        "forwarders/fluent-bit-cp-2.yaml",
    ]


def test_none_without_a_log_to_follow() -> None:
    assert forwarder_files(connection(log_backend=False)) == []


def test_the_same_whatever_the_api_server_shows() -> None:
    """A forwarder has a token of its own beside the API server's certificate."""
    assert forwarder_files(connection(credential="certificate")) == forwarder_files(connection())


@pytest.mark.parametrize("file", forwarder_files(connection()), ids=FORWARDERS)
def test_the_comments_name_what_is_there(file: Any) -> None:
    text = file.content.decode()
    name = file.name.removeprefix("forwarders/")
    assert "tocsin clusters add prod --credential token --out forwarder-prod" in text
    assert f'TOCSIN_TOKEN="$(cat {PATHS.config_dir}/token)"' in text
    assert f"{PATHS.config_dir}/{name}" in text
    assert "control-plane node cp-1" in text
    assert "@{" not in text
    assert not file.secret


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("10.0.0.5:8443", "10.0.0.5", 8443),
        ("tocsin.example", "tocsin.example", 8080),
        ("[2001:db8::1]:8443", "2001:db8::1", 8443),
    ],
)
def test_both_post_to_the_nodes_own_path_as_a_followed_log(
    address: str, host: str, port: int
) -> None:
    vector = urlsplit(rendered(address)["vector"]["sinks"]["tocsin"]["uri"])
    assert (vector.scheme, vector.hostname, vector.port) == ("https", host, port)
    fluent = rendered(address)["fluent-bit"]["pipeline"]["outputs"][0]
    assert (fluent["host"], fluent["port"], fluent["tls"]) == (host, port, True)
    assert fluent["uri"] == f"{vector.path}?{vector.query}" == "/v1/audit/prod/cp-1?source=file"


def test_vector_loses_nothing() -> None:
    config = rendered()["vector"]
    source, sink = config["sources"]["kube_audit"], config["sinks"]["tocsin"]
    assert source["include"] == ["/var/log/k8s/audit.log", "/var/log/k8s/audit-*.log"]
    assert source["read_from"] == "beginning"
    assert source["max_line_bytes"] >= MAX_ITEM_BYTES
    assert sink["inputs"] == ["kube_audit"]
    assert (sink["buffer"]["type"], sink["buffer"]["when_full"]) == ("disk", "block")
    # What Vector demands at least.
    assert sink["buffer"]["max_size"] >= 268_435_488
    assert sink["acknowledgements"]["enabled"] is True
    assert sink["request"]["retry_attempts"] == 2**63 - 1
    assert sink["tls"] == {
        "ca_file": "/etc/k8s/tocsin/ca.crt",
        "verify_certificate": True,
        "verify_hostname": True,
    }
    assert sink["auth"] == {"strategy": "bearer", "token": "${TOCSIN_TOKEN}"}
    assert (sink["encoding"]["codec"], sink["framing"]["method"]) == ("text", "newline_delimited")


def test_fluent_bit_loses_nothing() -> None:
    config = rendered()["fluent-bit"]
    [tail], [http] = config["pipeline"]["inputs"], config["pipeline"]["outputs"]
    assert tail["path"] == "/var/log/k8s/audit.log,/var/log/k8s/audit-*.log"
    assert tail["read_from_head"] is True
    assert tail["db"].startswith(config["service"]["storage.path"])
    assert tail["buffer_max_size"] == f"{MAX_ITEM_BYTES >> 20}M"
    assert tail["storage.type"] == "filesystem"
    assert tail["storage.pause_on_chunks_overlimit"] is True
    assert http["match"] == tail["tag"]
    assert http["retry_limit"] == "no_limits"
    assert (http["tls.verify"], http["tls.ca_file"]) == (True, "/etc/k8s/tocsin/ca.crt")
    assert http["header"] == "Authorization Bearer ${TOCSIN_TOKEN}"
    assert http["format"] == "json_lines"
    assert tail["key"] == "log"
