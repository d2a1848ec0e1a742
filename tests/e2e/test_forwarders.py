"""The ready configurations of log forwarders, in the real programs, where they are installed."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.robustness.harness import HOST, Tocsin, running
from tests.robustness.traffic import Traffic
from tocsin.connect.apiserver import NodePaths
from tocsin.connect.connection import Connection
from tocsin.connect.forwarders import forwarder_files
from tocsin.connect.names import parse_endpoint

CLUSTER = "forwarded"
COMMANDS = {"vector": ("vector", "--config"), "fluent-bit": ("fluent-bit", "-c")}
EVENTS = 40


@pytest.mark.e2e
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_rotating_log_arrives_whole(tmp_path: Path, name: str) -> None:
    program = shutil.which(COMMANDS[name][0])
    if program is None:
        pytest.skip(f"{name} is not installed")
    log = tmp_path / "log" / "audit.log"
    log.parent.mkdir()
    with running(tmp_path / "tocsin") as tocsin:
        config = configure(tocsin, name, tmp_path)
        token = (config.parent / "token").read_text().strip()
        command = [program, COMMANDS[name][1], str(config)]
        with (tmp_path / "forwarder.log").open("wb") as output:
            forwarder = subprocess.Popen(
                command,
                env={**os.environ, "TOCSIN_TOKEN": token},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            write_and_rotate(tocsin, log)
            wanted = 4 * EVENTS
            tocsin.wait_for(lambda: marked(tocsin) >= wanted, "events are missing", 90)
            assert marked(tocsin) == wanted
        finally:
            forwarder.terminate()
            forwarder.wait(30)
        assert tocsin.quarantined() == []


def configure(tocsin: Tocsin, name: str, folder: Path) -> Path:
    """Write the configuration beside its token and CA; its state goes to a folder of the test."""
    files = tocsin.connect_cluster(CLUSTER, "token")
    state = folder / "state"
    state.mkdir()
    connection = Connection(
        CLUSTER,
        parse_endpoint(f"{HOST}:{tocsin.port}"),
        credential="token",
        paths=NodePaths(str(files), str(folder / "log")),
    )
    contents = {file.name: file.content.decode() for file in forwarder_files(connection)}
    path = files / f"{name}.yaml"
    text = contents[f"forwarders/{name}.yaml"]
    path.write_text(text.replace(f"/var/lib/{name}/tocsin", str(state)))
    return path


def write_and_rotate(tocsin: Tocsin, log: Path) -> None:
    """Write four times, with a rotation and an outage in between."""
    traffic = Traffic("forwarder", 1)
    append(log, [traffic.event(marked=True) for _ in range(EVENTS)])
    time.sleep(3)
    append(log, [traffic.event(marked=True) for _ in range(EVENTS)])
    log.rename(log.with_name("audit-2026-01-01T00-00-00.001.log"))
    append(log, [traffic.event(marked=True) for _ in range(EVENTS)])
    assert tocsin.stop()[0] == 0
    append(log, [traffic.event(marked=True) for _ in range(EVENTS)])
    time.sleep(5)
    tocsin.start()


def append(log: Path, items: Sequence[bytes]) -> None:
    with log.open("ab") as file:
        file.writelines(
            b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",' + one[1:] + b"\n" for one in items
        )


def marked(tocsin: Tocsin) -> int:
    return sum(alert.rule.title == "Marked by a test" for alert in tocsin.alerts())
