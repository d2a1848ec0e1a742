import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from tests.unit.cli.commandline import Commands

SECRET = "a-secret-of-the-channel"


class Sink(ThreadingHTTPServer):
    """A receiver on loopback: answers 204, below /no 403."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Sink)
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        refused = self.path.startswith("/no")
        self.send_response(403 if refused else 204)
        answer = b"go [bold]away[/bold] \x1b[2J" if refused else b""
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def config(tmp_path: Path, sink: Sink) -> Path:
    path = tmp_path / "tocsin.yaml"
    path.write_text(
        "notify:\n"
        f"  soar: {{type: webhook, url: '{sink.url}/{SECRET}', secret: {SECRET}}}\n"
        f"  chat: {{type: slack, url: '{sink.url}/no/{SECRET}'}}\n"
        f"  am: {{type: alertmanager, url: '{sink.url}'}}\n"
        f"  gone: {{type: slack, url: 'http://127.0.0.1:1/{SECRET}'}}\n"
    )
    return path


def test_a_channel_that_works(tocsin: Commands, config: Path, sink: Sink) -> None:
    ran = tocsin("notify", "test", "soar", "-c", config)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("soar: delivered: HTTP 204 (after ")
    [body] = sink.bodies
    assert json.loads(body)["type"] == "alert"


def test_a_channel_that_refuses(tocsin: Commands, config: Path) -> None:
    ran = tocsin("notify", "test", "chat", "-c", config)
    assert ran.code == 1
    assert ran.out.startswith("chat: failed: HTTP 403: go [bold]away[/bold]")
    assert ran.out.rstrip("\n").isprintable()


def test_a_channel_that_is_not_there(tocsin: Commands, config: Path) -> None:
    ran = tocsin("notify", "test", "gone", "-c", config)
    assert ran.code == 1
    assert "gone: failed: 127.0.0.1:1: the connection was refused" in ran.out


def test_every_channel_is_tried(tocsin: Commands, config: Path, sink: Sink) -> None:
    ran = tocsin("notify", "test", "-c", config)
    assert ran.code == 1
    assert [line.split(":")[:2] for line in ran.out.splitlines()] == [
        ["soar", " delivered"],
        ["chat", " failed"],
        ["am", " delivered"],
        ["gone", " failed"],
    ]
    assert len(sink.bodies) == 3
    assert SECRET not in ran.out


def test_no_channel_is_configured(tocsin: Commands) -> None:
    ran = tocsin("notify", "test")
    assert ran.code == 2
    assert "no channel is configured: name one under `notify`" in ran.err


def test_an_unknown_channel(tocsin: Commands, config: Path) -> None:
    ran = tocsin("notify", "test", "pager", "-c", config)
    assert ran.code == 2
    assert ran.err == ("tocsin: there is no channel 'pager'; there are: soar, chat, am, gone\n")


def test_a_wrong_configuration(tocsin: Commands, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("notify: {a: {type: slack}}\n")
    ran = tocsin("notify", "test", "-c", "bad.yaml")
    assert ran.code == 2
    assert ran.err == ("tocsin: bad.yaml:1: Object missing required field `url` (notify.a)\n")
