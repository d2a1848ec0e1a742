from pathlib import Path

import pytest

from tocsin.model.errors import LoadError, TocsinError
from tocsin.runtime.wazuh import load_wazuh

RULES = (
    '<group name="g,"><rule id="100001" level="5"><decoded_as>json</decoded_as>'
    '<list field="a">etc/lists/sub/names</list><description>d</description></rule></group>'
)
DECODER = '<decoder name="pods"><parent>json</parent><regex>(\\d)</regex><order>n</order></decoder>'


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_xml", ".xml").replace("_conf", ".conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_folder_laid_out_like_wazuhs(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        rules__r_xml=RULES,
        decoders__d_xml=DECODER,
        lists__sub__names="x:y\n",
        ossec_conf="<ossec_config><alerts><log_alert_level>6</log_alert_level></alerts>"
        "</ossec_config>",
    )
    loaded = load_wazuh(folder, strict=True)
    assert not loaded.installation.warnings
    assert 100001 in loaded.installation.tree.nodes
    assert "pods" in loaded.installation.decoders.tree.names
    assert (loaded.thresholds.alert, loaded.thresholds.email) == (6, 12)


def test_files_side_by_side(tmp_path: Path) -> None:
    folder = write(tmp_path, my_xml=RULES, other_xml=DECODER, third_xml="<agent_config/>")
    loaded = load_wazuh(folder, strict=False)
    assert "pods" in loaded.installation.decoders.tree.names
    assert [str(warning) for warning in loaded.installation.warnings] == [
        f"{tmp_path}/my.xml:1: rule 100001 is ignored: "
        "there is no list 'etc/lists/sub/names' (7616)"
    ]


def test_excluded_files(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        rules__a_xml=RULES,
        rules__b_xml=RULES.replace("100001", "100002"),
        ossec_conf="<ossec_config><ruleset><rule_exclude>rules/a.xml</rule_exclude></ruleset>"
        "</ossec_config>",
        lists__sub__names="",
    )
    nodes = load_wazuh(folder, strict=True).installation.tree.nodes
    assert 100002 in nodes
    assert 100001 not in nodes


def test_the_files_own_json_decoders_and_roots_displace_the_built_in_ones(tmp_path: Path) -> None:
    roots = (
        '<group name="syslog,"><rule id="1" level="0" noalert="1">'
        "<description>mine</description></rule></group>"
    )
    json_decoder = '<decoder name="json"><prematch>^x</prematch></decoder>'
    folder = write(tmp_path, r_xml=roots, d_xml=json_decoder)
    installation = load_wazuh(folder, strict=True).installation
    assert [node.rule.description for node in installation.tree.roots] == ["mine"]
    assert installation.decoders.decode(b'{"a":1}').name is None


def test_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(TocsinError, match="no folder"):
        load_wazuh(tmp_path / "none", strict=True)
    with pytest.raises(TocsinError, match="no Wazuh rules"):
        load_wazuh(tmp_path, strict=True)


def test_faulty_files(tmp_path: Path) -> None:
    write(tmp_path, rules__r_xml="<group name='x'>")
    with pytest.raises(LoadError, match=r"r.xml:1: "):
        load_wazuh(tmp_path, strict=True)
    bad = "<ossec_config><alerts>\n<log_alert_level>x</log_alert_level></alerts></ossec_config>"
    write(tmp_path, rules__r_xml=RULES, ossec_conf=bad)
    with pytest.raises(LoadError, match=r"ossec.conf:2: "):
        load_wazuh(tmp_path, strict=True)


def test_files_that_are_too_large_or_not_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, rules__r_xml=RULES)
    monkeypatch.setattr("tocsin.runtime.wazuh.MAX_BYTES", 10)
    with pytest.raises(LoadError, match="larger than 10 bytes"):
        load_wazuh(tmp_path, strict=True)
    (tmp_path / "rules" / "r.xml").unlink()
    (tmp_path / "rules" / "dangling.xml").symlink_to("nowhere")
    with pytest.raises(TocsinError, match="cannot read"):
        load_wazuh(tmp_path, strict=True)


def test_hidden_files_are_left_alone(tmp_path: Path) -> None:
    folder = write(tmp_path, r_xml=RULES)
    version = tmp_path / "..2026_11_23"
    version.mkdir()
    (version / "r.xml").write_text(RULES)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / ".swp").write_bytes(b"\xff")
    warnings = load_wazuh(folder, strict=True).installation.warnings
    assert ["7616" in str(warning) for warning in warnings] == [True]
