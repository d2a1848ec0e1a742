import pytest

from tocsin.ingest.networks import Networks, banner, parse_network


@pytest.mark.parametrize(
    ("network", "host", "inside"),
    [
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("10.0.0.0/8", "::ffff:11.0.0.1", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("::/0", "2001:db8::1", True),
        # All of IPv6 is not all of IPv4, however the socket shows it.
        ("::/0", "10.0.0.1", False),
        ("::/0", "::ffff:10.0.0.1", False),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("0.0.0.0/0", "unknown", False),
        ("0.0.0.0/0", "", False),
    ],
)
def test_an_address_lies_in_a_network_or_not(network: str, host: str, *, inside: bool) -> None:
    assert Networks([network]).contain(host) is inside
    assert Networks(["192.0.2.0/24", network]).contain(host) is inside


def test_without_networks_nobody_is_inside() -> None:
    assert not Networks([])
    assert Networks(["10.0.0.0/8"])
    assert not Networks([]).contain("10.0.0.1")


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0/33", "10.0.0.1/8", "example.org", "10.0.0.0/8 ", "10.0/8", "1", "::/129"]
)
def test_what_is_no_network_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no network such as"):
        parse_network(text)


@pytest.mark.parametrize("text", ["::ffff:10.0.0.0/104", "::ffff:10.0.0.1"])
def test_a_network_that_could_never_match_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="write an IPv4 network as such"):
        parse_network(text)


def test_the_banner_names_networks_and_the_way_out() -> None:
    assert banner([]) == ""
    text = banner(["10.0.0.0/8", "192.0.2.7"])
    assert "10.0.0.0/8, 192.0.2.7" in text
    assert "tocsin setup adopt" in text
    assert "EVERYBODY" not in text


@pytest.mark.parametrize("texts", [["0.0.0.0/0"], ["10.0.0.0/8", "::/0"]])
def test_the_banner_is_loud_when_everybody_is_let_in(texts: list[str]) -> None:
    assert "EVERYBODY" in banner(texts)
