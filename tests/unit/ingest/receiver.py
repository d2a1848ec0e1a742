"""A webhook as it runs in production, TLS and spool included, in a thread of its own."""

import asyncio
import contextlib
import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path

import httpx2
import msgspec
import trustme
import uvloop
from prometheus_client import CollectorRegistry
from typing_extensions import override

from tocsin.ingest.metrics import IngestMetrics
from tocsin.ingest.seal import Sealer
from tocsin.ingest.senders import CLUSTER_ORGANISATION, Cluster, Senders
from tocsin.ingest.server import WebhookServer, serve_webhook
from tocsin.ingest.spool import (
    Post,
    PostMeta,
    SpoolReader,
    SpoolUnavailable,
    SpoolWriter,
    Upload,
)
from tocsin.ingest.tls import TlsSettings
from tocsin.ingest.webhook import Webhook, WebhookSettings

HOST = "127.0.0.1"
TOKEN = "a-token-of-prod"
EVENTS = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[]}'

SENDERS = Senders([Cluster("prod", (hashlib.sha256(TOKEN.encode()).hexdigest(),)), Cluster("test")])

_SEALER = Sealer(bytes(32))


class Pki:
    """The server's CA and the CA of client certificates, with their files."""

    def __init__(self, directory: Path) -> None:
        self.server_ca = trustme.CA()
        self.client_ca = trustme.CA()
        self.files = TlsSettings(
            str(directory / "tls.crt"), str(directory / "tls.key"), str(directory / "ca.crt")
        )
        self.write_server()
        self.client_ca.cert_pem.write_to_path(self.files.client_ca)

    def write_server(self, ca: trustme.CA | None = None) -> None:
        """Write a new certificate for the server, over the one it may be using."""
        issued = (ca or self.server_ca).issue_cert(HOST)
        issued.cert_chain_pems[0].write_to_path(self.files.certificate)
        issued.private_key_pem.write_to_path(self.files.key)

    def issue(
        self,
        cluster: str = "prod",
        organisation: str = CLUSTER_ORGANISATION,
        not_after: datetime | None = None,
    ) -> trustme.LeafCert:
        """Issue a client certificate."""
        return self.client_ca.issue_cert(
            common_name=cluster, organization_name=organisation, not_after=not_after
        )

    def client(self, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """Return the TLS settings of a client that trusts the server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.server_ca.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return context


class Receiver:
    """A running webhook; `spool` may be replaced by one that misbehaves."""

    def __init__(
        self,
        directory: Path,
        pki: Pki,
        settings: WebhookSettings,
        spool: SpoolWriter,
        sockets: Sequence[socket.socket] | None = None,
    ) -> None:
        self.pki = pki
        self.registry = CollectorRegistry()
        self.directory = directory
        metrics = IngestMetrics(self.registry)
        self.app = Webhook(spool, SENDERS, settings, metrics)
        self._seen = 0
        self._counted: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        self.server: WebhookServer = serve_webhook(self.app, sockets)
        self.port: int = self.server.addresses[0][1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def client(self, certificate: trustme.LeafCert | None = None) -> httpx2.Client:
        """Return an HTTP client with a certificate of cluster `prod`, or the one given."""
        context = self.pki.client(certificate or self.pki.issue())
        return httpx2.Client(base_url=self.url, verify=context, timeout=30, trust_env=False)

    def token_client(self, token: str | None = TOKEN) -> httpx2.Client:
        """Return an HTTP client without a certificate."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        context = self.pki.client()
        return httpx2.Client(base_url=self.url, verify=context, headers=headers, trust_env=False)

    def connect(
        self, certificate: trustme.LeafCert | None = None, source: str = HOST
    ) -> ssl.SSLSocket:
        """Return a raw TLS connection; by default without a client certificate."""
        plain = socket.create_connection((HOST, self.port), 5, (source, 0))
        return self.pki.client(certificate).wrap_socket(plain, server_hostname=HOST)

    def posts(self) -> list[Post]:
        """Return what came into the spool since `reset`."""
        found: list[Post] = []
        reader = SpoolReader(self.directory, _SEALER, "test")
        while items := reader.read(found[-1].seq if found else self._seen):
            found += [item for item in items if isinstance(item, Post)]
        return found

    def count(self, name: str, **labels: str) -> float:
        """Return by how much a metric grew since `reset`."""
        name = f"tocsin_ingest_{name}"
        before = self._counted.get((name, frozenset(labels.items())), 0)
        return (self.registry.get_sample_value(name, labels) or 0) - before

    def reset(self) -> None:
        """Be as good as new for the next test."""
        self._seen = max((post.seq for post in self.posts()), default=self._seen)
        self.app.senders = SENDERS
        self._counted = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.registry.collect()
            for sample in family.samples
        }

    def stop(self) -> None:
        """Stop as on SIGTERM, and wait."""
        self.server.should_exit = True
        self._thread.join(timeout=8)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.server.serve())


class FakeSpool(SpoolWriter):
    """A spool in memory that stalls or fails on demand."""

    def __init__(self, *, fails: bool = False, stalls: bool = False) -> None:
        self.fails = fails
        self.stored: list[bytes] = []
        self.aborted = 0
        self.released = threading.Event()
        if not stalls:
            self.released.set()

    @override
    def append(self, meta: PostMeta, body: bytes) -> Future[int]:
        upload = self.upload(meta)
        upload.write(body)
        return upload.commit()

    @override
    def upload(self, meta: PostMeta) -> Upload:
        return _FakeUpload(meta, self)


class _FakeUpload(Upload):
    def __init__(self, meta: PostMeta, spool: FakeSpool) -> None:
        self._spool = spool
        self._body = bytearray()

    @override
    def write(self, piece: bytes) -> Future[None]:
        self._body += piece
        future: Future[None] = Future()
        future.set_result(None)
        return future

    @override
    def commit(self) -> Future[int]:
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()
        threading.Thread(target=self._finish, args=(future,)).start()
        return future

    @override
    def abort(self) -> None:
        self._spool.aborted += 1

    def _finish(self, future: Future[int]) -> None:
        self._spool.released.wait()
        if self._spool.fails:
            future.set_exception(SpoolUnavailable("the disk is full"))
        else:
            self._spool.stored.append(bytes(self._body))
            future.set_result(len(self._spool.stored))


@contextlib.contextmanager
def running(
    directory: Path,
    spool: SpoolWriter | None = None,
    sockets: Sequence[socket.socket] | None = None,
    **settings: object,
) -> Iterator[Receiver]:
    """Run a receiver with its files under `directory`, and stop it as on SIGTERM."""
    pki = Pki(directory)
    configured = msgspec.structs.replace(WebhookSettings(tls=pki.files, port=0), **settings)
    with contextlib.ExitStack() as stack:
        if spool is None:
            spool = SpoolWriter(directory / "spool", _SEALER)
            stack.callback(spool.close)
        receiver = Receiver(directory / "spool", pki, configured, spool, sockets)
        stack.callback(receiver.stop)
        yield receiver
