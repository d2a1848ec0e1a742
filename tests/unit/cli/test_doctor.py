import contextlib
import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.unit.cli.commandline import EXECUTABLE, Commands, environment, run

NODE = Path("tocsin-setup/prod")
# The first lines that `tocsin serve` writes, in this order.
ADDRESSES = ("listening on", "dashboard", "health and metrics")


@dataclass(frozen=True)
class Served:
    """A running Tocsin with the files for one API server."""

    folder: Path
    health_port: str

    def doctor(self, tocsin: Commands, *arguments: object) -> tuple[int, dict[str, Any]]:
        """Return the exit code, and the findings by check: of several, the worst."""
        config = self.folder / "tocsin.yaml"
        ran = tocsin("doctor", "--config", config, *arguments, "--json")
        assert ran.err == ""
        order = ["fault", "warning", "skipped", "ok"]
        found: list[dict[str, Any]] = json.loads(ran.out)
        found.sort(key=lambda finding: -order.index(finding["state"]))
        return ran.code, {finding["check"]: finding for finding in found}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    process = subprocess.Popen(
        [EXECUTABLE, "serve", "--port", "0"],
        cwd=folder,
        stderr=subprocess.PIPE,
        env=environment(TOCSIN__HEALTH__PORT="0", TOCSIN__WEB__PORT="0"),
    )
    timer = threading.Timer(120, process.kill)
    timer.start()
    with process, contextlib.ExitStack() as stack:
        stack.callback(timer.cancel)
        stack.callback(process.send_signal, signal.SIGTERM)
        assert process.stderr is not None
        greeting = {name: process.stderr.readline().decode() for name in ADDRESSES}
        ports = {name: _port(name, line) for name, line in greeting.items()}
        health = ports["health and metrics"]
        # What else it writes is of no interest, and must not fill the pipe.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        _connect(folder, ports["listening on"])
        (folder / "tocsin.yaml").write_text(
            yaml.safe_dump({"data": str(folder / "tocsin-data"), "health": {"port": int(health)}})
        )
        _wait_until_ready(f"http://127.0.0.1:{health}/readyz", process)
        yield Served(folder, health)


def _port(name: str, line: str) -> str:
    """Return the port in the line of the greeting that gives this address."""
    found = re.search(rf"{name}.*:(\d+)\b", line)
    assert found, line
    return found[1]


def _connect(folder: Path, port: str) -> None:
    names = ("--advertise", f"127.0.0.1:{port}", "--cluster", "prod", "--node", "cp-1")
    ran = run("setup", *names, "--remote-dir", folder / NODE, folder=folder)
    assert ran.returncode == 0, ran.stderr


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    # One client: each would read the certificates of all the system's authorities.
    with httpx2.Client(trust_env=False) as http:
        while True:
            assert process.poll() is None
            with contextlib.suppress(httpx2.TransportError):
                if http.get(url).status_code == 200:
                    return
            time.sleep(0.05)


@pytest.mark.timeout(60)
def test_both_ends_of_a_line_that_works(served: Served, tocsin: Commands) -> None:
    code, found = served.doctor(tocsin, "--webhook", served.folder / NODE / "webhook.yaml")
    states = {check: finding["state"] for check, finding in found.items()}
    assert code == 0, found
    assert {check for check, state in states.items() if state != "ok"} == {
        "sources",
        "notifications",
    }
    assert states.keys() >= {"kubeconfig", "tls", "answer", "clock", "spool", "policy"}


@pytest.mark.timeout(60)
def test_a_fault_is_told_and_decides_the_exit_code(
    served: Served, tocsin: Commands, tmp_path: Path
) -> None:
    webhook = tmp_path / "webhook.yaml"
    text = (served.folder / NODE / "webhook.yaml").read_text()
    webhook.write_text(text.replace("audit/prod/", "audit/staging/"))
    code, found = served.doctor(tocsin, "--webhook", webhook, "--only", "answer")
    assert code == 1
    assert found.keys() == {"answer"}
    assert "not one of the cluster staging" in found["answer"]["what"]
    ran = tocsin("doctor", "--webhook", webhook, "--only", "answer", "--only", "kubeconfig")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert lines[0].startswith("fault    kubeconfig ")
    assert lines[1].lstrip().startswith("why: ")
    assert lines[2].lstrip().startswith("mend: ")
    assert lines[-1] == "2 faults, 0 warnings, 0 ok"


def test_names_from_outside_are_shown_harmless(tocsin: Commands, tmp_path: Path) -> None:
    webhook = tmp_path / "webhook.yaml"
    webhook.write_text('current-context: "\\e[2J\\u202e"\n')
    ran = tocsin("doctor", "--webhook", webhook, "--only", "kubeconfig")
    assert ran.code == 1
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is nothing to look at here"),
        (("--only", "tsl"), "there is no check tsl; there are: flags, policy, "),
        (("--data", "gone"), "there is no data folder gone"),
        (("--config", "gone.yaml"), "gone.yaml: the configuration cannot be read"),
    ],
)
def test_wrong_use(tocsin: Commands, arguments: tuple[str, ...], said: str) -> None:
    ran = tocsin("doctor", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.out == ""
