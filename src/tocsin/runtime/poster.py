"""Post batches of events to a running Tocsin, as an API server would.

For `demo`, `bench` and `backfill`. Where to, and how the server and we prove who we are, is a
`Destination`: made from Tocsin's own data folder on its machine, or from a webhook kubeconfig
on a control-plane node.
"""

import ipaddress
import ssl
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx2

from tocsin.connect.clienttls import client_context
from tocsin.connect.clusters import known_cluster
from tocsin.connect.keypair import KeyPair, save_pair
from tocsin.connect.kubeconfig import WebhookTarget
from tocsin.connect.pki import Authority
from tocsin.ingest.webhook import WebhookSettings
from tocsin.model.errors import TocsinError

# As long as an API server waits for its answer.
TIMEOUT_SECONDS = 30

_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to post, and how both sides prove who they are.

    `server_name` is the name that the server's certificate must bear where it is not the
    URL's host.
    """

    url: str
    tls: ssl.SSLContext
    token: str | None = None
    server_name: str | None = None


def own_receiver(
    data: Path, cluster: str, node: str | None, webhook: WebhookSettings
) -> Destination:
    """Return the receiver on this machine, reached as the known cluster `cluster`.

    The server is known by the very certificate that lies on its disk, so any name that it
    listens on will do. We show a certificate of the cluster that nobody else gets.

    Raises:
        TocsinError: the cluster is not known or revoked, the receiver takes certificates of
            another authority than ours, or a file cannot be read.
    """
    known = known_cluster(data, cluster)
    if known.revoked:
        message = f"cluster {cluster!r} is revoked: nothing is taken for it any more"
        raise TocsinError(message)
    authority = Authority.load_or_create(data / "pki")
    if Path(webhook.tls.client_ca).resolve() != authority.certificate_path.resolve():
        message = (
            f"the webhook takes certificates of {webhook.tls.client_ca}, which is not ours to "
            "issue: send with a webhook kubeconfig (--webhook)"
        )
        raise TocsinError(message)
    tls = _context(Path(webhook.tls.certificate))
    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    tls.check_hostname = False
    _show(tls, authority.issue_passing_client(cluster))
    path = f"/v1/audit/{cluster}/{node}" if node else f"/v1/audit/{cluster}"
    return Destination(f"https://{_address(webhook.host, webhook.port)}{path}", tls)


def webhook_receiver(target: WebhookTarget) -> Destination:
    """Return the receiver that an API server's webhook kubeconfig leads to.

    Raises:
        TocsinError: a file it names cannot be read, or what it says cannot be used here.
    """
    url = target.url if "://" in target.url else f"https://{target.url}"
    try:
        scheme = httpx2.URL(url).scheme
    except httpx2.InvalidURL as error:
        message = f"the server {target.url!r} is no address: {error}"
        raise TocsinError(message) from error
    if scheme != "https":
        message = f"the server {target.url} is not https: Tocsin takes events over TLS only"
        raise TocsinError(message)
    if target.unused:
        message = f"the webhook kubeconfig uses {', '.join(target.unused)}, which is not supported"
        raise TocsinError(message)
    tls = client_context(target, verify=not target.insecure)
    return Destination(url, tls, _token(target), target.tls_server_name)


class Poster:
    """An API server's side of the webhook: one body per post."""

    def __init__(self, destination: Destination, *, source: str | None = None) -> None:
        """Post to `destination`; `source` marks the posts, as `backfill`."""
        headers = {"Content-Type": "application/json"}
        if destination.token is not None:
            headers["Authorization"] = f"Bearer {destination.token}"
        self.url = destination.url
        self._http = httpx2.AsyncClient(
            verify=destination.tls, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False
        )
        self._query = {"source": source} if source else None
        name = destination.server_name
        self._extensions = {"sni_hostname": name} if name else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def send(self, body: bytes) -> httpx2.Response:
        """Post one body and return the answer, whatever it is.

        Raises:
            httpx2.HTTPError: there was none.
        """
        return await self._http.post(
            self.url, content=body, params=self._query, extensions=self._extensions
        )

    async def post(self, body: bytes) -> float:
        """Post one body and return the seconds until it was acknowledged.

        Raises:
            httpx2.HTTPError: it was not.
        """
        start = time.perf_counter()
        answer = await self.send(body)
        answer.raise_for_status()
        return time.perf_counter() - start

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _address(host: str, port: int) -> str:
    host = _ANY_ADDRESS.get(host, host)
    try:
        is_v6 = ipaddress.ip_address(host).version == 6  # noqa: PLR2004 - the version's own number
    except ValueError:
        is_v6 = False
    return f"[{host}]:{port}" if is_v6 else f"{host}:{port}"


def _context(authority: Path) -> ssl.SSLContext:
    """Return the settings of a client that trusts one file of certificates and no other."""
    try:
        return ssl.create_default_context(cafile=str(authority))
    except OSError as error:
        message = f"{authority} cannot be read as a certificate: {error}"
        raise TocsinError(message) from error


def _show(tls: ssl.SSLContext, client: KeyPair) -> None:
    """Show this certificate; the ssl module takes such pairs from files only."""
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        certificate, key = Path(folder) / "client.crt", Path(folder) / "client.key"
        save_pair(client, certificate, key)
        tls.load_cert_chain(certificate, key)


def _token(target: WebhookTarget) -> str | None:
    if target.token is None:
        return None
    token = target.token.read().decode(errors="replace").strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        message = f"{target.token.path or target.token.key} holds no bearer token"
        raise TocsinError(message)
    return token
