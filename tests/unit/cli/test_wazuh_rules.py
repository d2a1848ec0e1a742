"""`--wazuh` and `--strict` of `tocsin detect` and `serve`, and Wazuh rules in `tocsin rules`."""

import importlib
import json
from pathlib import Path

import pytest

from tests.unit.cli.commandline import Commands
from tests.unit.runtime.rulefiles import event, lines
from tocsin.cli import wazuhwarnings
from tocsin.runtime.config import Config
from tocsin.runtime.wazuhfiles import WazuhFiles

# The package has the function under this name.
serve = importlib.import_module("tocsin.cli.serve")

RULES = """<group name="g,">
<rule id="100001" level="9"><decoded_as>json</decoded_as><match>curl</match>
<description>$(userAgent) seen</description></rule>
<rule id="100002" level="3"><decoded_as>nope</decoded_as><description>d</description></rule>
</group>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "wazuh"
    made.mkdir()
    (made / "r.xml").write_text(RULES)
    return made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(lines(event(1), event(2, "wget"), event(1, stage="ResponseStarted")))
    return path


def test_detect(tocsin: Commands, folder: Path, log: Path) -> None:
    ran = tocsin("detect", "--wazuh", folder, "--no-builtin", log)
    assert [json.loads(line)["description"] for line in ran.out.splitlines()] == ["curl seen"]
    warning, summary = ran.err.splitlines()
    assert warning == (
        f"warning: {folder}/r.xml:4: there is no decoder 'nope': rule 100002 never fires"
    )
    assert summary == "3 events, 2 rules, 1 alerts (1 medium)"
    assert tocsin("detect", "--wazuh", folder, "--no-builtin", "-q", log).err == ""


def test_detect_strict_reports_every_event(tocsin: Commands, folder: Path, log: Path) -> None:
    (folder / "r.xml").write_text(RULES.replace("nope", "json"))
    ran = tocsin("detect", "--wazuh", folder, "--strict", "--no-builtin", log)
    alerts = [json.loads(line) for line in ran.out.splitlines()]
    assert [alert["event"]["stage"] for alert in alerts if alert["rule"]["id"] == "100001"] == [
        "ResponseComplete",
        "ResponseStarted",
    ]


def test_beside_the_rules_that_ship(tocsin: Commands, folder: Path, log: Path) -> None:
    containers = [{"name": "c", "securityContext": {"privileged": True}}]
    body = {"kind": "Pod", "spec": {"containers": containers}}
    log.write_bytes(lines(event(responseStatus={"code": 201}, requestObject=body)))
    ran = tocsin("detect", "--wazuh", folder, log)
    dialects = {json.loads(line)["rule"]["dialect"] for line in ran.out.splitlines()}
    assert dialects == {"wazuh", "sigma"}


def test_wrong_usage(tocsin: Commands, folder: Path, log: Path) -> None:
    ran = tocsin("detect", "--strict", log)
    assert (ran.code, "name their folder by --wazuh DIR" in ran.err) == (2, True)
    ran = tocsin("detect", "--wazuh", folder / "none", log)
    assert (ran.code, ran.err) == (2, f"tocsin: {folder}/none: is no folder\n")
    (folder / "r.xml").write_text("<group name='g'>\n<rule id='1'>")
    ran = tocsin("detect", "--wazuh", folder, log)
    assert (ran.code, ran.err.startswith(f"tocsin: {folder}/r.xml:2: ")) == (2, True)


def test_many_warnings_are_cut(
    tocsin: Commands, folder: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wazuhwarnings, "MAX_SHOWN", 0)
    ran = tocsin("detect", "--wazuh", folder, "--no-builtin", log)
    assert ran.err.startswith("1 more warnings: see `tocsin rules lint`\n")


class Recorded:
    """Stands in for the supervisor."""

    webhook_port = health_port = 0
    web_url = ""
    config: Config

    def __init__(self, config: Config) -> None:
        type(self).config = config

    def stop(self) -> None: ...

    reload = stop

    async def run(self) -> None: ...


def test_serve(tocsin: Commands, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "Supervisor", Recorded)
    monkeypatch.setattr(serve, "configure_logs", lambda _: None)
    assert "warning: " in tocsin("serve", "--wazuh", folder).err
    builtin_before = Recorded.config.builtin_rules
    (folder / "r.xml").write_text(RULES.replace("nope", "json"))
    ran = tocsin("serve", "--wazuh", folder, "--strict", "--no-builtin")
    assert (ran.code, "warning: " in ran.err) == (0, False)
    assert Recorded.config.wazuh == [WazuhFiles(folder=str(folder), strict=True)]
    assert (Recorded.config.builtin_rules, builtin_before) == (False, True)
    (folder / "r.xml").write_text("<group")
    assert tocsin("serve", "--wazuh", folder).code == 2


def test_rules_list_and_show(tocsin: Commands, folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "tocsin.yaml"
    config.write_text(f"rules: [{{wazuh: {{rules: ['{folder}']}}}}]\nbuiltin_rules: false\n")
    listed = json.loads(tocsin("rules", "list", "-c", config, "--json").out)
    assert [(one["id"], one["dialect"], one["level"]) for one in listed] == [
        ("100001", "wazuh", "9"),
        ("100002", "wazuh", "3"),
    ]
    shown = tocsin("rules", "show", "100002", "-c", config).out
    assert shown.splitlines()[-1].startswith('<rule id="100002"')
    assert tocsin("rules", "show", "10000", "-c", config).code == 2
