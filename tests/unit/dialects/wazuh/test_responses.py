"""`<command>` and `<active-response>` of ossec.conf."""

import pytest

from tests.unit.dialects.wazuh.installed import installed, rule
from tocsin.dialects.wazuh.responses import Responses, WazuhResponse, read_responses
from tocsin.dialects.wazuh.xml import read_xml
from tocsin.model.errors import LoadError

COMMAND = """<command>
<name>kubectl</name>
<executable>kubectl</executable>
<extra_args>delete pod $(pod)  -n $(ns)</extra_args>
<timeout_allowed>yes</timeout_allowed>
</command>"""
RESPONSE = """<active-response>
<disabled>no</disabled>
<command>kubectl</command>
<location>local</location>
<rules_id>110011</rules_id>
<timeout>60</timeout>
</active-response>"""


def read(text: str) -> Responses:
    (root,) = read_xml(f"<ossec_config>{text}</ossec_config>", "ossec.conf")
    return read_responses(root.children, "ossec.conf")


def response(options: str, command: str = COMMAND) -> WazuhResponse:
    text = f"<command>kubectl</command><location>local</location>{options}"
    (found,) = read(f"{command}<active-response>{text}</active-response>").enabled
    return found


def test_the_block_that_everybody_has() -> None:
    found = read(COMMAND + RESPONSE)
    (one,) = found.enabled
    assert one.command.extra_args == ("delete", "pod", "$(pod)", "-n", "$(ns)")
    assert (one.name, one.location, one.timeout) == ("kubectl60", "local", 60)
    assert str(one.at) == "ossec.conf:6"
    assert one.matches(9, "kubernetes_audit,", 110011)
    assert not one.matches(9, "kubernetes_audit,", 110010)
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("options", "level", "groups", "number", "matches"),
    [
        ("<level>7</level>", 7, "", 1, True),
        ("<level>7</level>", 6, "", 1, False),
        ("<rules_group>audit,|syslog,</rules_group>", 1, "kubernetes_audit,", 1, True),
        ("<rules_group>^syslog</rules_group>", 15, "kubernetes_audit,", 1, False),
        ("<level>7</level><rules_group>audit</rules_group>", 9, "audit,", 1, True),
        ("<level>7</level><rules_group>audit</rules_group>", 9, "other,", 1, False),
        ("<level>7</level><rules_group>audit</rules_group>", 3, "audit,", 1, False),
        ("<level>7</level><rules_id>5</rules_id>", 3, "", 5, True),
        ("<rules_id> 1, 2,,3</rules_id>", 1, "", 3, True),
        ("<rules_id>1,x,3</rules_id>", 1, "", 3, False),
        ("<rules_id>5x</rules_id>", 1, "", 5, True),
    ],
)
def test_level_and_group_or_id(
    options: str, level: int, groups: str, number: int, *, matches: bool
) -> None:
    assert response(options).matches(level, groups, number) is matches


def test_rules_that_ask_for_it() -> None:
    installation = installed(
        rule(100001, 9, "")
        + rule(100002, 0, "")
        + rule(100003, 12, "<options>no_ar</options>")
        + rule(100004, 3, "")
    )
    rules = list(installation.tree.rules())
    assert response("<level>7</level>").bound_to(rules) == (100001,)
    assert response("<rules_id>100002,100004</rules_id>").bound_to(rules) == (100004,)


def test_a_timeout_that_the_command_does_not_allow() -> None:
    command = COMMAND.replace("yes", "no")
    found = read(command + RESPONSE)
    assert [one.timeout for one in found.enabled] == [0]
    assert [str(one) for one in found.warnings] == [
        "ossec.conf:6: <timeout> has no effect: the command 'kubectl' does not allow it"
    ]


def test_disabled() -> None:
    assert read(COMMAND + RESPONSE.replace(">no<", ">yes<")).enabled == ()
    everything = "<active-response><disabled>yes</disabled></active-response>"
    assert read(COMMAND + RESPONSE + everything).enabled == ()
    nothing = "<active-response><disabled>no</disabled><ca_store>x</ca_store></active-response>"
    assert len(read(COMMAND + RESPONSE + nothing).enabled) == 1


def test_repeated_offenders_are_minutes_and_for_all() -> None:
    block = "<active-response><repeated_offenders>30, 60</repeated_offenders></active-response>"
    (one,) = read(COMMAND + RESPONSE + block).enabled
    assert one.offenders == (1800, 3600)
    (one,) = read(COMMAND + RESPONSE.replace("60<", "0<") + block).enabled
    assert one.offenders == ()


def test_places_are_searched_for() -> None:
    for text, place in (("LOCAL", "local"), ("server", "server")):
        found = read(COMMAND + RESPONSE.replace(">local<", f">{text}<"))
        assert [one.location for one in found.enabled] == [place]
    found = read(COMMAND + RESPONSE.replace(">local<", ">any<"))
    assert [one.location for one in found.enabled] == ["all"]
    assert "there are no agents" in str(found.warnings[0])


def test_what_never_runs_is_told() -> None:
    found = read(COMMAND + RESPONSE.replace("<rules_id>110011</rules_id>", ""))
    assert "never runs" in str(found.warnings[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RESPONSE, "ossec.conf:1: there is no <command> 'kubectl' before this"),
        (RESPONSE + COMMAND, "there is no <command> 'kubectl' before this"),
        (COMMAND.replace(">kubectl<", ">!kubectl<", 1), "must not begin with `!`"),
        (COMMAND.replace("executable>kubectl", "executable>../kubectl"), "without a folder"),
        (COMMAND.replace("executable>kubectl", "executable>/bin/kubectl"), "without a folder"),
        ("<command><name>x</name></command>", "needs <name> and <executable>"),
        (COMMAND.replace("yes", "maybe"), "neither yes nor no"),
        (COMMAND.replace("delete", "x" * 2048), "more than 2047 bytes"),
        (COMMAND.replace("timeout_allowed", "timeout"), "has no <timeout>"),
        (COMMAND + RESPONSE.replace(">local<", ">there<"), "<location> is none of"),
        (COMMAND + RESPONSE.replace(">local<", ">defined-agent<"), "needs <agent_id>"),
        (COMMAND + RESPONSE.replace(">60<", ">-1<"), "<timeout> is no number"),
        (COMMAND + RESPONSE.replace("timeout>", "level>").replace("60", "21"), "not between 0"),
        (
            COMMAND + RESPONSE.replace("timeout>", "repeated_offenders>").replace("60", "1,x"),
            "list",
        ),
        (COMMAND + "<active-response><level>3</level></active-response>", "needs <command>"),
    ],
)
def test_faults(text: str, message: str) -> None:
    with pytest.raises(LoadError) as raised:
        read(text)
    assert message in str(raised.value)


def test_all_faults_are_told() -> None:
    with pytest.raises(LoadError) as raised:
        read(RESPONSE + "<command/>")
    assert len(raised.value.faults) == 2
