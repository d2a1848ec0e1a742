import pytest

from tocsin.dialects.wazuh.lists import find_address, read_list


def test_lines_of_keys_and_values() -> None:
    text = 'a:1\na:2\nnone\nb:\r\n"k:ey":"v"\n"x\nc:d:e\n'
    assert read_list(text) == {"a": "1", "b": "", "k:ey": "v", "c": "d:e"}


@pytest.mark.parametrize(
    ("address", "value"),
    [
        ("192.168.1.5", "host"),
        ("192.168.1.50", None),
        ("10.0.0.77", "net"),
        ("10.0.1.1", "wide"),
        ("11.0.0.1", None),
        ("", None),
        ("....", None),
    ],
)
def test_addresses_are_found_by_their_prefix(address: str, value: str | None) -> None:
    entries = {"10.0.0.": "net", "10.": "wide", "192.168.1.5": "host"}
    assert find_address(address, entries) == value
