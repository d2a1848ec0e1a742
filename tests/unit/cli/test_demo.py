import json
from pathlib import Path

import pytest

from tests.unit.cli.commandline import Commands, run
from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert
from tocsin.cli.demo import _line
from tocsin.runtime.live import on_free_ports


def test_a_line_per_alert() -> None:
    line = _line(make_alert()).plain
    assert line == "10:45:16  high      alice created privileged pod web in shop  T1611"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_cannot_control_the_terminal(text: str) -> None:
    assert _line(hostile_alert(text[:1000])).plain.isprintable()


def test_it_uses_free_ports_on_loopback_and_a_folder_of_any_name() -> None:
    for name in ("2026", "a: b", "${X}"):
        config = on_free_ports(Path(name))
        assert config.folder == Path(name)
        assert (config.webhook.host, config.webhook.port) == ("127.0.0.1", 0)
        assert (config.health.host, config.health.port) == ("127.0.0.1", 0)
        assert (config.web.host, config.web.port) == ("127.0.0.1", 0)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--policy", "none"), "there is no recording 'none'; there are: seed-policy, full-policy"),
        (("--speed", "0"), "--speed"),
    ],
)
def test_wrong_use(tocsin: Commands, options: tuple[str, ...], problem: str) -> None:
    ran = tocsin("demo", *options)
    assert ran.code == 2
    assert problem in ran.err


@pytest.mark.robustness
@pytest.mark.timeout(90)
@pytest.mark.parametrize("policy", ["seed-policy", "full-policy"])
def test_without_a_terminal_it_prints_a_summary_and_ends(tmp_path: Path, policy: str) -> None:
    ran = run("demo", "--policy", policy, "--speed", "100", "--data", "kept", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    shown = ran.stdout.decode()
    assert shown.startswith("Replaying ")
    assert "\x1b" not in shown
    last = shown.rstrip().splitlines()[-1]
    assert " alerts: " in last
    assert "T1611" in shown
    assert ran.stderr == b""
    stored = run(
        "alerts",
        "--data",
        "kept",
        "--severity",
        "info",
        "--json",
        "--limit",
        "1000",
        folder=tmp_path,
    )
    alerts = [json.loads(line) for line in stored.stdout.splitlines()]
    assert last.startswith(f"{len(alerts)} alerts: ")
    assert {alert["cluster"] for alert in alerts} == {"demo"}
