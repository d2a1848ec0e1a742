"""A3: the words between Wazuh and its programs, as v4.14.7 says them."""

import json

from tocsin.model.response import Entry
from tocsin.respond.command.dialogue import Table, keys_of, message, over

# As Wazuh's own execd writes it, but for the alert.
GOLDEN = (
    b'{"version":1,"origin":{"name":"node01","module":"wazuh-execd"},"command":"add",'
    b'"parameters":{"extra_args":["delete","pod","$(pod)","-n","$(ns)"],"alert":{},'
    b'"program":"active-response/bin/kubectl"}}\n'
)
WORDS = ["delete", "pod", "$(pod)", "-n", "$(ns)"]
KEYS = (
    b'{"version":1,"origin":{"name":"script","module":"active-response"},"command":"check_keys",'
    b'"parameters":{"keys":["10.0.0.1","alice"]}}'
)


def test_a3_the_message_is_wazuhs_byte_for_byte() -> None:
    assert message("add", "kubectl", WORDS, {}) == GOLDEN
    assert message("delete", "kubectl", WORDS, {}) == GOLDEN.replace(b'"add"', b'"delete"')


def test_a3_a_large_message_is_whole_and_one_line() -> None:
    line = message("add", "x", [], {"full_log": "a\n\u00e9" * 100_000})
    assert len(line) > 300_000
    assert line.count(b"\n") == 1
    assert json.loads(line)["parameters"]["alert"]["full_log"].startswith("a\n\u00e9a")


def test_keys() -> None:
    assert keys_of("host-deny", KEYS) == "host-deny-10.0.0.1-alice"
    for answer in (b"deleted", b"{}", b"[]", b"{", b'{"command":"check_keys"}', b"\xff"):
        assert keys_of("host-deny", answer) == "host-deny"


def test_a3_a_key_is_pending_until_its_time_is_over() -> None:
    table = Table()
    told, data = table.ask("k", "r1", "a1", [60.0], 1000.0)
    assert told == "continue"
    table.take(data)
    assert [(one.until, one.alert_id) for one in table.of("r1")] == [(1060.0, "a1")]
    # The same again: the time begins anew, at the end of the later response.
    told, data = table.ask("k", "r2", "a2", [60.0], 1030.0)
    assert told == "abort"
    table.take(data)
    assert table.of("r1") == []
    assert [(one.until, one.alert_id) for one in table.of("r2")] == [(1090.0, "a1")]
    table.take(over("k"))
    assert table.of("r2") == []
    assert table.ask("k", "r3", "a3", [60.0], 1100.0)[0] == "continue"


def test_without_a_timeout_nothing_is_pending() -> None:
    assert Table().ask("k", "r1", "a1", [], 0.0) == ("continue", {})
    assert Table().ask("k", "r1", "a1", [0.0], 0.0) == ("continue", {})


def test_a3_repeated_offenders_wait_longer() -> None:
    table, waits = Table(), []
    for number in range(4):
        _, data = table.ask("k", f"r{number}", "a", [60.0, 1800.0, 3600.0], 0.0)
        table.take(data)
        waits += [one.until for one in table.of(f"r{number}")]
        table.take(over("k"))
    assert waits == [60.0, 1800.0, 3600.0, 3600.0]


def test_a3_what_is_pending_survives_a_restart() -> None:
    _, data = Table().ask("k", "r1", "a1", [60.0], 1000.0)
    entries = [
        Entry(seq=1, time=0.0, response="r1", state=None, text="", data={"other": 1}),
        Entry(seq=2, time=0.0, response="r1", state=None, text="", data=data),
    ]
    table = Table.from_entries(entries)
    assert [one.until for one in table.of("r1")] == [1060.0]
    assert table.ask("k", "r2", "a2", [60.0], 1010.0)[0] == "abort"
