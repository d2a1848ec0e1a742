"""Post recorded batches to a running Tocsin, as an API server would: for `demo` and `bench`."""

import ssl
import time
from pathlib import Path

import httpx2
import msgspec

from tocsin.connect.clusters import add_cluster
from tocsin.connect.pki import Authority, ensure_server_certificate
from tocsin.runtime.config import Config, load_config


def on_free_ports(folder: Path) -> Config:
    """Return a configuration with its data in `folder`, on free loopback ports."""
    config = load_config(None, {}, folder)
    return msgspec.structs.replace(
        config,
        webhook=msgspec.structs.replace(config.webhook, port=0),
        health=msgspec.structs.replace(config.health, port=0),
    )


class Poster:
    """An API server's side of the webhook: mutual TLS, one body per post."""

    def __init__(self, data: Path, cluster: str, port: int) -> None:
        """Connect `cluster` to the Tocsin that listens on a loopback port with this data folder."""
        pki = data / "pki"
        authority = Authority.load_or_create(pki)
        ensure_server_certificate(pki)
        client = authority.issue_client(cluster)
        add_cluster(data, cluster)
        context = ssl.create_default_context(cafile=str(authority.certificate_path))
        context.load_cert_chain(client.certificate, client.key)
        self._http = httpx2.AsyncClient(
            base_url=f"https://127.0.0.1:{port}",
            verify=context,
            headers={"Content-Type": "application/json"},
            timeout=30,
        )
        self._path = f"/v1/audit/{cluster}/recording"

    async def post(self, body: bytes) -> float:
        """Post one body and return the seconds until it was acknowledged.

        Raises:
            httpx2.HTTPError: it was not.
        """
        start = time.perf_counter()
        answer = await self._http.post(self._path, content=body)
        answer.raise_for_status()
        return time.perf_counter() - start

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
