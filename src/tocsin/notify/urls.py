"""Where notifications may go, and how an address is shown.

Addresses come from the operator's own configuration, and an Alertmanager is usually inside the
cluster; so private addresses are allowed. Never allowed is what no notification is ever meant
for: link-local and cloud metadata addresses, which hand out credentials.
"""

import string
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote

import httpx2

# Metadata services outside the link-local range: Alibaba, Oracle, AWS and Google over IPv6.
_METADATA = frozenset(
    ip_address(text) for text in ("100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)

_HOST_CHARS = frozenset(f"{string.ascii_letters}{string.digits}.-_:".encode())
_LAST_PORT = 65535


def check_url(url: str) -> None:
    """Refuse an address that a notification must not go to.

    Raises:
        ValueError: says why, without the address's secrets.
    """
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, UnicodeError) as error:
        message = "not a valid URL"
        raise ValueError(message) from error
    if parsed.scheme not in {"http", "https"}:
        message = "the URL must begin with https:// or http://"
        raise ValueError(message)
    if not parsed.host or not _HOST_CHARS.issuperset(parsed.raw_host):
        message = "the URL names no valid host"
        raise ValueError(message)
    if parsed.port is not None and not 0 < parsed.port <= _LAST_PORT:
        message = "the URL's port is not between 1 and 65535"
        raise ValueError(message)
    _check_address(parsed.host)


def check_host(host: str) -> None:
    """Refuse a host's name or address that a notification must not go to.

    Raises:
        ValueError: says why.
    """
    if not host or not _HOST_CHARS.issuperset(host.encode()):
        message = "not a valid host"
        raise ValueError(message)
    _check_address(host)


def _check_address(host: str) -> None:
    try:
        address = ip_address(host)
    except ValueError:
        return
    if is_refused(address):
        message = f"{address} is a link-local or metadata address"
        raise ValueError(message)


def is_refused(address: IPv4Address | IPv6Address) -> bool:
    """Return whether notifications must not go to this address."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _METADATA
    )


def shown(url: str) -> str:
    """Return scheme, host and port; the rest of a webhook's address is often a secret."""
    parsed = httpx2.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"


def alert_link(dashboard_url: str, alert_id: str) -> str:
    """Return the address of an alert's page on the dashboard."""
    return f"{dashboard_url.rstrip('/')}/alerts/{quote(alert_id, safe='')}"


def incident_link(dashboard_url: str, incident_id: str) -> str:
    """Return the address of an incident's page on the dashboard."""
    return f"{dashboard_url.rstrip('/')}/incidents/{quote(incident_id, safe='')}"
