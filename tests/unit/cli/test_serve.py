import importlib
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import httpx2
import pytest

from tests.unit.cli.commandline import EXECUTABLE, Commands, Ran, environment
from tests.unit.runtime.rulefiles import rule
from tocsin.connect.clusters import add_cluster
from tocsin.connect.credentials import revoke
from tocsin.runtime.config import Config

# The package has the function under this name.
module = importlib.import_module("tocsin.cli.serve")


class Recorded:
    """Stands in for the supervisor: notes its configuration and ends at once."""

    webhook_port = 4711
    health_port = 4712
    web_url = "https://127.0.0.1:4713"
    configs: ClassVar[list[Config]] = []

    def __init__(self, config: Config) -> None:
        self.configs.append(config)

    def stop(self) -> None:
        pass

    reload = stop

    async def run(self) -> None:
        pass


@pytest.fixture
def serve(
    tocsin: Commands, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Ran, list[Config]]]:
    monkeypatch.setattr(module, "Supervisor", Recorded)
    monkeypatch.setattr(module, "configure_logs", lambda _: None)
    monkeypatch.setattr(Recorded, "configs", [])

    def run(*arguments: object) -> tuple[Ran, list[Config]]:
        return tocsin("serve", *arguments), Recorded.configs

    return run


Serve = Callable[..., tuple[Ran, list[Config]]]


def test_without_a_configuration_it_listens_on_loopback(serve: Serve, tmp_path: Path) -> None:
    ran, [config] = serve()
    assert (ran.code, ran.out) == (0, "")
    assert (config.webhook.host, config.webhook.port) == ("127.0.0.1", 8080)
    assert (tmp_path / "tocsin-data/pki/server.crt").exists()
    assert (tmp_path / "tocsin-data/pki/server.key").stat().st_mode & 0o777 == 0o600
    greeting = ran.err
    assert "listening on https://127.0.0.1:4711" in greeting
    assert "dashboard: https://127.0.0.1:4713\n" in greeting
    assert "http://127.0.0.1:4712/readyz" in greeting
    assert f"data: {tmp_path}/tocsin-data" in greeting
    assert "no cluster is connected yet: run `tocsin setup" in greeting
    assert "nobody is notified" in greeting


def test_the_command_line_stands_over_the_configuration(serve: Serve, tmp_path: Path) -> None:
    text = "data: x\nwebhook: {host: 10.0.0.1, port: 1}\nnotify: {a: {type: slack, url: 'https://x'}}\n"
    (tmp_path / "tocsin.yaml").write_text(text)
    add_cluster(tmp_path / "own", "prod")
    ran, [config] = serve(
        "-c", "tocsin.yaml", "--data", "own", "--host", "127.0.0.2", "--port", "0"
    )
    assert (config.data, config.webhook.host, config.webhook.port) == ("own", "127.0.0.2", 0)
    assert config.webhook.tls.certificate == "own/pki/server.crt"
    assert "clusters: prod" in ran.err
    assert "nobody is notified" not in ran.err
    assert not (tmp_path / "x").exists()


def test_open_networks_and_revoked_clusters_are_told(serve: Serve, tmp_path: Path) -> None:
    text = "webhook: {allow_unauthenticated_from: [10.0.0.0/8]}\n"
    (tmp_path / "tocsin.yaml").write_text(text)
    for name in ("prod", "gone"):
        add_cluster(tmp_path / "tocsin-data", name)
    revoke(tmp_path / "tocsin-data", "gone", datetime.now(UTC))
    ran, _ = serve("-c", "tocsin.yaml")
    assert "clusters: prod\n" in ran.err
    assert "10.0.0.0/8 are let in without proof as cluster 'default'" in ran.err
    ran, _ = serve()
    assert "without proof" not in ran.err


def test_the_first_start_and_the_second_show_the_same_certificate(
    serve: Serve, tmp_path: Path
) -> None:
    serve()
    before = (tmp_path / "tocsin-data/pki/server.crt").read_bytes()
    serve()
    assert (tmp_path / "tocsin-data/pki/server.crt").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules: [bad.yml]\n", "tocsin: bad.yml:"),
        ("rules: [gone]\n", "tocsin: gone: no such rule file or folder"),
        ("webhok: {}\n", "tocsin: tocsin.yaml:1: "),
        ("webhook: {port: 65536}\n", "tocsin: tocsin.yaml:1: "),
    ],
)
def test_what_is_wrong_stops_it_before_any_process(
    serve: Serve, tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "bad.yml").write_text(rule().replace("condition: selection", "condition: x"))
    (tmp_path / "tocsin.yaml").write_text(text)
    ran, configs = serve("-c", "tocsin.yaml")
    assert not configs
    assert ran.code == 2
    assert ran.err.startswith(problem)
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_is_none_is_wrong_use(serve: Serve, port: str) -> None:
    ran, configs = serve("--port", port)
    assert ran.code == 2
    assert "--port" in ran.err
    assert not configs


def test_a_port_that_is_taken(tocsin: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "configure_logs", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = tocsin("serve", "--port", port)
    assert ran.code == 2
    assert ran.err.startswith(f"tocsin: cannot listen on 127.0.0.1 port {port}: Address already")
    assert ran.err.count("\n") == 1


def is_ready(url: str) -> bool:
    return httpx2.get(url).status_code == 200


@pytest.mark.robustness
@pytest.mark.timeout(60)
def test_it_starts_gets_ready_and_stops(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [EXECUTABLE, "serve", "--port", "0", "--dashboard-port", "0"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        env=environment(TOCSIN__HEALTH__PORT="0"),
    )
    timer = threading.Timer(50, process.kill)
    timer.start()
    with process:
        assert process.stderr is not None
        process.stderr.readline()
        process.stderr.readline()
        found = re.search(rb"http://\S+/readyz", process.stderr.readline())
        assert found
        url = found[0].decode()
        while not is_ready(url):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        log = process.stderr.read()
        assert process.wait() == 0
    timer.cancel()
    assert b"ERROR" not in log
    assert b"Traceback" not in log
