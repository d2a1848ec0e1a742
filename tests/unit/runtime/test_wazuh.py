from pathlib import Path

import pytest

from tocsin.model.errors import LoadError
from tocsin.runtime.wazuh import load_wazuh, load_wazuh_files
from tocsin.runtime.wazuhfiles import WazuhFiles

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
    with pytest.raises(LoadError, match="no folder"):
        load_wazuh(tmp_path / "none", strict=True)
    with pytest.raises(LoadError, match="no Wazuh rules"):
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
    with pytest.raises(LoadError, match="cannot read"):
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


def test_files_and_folders_one_by_one(tmp_path: Path) -> None:
    write(
        tmp_path,
        own__r_xml=RULES.replace("sub/names", "names"),
        d_xml=DECODER,
        elsewhere__names="x:y\n",
        conf__ossec_conf="<c><alerts><log_alert_level>5</log_alert_level></alerts></c>",
    )
    files = WazuhFiles(
        decoders=(f"{tmp_path}/d.xml",),
        rules=(f"{tmp_path}/own",),
        lists=(f"{tmp_path}/elsewhere/names",),
        config=f"{tmp_path}/conf/ossec.conf",
    )
    loaded = load_wazuh_files(files)
    assert not loaded.installation.warnings
    assert [rule.id for rule in loaded.rules()] == [100001]
    assert loaded.thresholds.alert == 5
    assert loaded.files is files


@pytest.mark.parametrize(
    "files",
    [
        WazuhFiles(rules=("/nonexistent/r.xml",)),
        WazuhFiles(folder="/nonexistent/r.xml"),
        WazuhFiles(config="/nonexistent/r.xml"),
    ],
)
def test_what_is_not_there_is_named(files: WazuhFiles) -> None:
    with pytest.raises(LoadError, match=r"^/nonexistent/r.xml: "):
        load_wazuh_files(files)


def test_the_version_tells_changes_of_any_file(tmp_path: Path) -> None:
    folder = write(tmp_path, r_xml=RULES, lists__sub__names="x:y\n")

    def version() -> str:
        return load_wazuh(folder, strict=False).version

    first = version()
    assert version() == first
    write(tmp_path, lists__sub__names="x:z\n")
    second = version()
    conf = "<c><alerts><log_alert_level>5</log_alert_level></alerts></c>"
    write(tmp_path, ossec_conf=conf)
    assert len({first, second, version()}) == 3
