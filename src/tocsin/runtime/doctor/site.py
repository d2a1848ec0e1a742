"""The address that a webhook kubeconfig names, and the commands that would make it anew."""

import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from tocsin.connect.names import Endpoint
from tocsin.ingest.webhook import read_path

_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Site:
    """Where batches go: `path` as it is sent, `cluster` and `node` as Tocsin reads them there."""

    endpoint: Endpoint
    path: str
    cluster: str | None
    node: str | None

    @property
    def setup(self) -> str:
        """The command that writes the files for this cluster anew."""
        return (
            f"tocsin setup --advertise {shlex.quote(self.endpoint.host_port)} "
            f"--cluster {shlex.quote(self.cluster or 'NAME')}"
        )

    @property
    def anew(self) -> str:
        """What to do where the files themselves are wrong."""
        return f"on Tocsin's machine: {self.setup}, then copy its files to this node"


def read_site(url: str) -> Site | str:
    """Return what `server:` of a kubeconfig says, or what is wrong with it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"`server: {url}` is no URL: {error}"
    if parts.scheme != "https" or not host:
        return f"`server: {url}` does not begin with https://HOST"
    cluster, node = read_path(parts.path)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Site(Endpoint(host, port or _HTTPS_PORT), path, cluster, node)
