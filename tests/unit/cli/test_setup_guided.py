"""`tocsin setup` on a terminal: a real program on a real pseudo-terminal."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from tests.unit.cli.commandline import EXECUTABLE, Commands, environment
from tocsin.cli.setup_questions import outbound_address
from tocsin.connect.names import parse_endpoint

# Each runs Tocsin on a terminal of its own.
pytestmark = pytest.mark.robustness

SECONDS = 8.0


class Terminal:
    """`tocsin setup` with a person in front of it."""

    def __init__(self, folder: Path, *options: str) -> None:
        ours, theirs = pty.openpty()
        self._terminal = ours
        self.screen = ""
        self.process = subprocess.Popen(
            [EXECUTABLE, "setup", *options],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={**environment(TERM="dumb", COLUMNS="200")},
            start_new_session=True,
        )
        os.close(theirs)

    def answer(self, question: str, text: str) -> None:
        """Type a line when the question has appeared behind what was answered before."""
        asked = len(self.screen)
        deadline = time.monotonic() + SECONDS
        while question not in self.screen[asked:]:
            assert self._read(deadline), f"no {question!r} in:\n{self.screen}"
        os.write(self._terminal, f"{text}\n".encode())

    def end(self) -> int:
        """Return the exit code, once the program has ended."""
        deadline = time.monotonic() + SECONDS
        while self._read(deadline):
            pass
        os.close(self._terminal)
        return self.process.wait(SECONDS)

    def _read(self, deadline: float) -> bool:
        """Read what appears; return whether there can be more."""
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))
        try:
            data = os.read(self._terminal, 65536) if ready else b""
        except OSError:  # EIO: nobody has the other side any more
            data = b""
        self.screen += data.decode()
        return bool(data)


def test_answers_make_the_bundle(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.answer("Which distribution", "k3s")
    terminal.answer("reach Tocsin", "https://wrong")
    terminal.answer("reach Tocsin", "10.0.0.5")
    terminal.answer("Name of the cluster", "Wrong Name")
    terminal.answer("Name of the cluster", "prod")
    terminal.answer("control-plane nodes", "cp-1, cp-2")
    terminal.answer("client certificate, or by a token", "token")
    terminal.answer("Go on?", "y")

    assert terminal.end() == 0, terminal.screen
    assert "wrong address 'https://wrong'" in terminal.screen
    assert "wrong cluster name 'Wrong Name'" in terminal.screen
    out = tmp_path / "tocsin-setup/prod"
    assert (out / "webhook-cp-2.yaml").is_file()
    assert (out / "k3s/99-tocsin.yaml").is_file()
    assert (out / "token").is_file()
    ending = terminal.screen[terminal.screen.index("Begin with:") :].splitlines()[1:]
    assert len([line for line in ending if line.strip()]) == 3
    assert ending[0].strip().startswith("tocsin serve --data")


def test_what_was_said_is_not_asked_and_no_makes_nothing(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "--distribution", "kubeadm", "--cluster", "prod", "--node", "a")
    terminal.answer("reach Tocsin", "10.0.0.5")
    terminal.answer("client certificate, or by a token", "")
    terminal.answer("Go on?", "n")

    assert terminal.end() == 2
    assert "Name of the cluster" not in terminal.screen
    assert "a will send to https://10.0.0.5:8080/v1/audit/prod/a" in terminal.screen
    assert "nothing was made" in terminal.screen
    assert not list(tmp_path.iterdir())


def test_change_of_this_machine_is_shown_and_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "node"
    (root / "etc/rancher/k3s").mkdir(parents=True)
    options = ("--advertise", "10.0.0.5", "--distribution", "k3s", "--apply", "--root", str(root))

    refused = Terminal(tmp_path, *options)
    refused.answer("Change this machine?", "n")
    assert refused.end() == 2
    assert "+- audit-webhook-mode=batch" in refused.screen
    assert not [path for path in root.rglob("*") if path.is_file()]

    agreed = Terminal(tmp_path, *options)
    agreed.answer("Change this machine?", "y")
    assert agreed.end() == 0
    assert "systemctl restart k3s" in agreed.screen
    assert (root / "etc/rancher/k3s/config.yaml.d/99-tocsin.yaml").is_file()


def test_yes_asks_nothing_on_a_terminal_either(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "--yes")
    assert terminal.end() == 2
    assert "missing --advertise" in terminal.screen


@pytest.mark.parametrize("options", [(), ("--yes",), ("--json",), ("--cluster", "prod")])
def test_without_a_terminal_nothing_is_asked(
    tocsin: Commands, tmp_path: Path, options: tuple[str, ...]
) -> None:
    ran = tocsin("setup", *options)
    assert ran.code == 2
    assert "missing --advertise" in ran.err
    assert not list(tmp_path.iterdir())


def test_address_that_is_offered_is_one_to_connect_to() -> None:
    address = outbound_address()
    assert address is None or parse_endpoint(address).host == address
