import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from typing_extensions import override

from tocsin.model.errors import TocsinError
from tocsin.runtime.apiserver import ApiServer, UnreachableError


@dataclass
class Server:
    """A server over TLS that answers with what it was asked."""

    ca: trustme.CA
    url: str
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    status: int = 200
    body: bytes = b"hello"


@contextmanager
def serving(ca: trustme.CA) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "kubernetes").configure_cert(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    ca.configure_trust(context)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.requests.append((self.path, dict(self.headers)))
            self.send_response(answers.status)
            self.send_header("Content-Length", str(len(answers.body)))
            self.end_headers()
            self.wfile.write(answers.body)

        @override
        def log_message(self, format: str, *args: object) -> None:
            del format, args

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    answers = Server(ca, f"https://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield answers
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(ca: trustme.CA) -> Iterator[Server]:
    with serving(ca) as running:
        yield running


def inline(data: bytes) -> str:
    return base64.b64encode(data).decode()


def kubeconfig(folder: Path, at: Server, user: object = None, **cluster: object) -> Path:
    """Write a kubeconfig for the server and return its path."""
    trusted = {"certificate-authority-data": inline(at.ca.cert_pem.bytes())}
    path = folder / "config"
    path.write_text(
        json.dumps(
            {
                "kind": "Config",
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": at.url, **trusted, **cluster}}],
                "users": [{"name": "u", "user": user or {}}],
            }
        )
    )
    return path


def test_a_request_with_its_audit_id(server: Server, tmp_path: Path) -> None:
    api = ApiServer.from_kubeconfig(kubeconfig(tmp_path, server, {"token": "secret"}))
    answer = api.get("/metrics?x=1", audit_id="tocsin-1")
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.date
    ((path, headers),) = server.requests
    assert path == "/metrics?x=1"
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Audit-ID"] == "tocsin-1"
    assert headers["User-Agent"].startswith("tocsin/")


def test_an_error_is_an_answer_too(server: Server, tmp_path: Path) -> None:
    server.status = 403
    assert ApiServer.from_kubeconfig(kubeconfig(tmp_path, server)).get("/").status == 403
    assert "Audit-ID" not in server.requests[0][1]


def test_a_renewed_token_is_read_again(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    api = ApiServer.from_kubeconfig(kubeconfig(tmp_path, server, {"tokenFile": "token"}))
    for text in ("first\n", "second\n"):
        token.write_text(text)
        api.get("/")
    sent = [headers["Authorization"] for _, headers in server.requests]
    assert sent == ["Bearer first", "Bearer second"]


def test_a_client_certificate_inline(server: Server, tmp_path: Path) -> None:
    pair = server.ca.issue_cert("admin").private_key_and_cert_chain_pem.bytes()
    user = {"client-certificate-data": inline(pair), "client-key-data": inline(pair)}
    assert ApiServer.from_kubeconfig(kubeconfig(tmp_path, server, user)).get("/").status == 200


def test_the_name_of_the_server_can_be_given(server: Server, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, server, **{"tls-server-name": "kubernetes"})
    assert ApiServer.from_kubeconfig(path).get("/").status == 200
    path = kubeconfig(tmp_path, server, **{"tls-server-name": "other"})
    with pytest.raises(UnreachableError, match=r"TLS problem: .*mismatch"):
        ApiServer.from_kubeconfig(path).get("/")


def test_a_server_of_another_authority_is_not_asked(server: Server, tmp_path: Path) -> None:
    other = {"certificate-authority-data": inline(trustme.CA().cert_pem.bytes())}
    api = ApiServer.from_kubeconfig(kubeconfig(tmp_path, server, {"token": "secret"}, **other))
    with pytest.raises(UnreachableError, match=r"TLS problem: .*(verif|self-signed|issuer)"):
        api.get("/")
    assert not server.requests


def test_nobody_answers(server: Server, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server.url = f"https://127.0.0.1:{closed.getsockname()[1]}"
        api = ApiServer.from_kubeconfig(kubeconfig(tmp_path, server))
        with pytest.raises(
            UnreachableError, match=r"no answer from .*: the connection was refused"
        ):
            api.get("/")


def test_an_answer_without_end_is_cut_off(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.runtime.apiserver._MAX_BODY", 100)
    server.body = b"x" * 101
    with pytest.raises(UnreachableError, match="larger than 100 bytes"):
        ApiServer.from_kubeconfig(kubeconfig(tmp_path, server)).get("/")


@pytest.mark.parametrize(
    ("user", "cluster", "message"),
    [
        ({"exec": {"command": "aws"}}, {}, "uses exec, which Tocsin does not support"),
        ({}, {"proxy-url": "http://p"}, "uses proxy-url, which Tocsin does not support"),
        ({}, {"insecure-skip-tls-verify": True}, "anybody could take the credential"),
        ({}, {"server": "http://x"}, "is no https:// address"),
    ],
)
def test_what_is_not_supported_is_said(
    server: Server, tmp_path: Path, user: object, cluster: dict[str, object], message: str
) -> None:
    path = kubeconfig(tmp_path, server, user, **cluster)
    with pytest.raises(TocsinError, match=message) as caught:
        ApiServer.from_kubeconfig(path)
    assert str(caught.value).startswith(f"{path}: ")
