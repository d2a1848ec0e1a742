import os
import shutil
from pathlib import Path

import pytest

from tests.unit.runtime.rulefiles import event, event_list, rule, write_rule
from tocsin.model.errors import LoadError
from tocsin.runtime import rules
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.detector import Rules
from tocsin.runtime.pipeline import Pipeline
from tocsin.runtime.rules import content_folder, load_rules, named_sets, rule_files, rules_in_force

READER = "system:serviceaccount:backup:reader"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "rules"


def titles(path: Path) -> list[str]:
    return [rule.title for rule in load_rules([path], builtin=False).rules]


def test_builtin_rules_are_on_unless_switched_off() -> None:
    builtin = load_rules([])
    assert len(builtin.rules) > 20
    assert not builtin.faults
    assert {rule.at.path.split("/")[0] for rule in builtin.rules} == {"sigma"}
    assert not load_rules([], builtin=False).rules


def test_own_rules_stand_beside_the_builtin_ones(folder: Path) -> None:
    write_rule(folder / "a.yml")
    loaded = load_rules([folder])
    assert len(loaded.rules) == len(load_rules([]).rules) + 1
    assert loaded.rules[-1].at.path == str(folder / "a.yml")


def test_folders_are_searched_in_order(folder: Path) -> None:
    for number, name in enumerate(("b.yaml", "a.yml", "deep/er/c.yml", "d.YML", "e.txt")):
        write_rule(folder / name, number, agent=name)
    assert titles(folder) == ["Agent a.yml", "Agent b.yaml", "Agent deep/er/c.yml"]
    assert titles(folder / "e.txt") == ["Agent e.txt"]


def test_tests_beside_rules_are_no_rules(folder: Path) -> None:
    write_rule(folder / "a.yml")
    (folder / "a.test.yml").write_text("- name: x\n  events: []\n  expect: none\n")
    loaded = load_rules([folder], builtin=False)
    assert len(loaded.rules) == 1
    assert not loaded.faults


def test_several_rules_in_a_file(folder: Path) -> None:
    path = write_rule(folder / "a.yml")
    path.write_text("---\n".join(rule(number, f"a{number}") for number in range(3)))
    assert titles(path) == ["Agent a0", "Agent a1", "Agent a2"]


def test_a_mounted_config_map_is_read_once(folder: Path) -> None:
    version = folder / "..2026_11_23"
    write_rule(version / "a.yml")
    (folder / "..data").symlink_to(version.name)
    (folder / "a.yml").symlink_to("..data/a.yml")
    loaded = load_rules([folder], builtin=False)
    assert not loaded.faults
    assert [rule.at.path for rule in loaded.rules] == [str(folder / "a.yml")]


def test_what_an_editor_leaves_is_no_rule(folder: Path) -> None:
    write_rule(folder / "a.yml")
    for name in (".a.yml.swp", ".#a.yml", "a.yml~", "#a.yml#"):
        (folder / name).write_text("half a ru")
    (folder / ".#b.yml").symlink_to("user@host.1234")
    assert not load_rules([folder], builtin=False).faults


def test_an_id_in_two_files_is_a_fault_of_the_second(folder: Path) -> None:
    first, second = write_rule(folder / "a.yml"), write_rule(folder / "b.yml", agent="wget")
    loaded = load_rules([folder], builtin=False)
    assert [rule.title for rule in loaded.rules] == ["Agent curl"]
    [fault] = loaded.faults
    assert str(fault).startswith(f"{second}:1: rule id 00000000-")
    assert f"is already used at {first}:1" in str(fault)


def test_an_id_of_a_builtin_rule_cannot_be_taken(folder: Path) -> None:
    own = folder / "own.yml"
    folder.mkdir()
    shutil.copy(content_folder() / "sigma/execution/pod-created.yml", own)
    loaded = load_rules([own])
    assert len(loaded.rules) == len(load_rules([]).rules)
    assert "already used at sigma/execution/pod-created.yml:1" in str(loaded.faults[0])


def test_one_bad_file_holds_back_no_other(folder: Path) -> None:
    write_rule(folder / "a.yml")
    (folder / "b.yml").write_text("title: [")
    (folder / "c.yml").write_bytes(b"title: \xff")
    (folder / "d.yml").write_text(rule(2).replace("condition: selection", "condition: x"))
    loaded = load_rules([folder, folder / "gone.yml", folder / "gone"], builtin=False)
    assert [rule.title for rule in loaded.rules] == ["Agent curl"]
    places = {Path(fault.location.path).name for fault in loaded.faults}
    assert places == {"b.yml", "c.yml", "d.yml", "gone.yml", "gone"}
    assert f"{folder}/c.yml: cannot be read: not UTF-8 text" in map(str, loaded.faults)
    assert f"{folder}/gone: no such rule file or folder" in map(str, loaded.faults)


