import json
from pathlib import Path

import pytest

from tests.unit.cli.commandline import Commands, Ran
from tocsin.ingest.quarantine import Quarantine
from tocsin.ingest.seal import Sealer, load_or_create_key

NOW = 1_700_000_000.0
HOSTILE = "[bold]x[/bold]\n\x1b[2J\u202e"


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    data = tmp_path / "tocsin-data"
    (data / "keys").mkdir(parents=True)
    return Quarantine(data / "quarantine", Sealer(load_or_create_key(data / "keys" / "spool.key")))


def test_a_list_with_the_reasons(tocsin: Commands, quarantine: Quarantine) -> None:
    quarantine.add("prod", 7, [("no JSON", b"{oops"), ("not an event", b"{}")], NOW)
    ran = tocsin("quarantine", "list")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["number", "time", "cluster", "bytes", "reason"],
        ["0", "2023-11-14T22:13:20", "prod", "5", "no", "JSON"],
        ["1", "2023-11-14T22:13:20", "prod", "2", "not", "an", "event"],
    ]


def test_the_newest_of_a_list_keep_their_numbers(tocsin: Commands, quarantine: Quarantine) -> None:
    quarantine.add("prod", 7, [(str(number), b"x") for number in range(9)], NOW)
    ran = tocsin("quarantine", "list", "--limit", 2, "--json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [(line["number"], line["reason"]) for line in lines] == [(7, "7"), (8, "8")]
    assert lines[0].keys() == {"number", "time", "cluster", "seq", "reason", "length"}


def test_nothing_in_it(tocsin: Commands, quarantine: Quarantine) -> None:
    del quarantine
    assert tocsin("quarantine", "list") == Ran(0, "Nothing is in quarantine.\n", "")
    assert tocsin("quarantine", "list", "--json") == Ran(0, "", "")


def test_reasons_cannot_control_the_terminal(tocsin: Commands, quarantine: Quarantine) -> None:
    quarantine.add("prod", 7, [(HOSTILE, b"x")], NOW)
    for options in ((), ("--json",)):
        shown = tocsin("quarantine", "list", *options).out
        assert "[bold]x[/bold]" in shown
        assert shown.isascii()
        assert all(line.isprintable() for line in shown.split("\n"))


def test_the_bytes_of_a_record(tocsin: Commands, quarantine: Quarantine) -> None:
    quarantine.add("prod", 7, [("first", b"1"), ("second", b"\x00\x1b[2J\r\n")], NOW)
    assert tocsin("quarantine", "show", 1) == Ran(0, "\x00\x1b[2J\r\n", "")


def test_a_number_that_is_not_there(tocsin: Commands, quarantine: Quarantine) -> None:
    del quarantine
    ran = tocsin("quarantine", "show", 3)
    assert ran == Ran(2, "", "tocsin: there is no record 3; see `tocsin quarantine list`\n")


def test_another_key(tocsin: Commands, quarantine: Quarantine, tmp_path: Path) -> None:
    quarantine.add("prod", 7, [("first", b"1")], NOW)
    (tmp_path / "tocsin-data/keys/spool.key").unlink()
    load_or_create_key(tmp_path / "tocsin-data/keys/spool.key")
    ran = tocsin("quarantine", "show", 0)
    assert ran.code == 2
    assert ran.err.startswith("tocsin: ")
    assert ran.err.count("\n") == 1


def test_looking_makes_no_key(tocsin: Commands, tmp_path: Path) -> None:
    ran = tocsin("quarantine", "list", "--data", "other")
    assert ran.code == 2
    assert "there is no key at other/keys/spool.key" in ran.err
    assert not (tmp_path / "other").exists()
