"""What the dashboard and the command line say of responses is what actions and files say."""

import time
from pathlib import Path

import pytest

from tests.unit.store.samples import make_alert
from tocsin.respond.actions.registry import ACTIONS
from tocsin.runtime.config import load_config
from tocsin.runtime.responding import FolderSwitch, asking, responding, words_of

OSSEC = """
<ossec_config>
<command><name>kubectl</name><executable>kubectl</executable>
<extra_args>delete pod $(pod) -n $(ns)</extra_args><timeout_allowed>yes</timeout_allowed></command>
<active-response><disabled>no</disabled><command>kubectl</command><location>local</location>
<rules_id>110011</rules_id><timeout>60</timeout></active-response>
</ossec_config>
"""
RULES = """
<group name="k8s,">
<rule id="110011" level="5"><decoded_as>json</decoded_as><description>Pod</description></rule>
</group>
"""


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        ("delete_pod", "one pod"),
        ("isolate_pod", "one pod"),
        ("scale_owner", "every pod of one workload"),
        ("delete_binding", "whoever a binding names"),
        ("revoke_account", "everything that uses one account"),
        ("cordon_node", "what is to run on one node"),
    ],
)
def test_the_reach_of_an_action_follows_from_its_rights(name: str, reach: str) -> None:
    words = words_of(ACTIONS[name])
    assert (words.reach, words.title) == (reach, ACTIONS[name].title)


def test_what_fits_an_alert_needs_no_parameters(tmp_path: Path) -> None:
    settings = load_config(None, {}, tmp_path).respond
    found = responding(settings, ()).possible(make_alert())
    names = {one.action.name for one in found}
    assert {"delete_pod", "isolate_pod"} <= names
    assert "command" not in names, "nobody said which"


def test_shipped_responses_arm_nothing(tmp_path: Path) -> None:
    config = load_config(None, {}, tmp_path)
    rules = asking(config)
    assert rules
    assert responding(config.respond, rules).armed == ()


def test_an_active_response_of_wazuh_is_armed(tmp_path: Path) -> None:
    (tmp_path / "ossec.conf").write_text(OSSEC)
    (tmp_path / "rules.xml").write_text(RULES)
    path = tmp_path / "tocsin.yaml"
    path.write_text(f"rules: [{{wazuh: {{folder: {tmp_path}}}}}]\n")
    config = load_config(path, {}, tmp_path / "data")
    (armed,) = responding(config.respond, asking(config)).armed
    assert (armed.mode, armed.actions) == ("auto", ("command",))
    (tmp_path / "rules.xml").write_text("<group")
    assert responding(config.respond, asking(config)).armed == (), "what does not load is not armed"


def test_a15_the_switch_is_a_file(tmp_path: Path) -> None:
    switch = FolderSwitch(tmp_path / "responses", lambda: 12.0)
    assert switch.stopped() is None
    switch.stop("ada", "a drill")
    found = FolderSwitch(tmp_path / "responses", time.time).stopped()
    assert found is not None
    assert (found.who, found.why, found.time) == ("ada", "a drill", 12.0)
    switch.start("ada")
    assert switch.stopped() is None