def test_an_unreadable_folder_is_a_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rule(folder / "a.yml")
    write_rule(folder / "closed" / "b.yml", 2)

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", refuse)
    [fault] = load_rules([folder], builtin=False).faults
    assert str(fault) == f"{folder}/closed: cannot be read: Permission denied"


def test_an_unreadable_file_is_a_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rule(folder / "a.yml")
    write_rule(folder / "b.yml", 2, agent="wget")

    def refuse(path: Path, encoding: str | None = None) -> str:
        if path.name == "a.yml":
            raise PermissionError(13, "Permission denied")
        return read_text(path, encoding)

    read_text = Path.read_text
    monkeypatch.setattr(Path, "read_text", refuse)
    loaded = load_rules([folder], builtin=False)
    assert [str(fault) for fault in loaded.faults] == [
        f"{folder}/a.yml: cannot be read: Permission denied"
    ]
    assert [rule.title for rule in loaded.rules] == ["Agent wget"]


def test_rules_for_other_log_sources_are_skipped_and_counted(folder: Path) -> None:
    write_rule(folder / "a.yml")
    (folder / "b.yml").write_text(rule(2, product="windows") + "---\n" + rule(3, product="linux"))
    loaded = load_rules([folder], builtin=False)
    assert (len(loaded.rules), loaded.skipped, loaded.faults) == (1, 2, [])


def test_fields_that_no_event_has_are_warned_of(folder: Path) -> None:
    path = write_rule(folder / "a.yml")
    path.write_text(rule().replace("userAgent:", "userAgnet:"))
    [warning] = load_rules([path], builtin=False).warnings
    assert "userAgnet" in warning.message


def secret_listing(user: str) -> bytes:
    pod = {"authentication.kubernetes.io/pod-name": ["reader-0"]}
    return event_list(
        event(
            verb="list",
            requestURI="/api/v1/namespaces/kube-system/secrets?resourceVersion=0",
            user={"username": user, "groups": ["system:authenticated"], "extra": pod},
            objectRef={"resource": "secrets", "namespace": "kube-system"},
            responseStatus={"code": 200},
        )
    )


def test_sets_of_the_configuration_change_what_a_rule_does() -> None:
    path = content_folder() / "sigma/credential-access/secrets-listed-in-kube-system.yml"
    before = Pipeline(load_rules([path], builtin=False).rules)
    after = Pipeline(load_rules([path], {"secret_readers": [READER]}, builtin=False).rules)
    assert len(before.process(secret_listing(READER), "c").alerts) == 1
    assert not after.process(secret_listing(READER), "c").alerts
    assert len(after.process(secret_listing("mallory"), "c").alerts) == 1


def test_own_sets_for_own_rules(folder: Path) -> None:
    path = write_rule(folder / "a.yml")
    path.write_text(rule(agent="'%tools%'").replace("userAgent:", "userAgent|expand:"))
    assert "tools" in str(load_rules([path], builtin=False).faults[0])
    loaded = load_rules([path], {"tools": ["curl", "wget*"]}, builtin=False)
    body = event_list(event(), event(2, "wget/1"), event(3, "x"))
    assert len(Pipeline(loaded.rules).process(body, "c").alerts) == 2


def test_additions_do_not_stay_in_the_shipped_sets() -> None:
    assert READER in named_sets({"secret_readers": [READER]})["secret_readers"]
    assert READER not in named_sets({})["secret_readers"]
    assert named_sets({"new": ["x"]})["new"] == ["x"]


