"""Webhook kubeconfigs for a receiver of the test's own, and servers that are none."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import trustme
import yaml

from tests.unit.ingest.receiver import HOST, Pki


def write_webhook(
    folder: Path,
    url: str,
    ca: trustme.CA | None = None,
    certificate: trustme.LeafCert | None = None,
    cluster: Mapping[str, object] | None = None,
    user: Mapping[str, str] | None = None,
) -> Path:
    """Write a webhook kubeconfig with its files, as on a control-plane node."""
    server: dict[str, object] = {"server": url, **(cluster or {})}
    shown = dict(user or {})
    if ca is not None:
        ca.cert_pem.write_to_path(folder / "node-ca.crt")
        server["certificate-authority"] = "node-ca.crt"
    if certificate is not None:
        certificate.cert_chain_pems[0].write_to_path(folder / "node.crt")
        certificate.private_key_pem.write_to_path(folder / "node.key")
        (folder / "node.key").chmod(0o600)
        shown |= {"client-certificate": "node.crt", "client-key": "node.key"}
    document = {
        "kind": "Config",
        "clusters": [{"name": "tocsin", "cluster": server}],
        "users": [{"name": "apiserver", "user": shown}],
        "contexts": [{"name": "x", "context": {"cluster": "tocsin", "user": "apiserver"}}],
        "current-context": "x",
    }
    path = folder / "webhook.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@contextlib.contextmanager
def saying(answer: bytes, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a server that reads something and says `answer` to each connection; yield its port."""
    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=_answer_all, args=(listener, answer, tls), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        assert not thread.is_alive()


def server_context(pki: Pki) -> ssl.SSLContext:
    """Return the TLS settings of a server with the receiver's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.files.certificate, pki.files.key)
    return context


def _answer_all(listener: socket.socket, answer: bytes, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with contextlib.suppress(OSError), connection:
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            with connection:
                _read_request(connection, whole=tls is not None)
                connection.sendall(answer)


def _read_request(connection: socket.socket, *, whole: bool) -> None:
    """Read the head and the body of a request: what is left unread would reset the connection."""
    read = connection.recv(65536)
    while whole and not read.endswith(b"}"):
        piece = connection.recv(65536)
        if not piece:
            return
        read += piece
