"""Bar S8: who does not pass TLS gets no byte in, and rotating certificates loses nothing."""

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import trustme

from tests.unit.ingest.receiver import EVENTS, HOST, Receiver, running
from tocsin.ingest.senders import Cluster, Senders

POST = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """Run a webhook that knows certificates only."""
    with running(tmp_path) as receiver:
        receiver.app.senders = Senders([Cluster("prod")])
        yield receiver


def answer(receiver: Receiver, context: ssl.SSLContext) -> bytes:
    """Return what a post gets to read, b"" if the connection ends without an answer.

    In TLS 1.3 a client learns that its certificate is refused when it reads.
    """
    plain = socket.create_connection((HOST, receiver.port), 5)
    try:
        with context.wrap_socket(plain, server_hostname=HOST) as connection:
            connection.sendall(POST)
            return connection.recv(4096)
    except (ConnectionError, ssl.SSLError):
        return b""


def assert_refused(receiver: Receiver, context: ssl.SSLContext) -> None:
    assert answer(receiver, context) == b""
    assert receiver.posts() == []
    while not receiver.count("refused_total", reason="tls"):
        pass


def test_s8_the_right_certificate(receiver: Receiver) -> None:
    context = receiver.pki.client(receiver.pki.issue())
    assert answer(receiver, context).startswith(b"HTTP/1.1 200 ")


def test_s8_no_certificate(receiver: Receiver) -> None:
    assert_refused(receiver, receiver.pki.client())


def test_s8_wrong_ca(receiver: Receiver) -> None:
    stranger = trustme.CA().issue_cert(common_name="prod", organization_name="tocsin:cluster")
    assert_refused(receiver, receiver.pki.client(stranger))


def test_s8_wrong_ca_where_tokens_are_enough(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        stranger = trustme.CA().issue_cert(common_name="prod", organization_name="tocsin:cluster")
        assert_refused(receiver, receiver.pki.client(stranger))


def test_s8_expired(receiver: Receiver) -> None:
    expired = receiver.pki.issue(not_after=datetime.now(UTC) - timedelta(days=1))
    assert_refused(receiver, receiver.pki.client(expired))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_s8_old_tls(receiver: Receiver, version: ssl.TLSVersion) -> None:
    context = receiver.pki.client(receiver.pki.issue())
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    assert_refused(receiver, context)


def test_s8_plaintext(receiver: Receiver) -> None:
    with socket.create_connection((HOST, receiver.port), 5) as plain:
        plain.sendall(POST)
        reply = plain.recv(4096)
    assert not reply.startswith(b"HTTP/")
    assert receiver.posts() == []


def test_s8_rotation_under_load_drops_no_batch(receiver: Receiver) -> None:
    """The server's certificate, then its CA, then the CA of the clients change meanwhile."""
    pki = receiver.pki
    new_ca = trustme.CA()
    context = pki.client(pki.issue())
    new_ca.configure_trust(context)
    stopping = threading.Event()
    answers: list[int] = []

    def send() -> None:
        kept = httpx2.Client(base_url=receiver.url, verify=context, trust_env=False)
        with kept:
            while not stopping.is_set():
                answers.append(kept.post("/", content=EVENTS).status_code)
                fresh = httpx2.post(receiver.url, content=EVENTS, verify=context, trust_env=False)
                answers.append(fresh.status_code)

    sender = threading.Thread(target=send)
    sender.start()
    for ca in (pki.server_ca, new_ca, pki.server_ca, new_ca):
        seen = len(answers)
        pki.write_server(ca)
        while len(answers) < seen + 10:
            assert sender.is_alive()
    stopping.set()
    sender.join()
    assert set(answers) == {200}
    assert len(receiver.posts()) == len(answers)

    assert_certificate(receiver, new_ca)
    replaced = trustme.CA()
    replaced.cert_pem.write_to_path(pki.files.client_ca)
    old = pki.client(pki.issue())
    new_ca.configure_trust(old)
    assert answer(receiver, old) == b""


def assert_certificate(receiver: Receiver, ca: trustme.CA) -> None:
    """The server shows a certificate of `ca` now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    receiver.pki.issue().configure_cert(context)
    assert answer(receiver, context).startswith(b"HTTP/1.1 200 ")
