"""What an ossec.conf arms."""

from pathlib import Path

from tests.unit.respond.command.alerts import alert_on
from tocsin.model.ports import StoredAlert
from tocsin.model.response import Plan
from tocsin.respond.actions.registry import ACTIONS
from tocsin.respond.select import select
from tocsin.respond.settings import CommandSettings
from tocsin.runtime.wazuh import load_wazuh_files
from tocsin.runtime.wazuhfiles import WazuhFiles
from tocsin.runtime.wazuhresponses import wazuh_responses

FILES = Path(__file__).parents[2] / "e2e" / "wazuh"
COMMAND = (
    "<command><name>kubectl</name><executable>kubectl</executable>"
    "<extra_args>delete pod $(pod) -n $(ns)</extra_args>"
    "<timeout_allowed>yes</timeout_allowed></command>"
)
RESPONSE = (
    "<active-response><disabled>no</disabled><command>kubectl</command>"
    "<location>local</location><rules_id>110011</rules_id><timeout>60</timeout></active-response>"
)


def installed_files(config: Path) -> WazuhFiles:
    return WazuhFiles(
        rules=(str(FILES / "local_rules.xml"),),
        decoders=(str(FILES / "local_decoder.xml"),),
        config=str(config),
    )


def test_the_users_block_becomes_a_plan(tmp_path: Path) -> None:
    config = tmp_path / "ossec.conf"
    config.write_text(f"<ossec_config>{COMMAND}{RESPONSE}{RESPONSE}</ossec_config>")
    files = installed_files(config)
    commands = {
        "kubectl": CommandSettings(executable="kubectl", timeout_seconds=5.0, inverse="back"),
        "back": CommandSettings(executable="kubectl", arguments=("label", "x")),
    }
    first, second = wazuh_responses([load_wazuh_files(files)], commands)
    assert (first.name, second.name) == ("wazuh-kubectl60", "wazuh-kubectl60-2")
    assert (first.mode, first.undo_after_seconds) == ("auto", 60.0)
    stored = StoredAlert(1, alert_on(fields={"pod": "web", "ns": "shop"}))
    (plan,) = select(stored, [first], ACTIONS, now=0.0)
    assert isinstance(plan, Plan)
    assert plan.parameters["arguments"] == ("delete", "pod", "$(pod)", "-n", "$(ns)")
    assert plan.parameters["inverse"] == ("label", "x")
    assert plan.parameters["timeout_seconds"] == 5.0


def test_what_no_rule_asks_for_is_not_armed(tmp_path: Path) -> None:
    config = tmp_path / "ossec.conf"
    config.write_text(f"<ossec_config>{COMMAND}{RESPONSE.replace('110011', '1')}</ossec_config>")
    files = installed_files(config)
    assert wazuh_responses([load_wazuh_files(files)], {}) == ()
