import re

import pytest

from tests.unit.cli.commandline import Commands, run

GROUPS = (
    "clusters",
    "incidents",
    "notify",
    "quarantine",
    "rules",
    "silence",
    "tokens",
    "users",
    "wazuh",
)
COMMANDS = (
    "serve",
    "sources",
    "demo",
    "detect",
    "alerts",
    "events",
    "explain",
    "incidents show",
    "incidents export",
    "incidents ack",
    "incidents contain",
    "incidents close",
    "incidents reopen",
    "incidents assign",
    "incidents note",
    "incidents pin",
    "setup",
    "setup adopt",
    "clusters add",
    "clusters list",
    "clusters rotate",
    "clusters revoke",
    "doctor",
    "scan",
    "who-can",
    "backfill",
    "backup",
    "restore",
    "logtest",
    "bench",
    "rules list",
    "rules show",
    "rules lint",
    "rules test",
    "rules coverage",
    "notify test",
    "notify route",
    "quarantine list",
    "quarantine show",
    "users add",
    "users list",
    "users passwd",
    "users disable",
    "tokens create",
    "tokens list",
    "tokens revoke",
    "silence add",
    "silence list",
    "silence end",
    "except",
    "wazuh compare",
    "setup rbac",
    "setup kubectl",
    "respond list",
    "respond show",
    "respond approve",
    "respond reject",
    "respond undo",
    "respond ask",
    "respond stop",
    "respond start",
    "respond verify",
    "respond plan",
)


def listed(help_text: str) -> set[str]:
    """Return the commands that a help text lists."""
    return set(re.findall(r"^│ ([a-z][a-z-]*) ", help_text, re.MULTILINE))


def test_help_lists_every_command(tocsin: Commands) -> None:
    ran = tocsin("--help")
    assert ran.code == 0
    assert listed(ran.out) == {name.split()[0] for name in COMMANDS}
    for group in GROUPS:
        wanted = {name.split()[1] for name in COMMANDS if name.startswith(f"{group} ")}
        assert listed(tocsin(group, "--help").out) == wanted


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(tocsin: Commands, command: str) -> None:
    for option in ("--help", "-h"):
        ran = tocsin(*command.split(), option)
        assert ran.code == 0
        assert f"Example: tocsin {command}" in ran.out


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_says_what_it_is_for(tocsin: Commands, group: str) -> None:
    text = tocsin(group, "--help").out
    assert re.search(r"Usage: tocsin .*\n *\n +[A-Z][^│]+\.", text)


def test_without_a_command_the_help_is_shown(tocsin: Commands) -> None:
    ran = tocsin()
    assert "Usage: tocsin" in ran.out + ran.err
    assert ran.code == 2


@pytest.mark.parametrize("arguments", [("detekt",), ("detect", "--rulez", "x"), ("alerts", "x")])
def test_wrong_use_is_exit_code_2_on_stderr(tocsin: Commands, arguments: tuple[str, ...]) -> None:
    ran = tocsin(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: tocsin" in ran.err
    assert "Traceback" not in ran.err


def test_it_is_installed_as_a_program() -> None:
    ran = run("alerts", "--data", "/not/there")
    assert ran.returncode == 2
    assert ran.stdout == b""
    assert ran.stderr.startswith(b"tocsin: there is no store at /not/there/tocsin.db")
