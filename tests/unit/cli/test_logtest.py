import json
from pathlib import Path

import pytest

from tests.unit.cli.commandline import Commands
from tocsin.dialects.wazuh.decode import Decoders
from tocsin.dialects.wazuh.expressions import BudgetSpent

RULES = """
<group name="kubernetes_audit,pci_dss_1.2,">
<rule id="100000" level="0">
<decoded_as>json</decoded_as>
<description>audit</description>
</rule>
<rule id="100001" level="9">
<if_sid>100000</if_sid>
<regex type="pcre2">"verb": "create"</regex>
<description>created $(user.username)</description>
<mitre><id>T1611</id></mitre>
</rule>
<rule id="100002" level="5">
<if_sid>100000</if_sid>
<list field="a">etc/lists/none</list>
<description>lost</description>
</rule>
</group>
"""
COMPACT = '{"verb":"create","user":{"username":"eve\\u001b[2J"}}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "etc" / "rules").mkdir(parents=True)
    (tmp_path / "etc" / "rules" / "local_rules.xml").write_text(RULES)
    return tmp_path / "etc"


def stdin(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "input"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_json(tocsin: Commands, folder: Path, tmp_path: Path) -> None:
    ran = tocsin("logtest", "--wazuh", folder, "--json", stdin=stdin(tmp_path, COMPACT, "text"))
    assert ran.code == 0
    first, second = map(json.loads, ran.out.splitlines())
    assert first == {
        "predecoder": {},
        "decoder": {"name": "json"},
        "data": {"verb": "create", "user": {"username": "eve\x1b[2J"}},
        "rule": {
            "id": "100001",
            "level": 9,
            "description": "created eve\x1b[2J",
            "groups": ["kubernetes_audit"],
            "pci_dss": ["1.2"],
        },
        "alert": True,
    }
    assert second == {"predecoder": {}, "decoder": {}, "data": {}, "rule": None, "alert": False}
    assert "there is no list 'etc/lists/none'" in ran.err


def test_strict_takes_the_text_as_it_is(tocsin: Commands, folder: Path, tmp_path: Path) -> None:
    ran = tocsin("logtest", "--wazuh", folder, "--json", "--strict", stdin=stdin(tmp_path, COMPACT))
    assert json.loads(ran.out)["rule"]["id"] == "100000"


def test_the_phases(tocsin: Commands, folder: Path, tmp_path: Path) -> None:
    out = tocsin("logtest", "--wazuh", folder, stdin=stdin(tmp_path, COMPACT, "", COMPACT)).out
    assert out.count("**Alert to be generated.") == 2
    assert out.count("\tfiredtimes: '1'") == 2, "an empty line starts a fresh session"
    assert "\x1b" not in out
    once = out[: out.index("generated.")]
    expected = [
        "**Phase 1: Completed pre-decoding.",
        "**Phase 2: Completed decoding.",
        "\tname: 'json'",
        "\tverb: 'create'",
        "**Phase 3: Completed filtering (rules).",
        "\tid: '100001'",
        "\tlevel: '9'",
        "\tgroups: '['kubernetes_audit']'",
        "\tmitre.id: '['T1611']'",
        "\tpci_dss: '['1.2']'",
    ]
    lines = once.splitlines()
    assert [line for line in lines if line in expected] == expected


def test_no_decoder(tocsin: Commands, folder: Path, tmp_path: Path) -> None:
    out = tocsin("logtest", "--wazuh", folder, stdin=stdin(tmp_path, "text")).out
    assert "\tNo decoder matched." in out
    assert "Phase 3" not in out


def test_a_folder_that_is_none(tocsin: Commands, tmp_path: Path) -> None:
    ran = tocsin("logtest", "--wazuh", tmp_path / "none")
    assert ran.code == 2
    assert "is no folder" in ran.err


def test_what_was_too_costly_is_told(
    tocsin: Commands, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(_self: Decoders, _log: bytes) -> None:
        raise BudgetSpent

    monkeypatch.setattr(Decoders, "decode", decode)
    ran = tocsin("logtest", "--wazuh", folder, stdin=stdin(tmp_path, COMPACT))
    assert "too costly, not evaluated: rule 1, rule 2" in ran.err


def test_why_tells_what_stopped_each(tocsin: Commands, folder: Path, tmp_path: Path) -> None:
    line = '{"verb":"get\\u001b[2J"}'
    ran = tocsin("logtest", "--wazuh", folder, "--why", stdin=stdin(tmp_path, line))
    lines = ran.out.splitlines()
    assert "\tTrying decoder: json" in lines
    at = lines.index("\tTrying rule: 100001 - created $(user.username)")
    assert lines[at + 1].startswith("\t\tstopped: <regex> asks for a match of pcre2")
    assert lines[at + 1].endswith('without `"verb": "create"`')
    assert "\x1b" not in ran.out


def test_why_as_json(tocsin: Commands, folder: Path, tmp_path: Path) -> None:
    ran = tocsin("logtest", "--wazuh", folder, "--why", "--json", stdin=stdin(tmp_path, COMPACT))
    why = json.loads(ran.out)["why"]
    assert [decoder["name"] for decoder in why["decoders"]] == ["json-msgraph", "json"]
    assert why["decoders"][0]["stopped"]["element"] == "prematch"
    rules = {rule["id"]: rule for rule in why["rules"]}
    assert rules["100001"]["matched"]
    assert rules["100001"]["stopped"] is None
    assert rules["100001"]["source"].endswith("local_rules.xml:7")
