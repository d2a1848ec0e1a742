"""Which certificates of this installation expire soon."""

from datetime import datetime
from pathlib import Path

from tocsin.connect.clusters import load_clusters
from tocsin.connect.expiry import Expiring, certificate_end, expiring
from tocsin.runtime.config import Config


def expiring_certificates(config: Config, now: datetime) -> list[Expiring]:
    """Return the certificates of receiver, authority and clusters that are near their end.

    Raises:
        TocsinError: a file cannot be read.
    """
    tls, pki = config.webhook.tls, config.folder / "pki"
    own = {}
    for path, ours, name in (
        (Path(tls.certificate), pki / "server.crt", "server"),
        (Path(tls.client_ca), pki / "ca.crt", "authority"),
    ):
        own[name if path == ours else str(path)] = certificate_end(path)
    return expiring(load_clusters(config.folder), own, now)