class Reloading:
    """The detector's rules, with one folder of rules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_rule(folder / "a.yml", 1, "first")
        write_rule(folder / "b.yml", 2, "second")
        self.rules = Rules(
            load_config(None, {"TOCSIN__RULES": f"[{folder}]", "TOCSIN__BUILTIN_RULES": "false"})
        )
        self.pipeline = self.rules.load()

    def reload(self) -> list[str]:
        self.rules.reload(self.pipeline)
        return sorted(rule.title.removeprefix("Agent ") for rule in self.pipeline.engine.rules)


@pytest.fixture
def reloading(folder: Path) -> Reloading:
    return Reloading(folder)


def test_a_bad_file_keeps_its_former_rules_and_the_others_are_taken(reloading: Reloading) -> None:
    (reloading.folder / "a.yml").write_text("title: [")
    write_rule(reloading.folder / "b.yml", 2, "changed")
    assert reloading.reload() == ["changed", "first"]
    assert "a.yml" in reloading.rules.faults[0]
    write_rule(reloading.folder / "a.yml", 1, "mended")
    assert reloading.reload() == ["changed", "mended"]
    assert not reloading.rules.faults


def test_of_a_bad_file_none_of_the_new_rules_is_taken(reloading: Reloading) -> None:
    text = rule(1, "new") + "---\n" + rule(3, "x").replace("condition: selection", "condition: y")
    (reloading.folder / "a.yml").write_text(text)
    assert reloading.reload() == ["first", "second"]


def test_a_deleted_file_takes_its_rules_with_it(reloading: Reloading) -> None:
    (reloading.folder / "a.yml").unlink()
    assert reloading.reload() == ["second"]
    assert not reloading.rules.faults


def test_a_renamed_file_keeps_its_rules_once(reloading: Reloading) -> None:
    (reloading.folder / "a.yml").rename(reloading.folder / "z.yml")
    assert reloading.reload() == ["first", "second"]
    assert not reloading.rules.faults


def test_a_bad_file_that_is_then_deleted_takes_its_rules_with_it(reloading: Reloading) -> None:
    (reloading.folder / "a.yml").write_text("title: [")
    assert reloading.reload() == ["first", "second"]
    (reloading.folder / "a.yml").unlink()
    assert reloading.reload() == ["second"]


def test_a_copied_rule_changes_nothing(reloading: Reloading) -> None:
    shutil.copy(reloading.folder / "a.yml", reloading.folder / "copy.yml")
    assert reloading.reload() == ["first", "second"]
    assert "already used" in reloading.rules.faults[0]


def test_a_folder_that_is_gone_disarms_nothing(reloading: Reloading) -> None:
    reloading.folder.rename(reloading.folder.with_name("gone"))
    assert reloading.reload() == ["first", "second"]
    assert reloading.rules.faults == [f"{reloading.folder}: no such rule file or folder"]
    reloading.folder.with_name("gone").rename(reloading.folder)
    write_rule(reloading.folder / "a.yml", 1, "changed")
    assert reloading.reload() == ["changed", "second"]
    assert not reloading.rules.faults


def test_changes_are_noticed_once(reloading: Reloading) -> None:
    assert not reloading.rules.changed()
    write_rule(reloading.folder / "a.yml", 1, "other")
    assert reloading.rules.changed()
    assert not reloading.rules.changed()


def test_files_of_a_folder_are_found_without_loading(folder: Path) -> None:
    path = write_rule(folder / "a.yml")
    assert list(rule_files(folder)) == [path]
    assert list(rule_files(path)) == [path]
    assert rules.TEST_SUFFIX == ".test.yml"


WAZUH = (
    '<group name="g,"><rule id="100001" level="5"><decoded_as>json</decoded_as>'
    "<match>{match}</match><description>d</description></rule></group>"
)


def write_wazuh(folder: Path, match: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "r.xml").write_text(WAZUH.format(match=match))
    return folder


def wazuh_config(tmp_path: Path, folder: Path) -> Config:
    path = tmp_path / "tocsin.yaml"
    path.write_text(f"rules: [{{wazuh: {{folder: '{folder}'}}}}]\nbuiltin_rules: false\n")
    return load_config(path, {})


def agents(pipeline: Pipeline, *names: str) -> list[str]:
    body = event_list(*(event(number, agent=name) for number, name in enumerate(names)))
    return [alert.actor.user_agent or "" for alert in pipeline.process(body, "c").alerts]


def test_wazuh_files_are_rules_and_are_replaced(tmp_path: Path) -> None:
    folder = write_wazuh(tmp_path / "wazuh", "evil")
    rules = Rules(wazuh_config(tmp_path, folder))
    pipeline = rules.load()
    assert pipeline.rule_count == 1
    assert agents(pipeline, "evil", "bad") == ["evil"]
    write_wazuh(folder, "bad")
    assert rules.changed()
    rules.reload(pipeline)
    assert agents(pipeline, "evil", "bad") == ["bad"]


def test_bad_wazuh_files_never_unload_good_ones(tmp_path: Path) -> None:
    folder = write_wazuh(tmp_path / "wazuh", "evil")
    rules = Rules(wazuh_config(tmp_path, folder))
    pipeline = rules.load()
    (folder / "r.xml").write_text("<group")
    rules.reload(pipeline)
    assert [fault.split(":")[0] for fault in rules.faults] == [f"{folder}/r.xml"]
    assert agents(pipeline, "evil") == ["evil"]
    shutil.rmtree(folder)
    rules.reload(pipeline)
    assert rules.faults == [f"{folder}: is no folder"]
    assert agents(pipeline, "evil") == ["evil"]


def test_without_any_rule_that_loads_nothing_starts(tmp_path: Path) -> None:
    config = wazuh_config(tmp_path, tmp_path / "none")
    assert rules_in_force(config).count == 0
    with pytest.raises(LoadError, match="is no folder"):
        Rules(config).load()


def test_wazuh_warnings_and_references_are_among_those_of_all_rules(tmp_path: Path) -> None:
    folder = write_wazuh(tmp_path / "wazuh", "evil")
    text = (folder / "r.xml").read_text().replace("json<", "nope<")
    (folder / "r.xml").write_text(text)
    loaded = rules_in_force(wazuh_config(tmp_path, folder))
    assert "there is no decoder 'nope'" in str(loaded.warnings[0])
    (reference,) = loaded.references()
    assert (reference.id, reference.dialect, reference.severity) == ("100001", "wazuh", "low")
