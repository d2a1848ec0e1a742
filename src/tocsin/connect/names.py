"""Names a person gives: cluster, node, the address that API servers connect to.

They end up in URLs, certificates, file names and shell commands, so only what is legal in
all of these passes.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tocsin.model.errors import TocsinError

DEFAULT_PORT = 8080

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_LABEL_PATTERN = re.compile(_LABEL)
_DNS_NAME_PATTERN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_DNS_NAME_LIMIT = 253


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the webhook receiver is reached; `host` is a DNS name or an IP address."""

    host: str
    port: int

    @property
    def host_port(self) -> str:
        """`host:port` as in a URL; an IPv6 address stands in brackets there."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on the same machine reach it."""
        return self.host == "localhost" or (
            _is_address(self.host) and ipaddress.ip_address(self.host).is_loopback
        )

    @property
    def is_cluster_service(self) -> bool:
        """Whether it is the name of a service, which the cluster's own DNS alone resolves."""
        return self.host.endswith((".svc", ".svc.cluster.local"))


def check_cluster_name(name: str) -> str:
    """Return `name` if it is a DNS-1123 label."""
    if not _LABEL_PATTERN.fullmatch(name):
        message = (
            f"wrong cluster name {name!r}: use 1 to 63 lower-case letters, digits and '-', "
            "with a letter or digit at both ends"
        )
        raise TocsinError(message)
    return name


def check_node_name(name: str) -> str:
    """Return `name` if Kubernetes would allow it as the name of a node."""
    if not _is_dns_name(name):
        message = f"wrong node name {name!r}: give it as `kubectl get nodes` shows it"
        raise TocsinError(message)
    return name


def parse_endpoint(text: str) -> Endpoint:
    """Read HOST, HOST:PORT, or the same with an IPv6 address."""
    if _is_address(text):
        return Endpoint(_reachable(text), DEFAULT_PORT)
    host, port = _split(text)
    return Endpoint(_reachable(host), port)


def _split(text: str) -> tuple[str, int]:
    """Take `text` apart with the standard library's reading of a URL's authority."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    else:
        if parts.netloc != text or parts.username is not None or text.endswith(":"):
            host = None
    if not host or port == 0:
        message = (
            f"wrong address {text!r}: give HOST or HOST:PORT (a port from 1 to 65535), "
            "without https:// and without a path"
        )
        raise TocsinError(message)
    return host, port or DEFAULT_PORT


def _reachable(host: str) -> str:
    """Return `host` in its usual spelling, if a client could connect to it."""
    if _is_address(host):
        address = ipaddress.ip_address(host)
        if address.is_unspecified or address.is_multicast:
            message = (
                f"wrong host {host!r}: one can listen on it but not connect to it; "
                "give the address that API servers connect to"
            )
            raise TocsinError(message)
        return str(address)
    if not _is_dns_name(host) or host.rpartition(".")[2].isdigit():
        message = f"wrong host {host!r}: neither a DNS name nor an IP address"
        raise TocsinError(message)
    return host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # A zone ("fe80::1%eth0") means something on one machine only.
    return "%" not in text


def _is_dns_name(name: str) -> bool:
    return len(name) <= _DNS_NAME_LIMIT and _DNS_NAME_PATTERN.fullmatch(name) is not None
