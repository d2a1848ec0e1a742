import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from tests.unit.cli.commandline import Commands
from tests.unit.notify.stories import group, make_incident
from tests.unit.store.samples import make_alert, with_severity
from tocsin.store import join_store, own_store

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
    assert json.loads(body)["reason"] == "test"


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


ROUTED = """notify:
  pager: {type: pagerduty, routing_key: R, min_severity: high}
  chat: {type: slack, url: 'https://hooks.example/x'}
  mail: {type: email, host: mail.example, sender: t@example.org, to: [o@example.org]}
routes:
  - {clusters: [staging], to: [mail]}
  - {min_severity: critical, to: [pager], continue: true}
  - {to: [chat, pager]}
"""


@pytest.fixture
def routed(tmp_path: Path) -> Path:
    path = tmp_path / "routed.yaml"
    path.write_text(ROUTED)
    with own_store(tmp_path / "tocsin-data" / "tocsin.db", {}, 1.0) as store:
        store.record([make_alert("a1")], {}, 1.0)
        store.record([make_alert("s1", cluster="staging")], {}, 1.0)
        store.record([with_severity(make_alert("m1"), "medium")], {}, 1.0)
    return path


def test_who_would_be_told(tocsin: Commands, routed: Path) -> None:
    ran = tocsin("notify", "route", "a1", "-c", routed)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "alert a1 [high] Privileged pod created",
        "routes[2] in the configuration matches:",
        "  pager: told",
        "  chat: told",
        "  mail: not told: the route does not name it",
    ]
    medium = tocsin("notify", "route", "m1", "-c", routed).out.splitlines()
    assert medium[2] == "  pager: not told: it wants high or worse"


def test_the_incident_decides_where_it_is_worse(
    tocsin: Commands, routed: Path, tmp_path: Path
) -> None:
    with join_store(tmp_path / "tocsin-data" / "tocsin.db") as store:
        group(store, make_incident("i1", severity="critical", title="bad\x1b[2J"))
    ran = tocsin("notify", "route", "m1", "-c", routed)
    assert ran.out.splitlines()[1:5] == [
        r"of incident i1 [critical] bad\x1b[2J",
        "the incident is worse than the alert, and told by its own severity",
        "routes[1], routes[2] in the configuration match:",
        "  pager: told",
    ]
    ran = tocsin("notify", "route", "s1", "-c", routed, "--json")
    assert json.loads(ran.out) == {
        "alert": "s1",
        "incident": "i1",
        "severity": "critical",
        "routes": [0],
        "channels": ["mail"],
    }


def test_an_unknown_alert(tocsin: Commands, routed: Path) -> None:
    ran = tocsin("notify", "route", "nope", "-c", routed)
    assert ran.code == 2
    assert "there is no alert 'nope'" in ran.err
