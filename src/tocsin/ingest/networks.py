"""Networks whose senders are let in without a credential, and what everybody is told of it.

An address proves little: whoever can send from it can forge events. So this is off unless the
configuration asks for it, what comes in this way is marked to the end, and a banner says so.
"""

import ipaddress
from collections.abc import Sequence

OPEN_CLUSTER = "default"
"""The cluster that senders without a credential speak for, the only one."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_network(text: str) -> Network:
    """Return the network that `10.0.0.0/8`, `2001:db8::/32` or a single address means.

    Raises:
        ValueError: it means none; with a sentence for a person.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        message = f"{text!r} is no network such as 10.0.0.0/8: {error}"
        raise ValueError(message) from error
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        message = f"{text!r}: write an IPv4 network as such, for example 10.0.0.0/8"
        raise ValueError(message)
    return network


class Networks:
    """Some networks; asked once per request without a credential."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Take the networks; raise ValueError as `parse_network` does."""
        self._networks = [parse_network(text) for text in texts]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def contain(self, host: str) -> bool:
        """Return whether the address of a connection lies in one of them.

        A socket for IPv6 and IPv4 shows IPv4 addresses as `::ffff:10.0.0.1`.
        """
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def banner(texts: Sequence[str]) -> str:
    """Return what to show wherever somebody looks; empty where nobody is let in like this."""
    if not texts:
        return ""
    networks = Networks(texts)
    anywhere = any(networks.contain(host) for host in ("192.0.2.1", "2001:db8::1"))
    everyone = " - THAT IS EVERYBODY WHO REACHES THIS PORT -" if anywhere else ""
    return (
        f"Senders from {', '.join(texts)}{everyone} are let in without proof as cluster "
        f"{OPEN_CLUSTER!r}: anyone there can forge events. Responses are off for this cluster. "
        "Run `tocsin setup adopt FILE...`, install what it writes, and take "
        "webhook.allow_unauthenticated_from out of the configuration"
    )
