import pytest

from tocsin.connect.names import Endpoint, check_cluster_name, check_node_name, parse_endpoint
from tocsin.model.errors import TocsinError


@pytest.mark.parametrize(
    ("text", "host_port"),
    [
        ("tocsin.example.org", "tocsin.example.org:8080"),
        ("tocsin.example.org:9443", "tocsin.example.org:9443"),
        ("Tocsin.Example.ORG:9443", "tocsin.example.org:9443"),
        ("10.0.0.5:1", "10.0.0.5:1"),
        ("10.0.0.5", "10.0.0.5:8080"),
        ("2001:db8::5", "[2001:db8::5]:8080"),
        ("[2001:db8:0::5]:65535", "[2001:db8::5]:65535"),
    ],
)
def test_address_is_read(text: str, host_port: str) -> None:
    assert parse_endpoint(text).host_port == host_port


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":8080",
        "host:",
        "host:0",
        "host:65536",
        "host:http",
        "host:-1",
        "https://host",
        "host/path",
        "user@host",
        "host?x",
        "two words",
        "under_score",
        "-dash",
        "dot.",
        "10.0.0.300",
        "tücke.example",
        "host\n",
        "a." * 130 + "a",
        "[::1",
        "fe80::1%eth0",
    ],
)
def test_wrong_address_is_refused(text: str) -> None:
    with pytest.raises(TocsinError, match=r"wrong (address|host)"):
        parse_endpoint(text)


@pytest.mark.parametrize("text", ["0.0.0.0:8080", "[::]:8080", "224.0.0.1"])
def test_address_to_listen_on_is_refused(text: str) -> None:
    with pytest.raises(TocsinError, match="not connect to it"):
        parse_endpoint(text)


def test_addresses_with_a_snag_are_known() -> None:
    assert Endpoint("::1", 1).is_loopback
    assert Endpoint("localhost", 1).is_loopback
    assert not Endpoint("10.0.0.5", 1).is_loopback
    assert Endpoint("tocsin.security.svc", 1).is_cluster_service
    assert not Endpoint("tocsin.example.org", 1).is_cluster_service


@pytest.mark.parametrize("name", ["a", "prod", "eu-1", "x" * 63])
def test_cluster_name(name: str) -> None:
    assert check_cluster_name(name) == name


@pytest.mark.parametrize("name", ["", "Prod", "-a", "a-", "a.b", "a/b", "..", "a\n", "x" * 64, "ü"])
def test_wrong_cluster_name_is_refused(name: str) -> None:
    with pytest.raises(TocsinError, match="wrong cluster name"):
        check_cluster_name(name)


def test_node_name_may_have_dots() -> None:
    assert check_node_name("ip-10-0-0-1.ec2.internal") == "ip-10-0-0-1.ec2.internal"
    with pytest.raises(TocsinError, match="kubectl get nodes"):
        check_node_name("../etc")
