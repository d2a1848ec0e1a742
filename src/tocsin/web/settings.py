"""What an operator sets for the dashboard."""

from typing import Annotated

import msgspec


class WebSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the dashboard is served.

    Attributes:
        enabled: whether it is served at all.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        public_url: what people type to get there, where that is another address, such as
            `https://tocsin.example.org` of a proxy; links in notifications begin with it.
        certificate: PEM file of the certificate it shows, by default one of Tocsin's own CA.
        key: PEM file of the certificate's key.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8443
    public_url: Annotated[str, msgspec.Meta(pattern=r"^(https://[^/]+/?)?$")] = ""
    certificate: str = ""
    key: str = ""

    def url(self, port: int | None = None) -> str:
        """Return what links begin with; `port` is where it really listens."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = "localhost" if self.host in _EVERYWHERE else self.host
        host = f"[{host}]" if ":" in host else host
        return f"https://{host}:{self.port if port is None else port}"


_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound
