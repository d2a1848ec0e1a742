"""Who is sending: a cluster, proven by a client certificate or by a bearer token.

A certificate counts when Tocsin's own CA issued it (the TLS handshake has checked that) and
its subject is O=tocsin:cluster, CN=<cluster>. Tokens are known by their SHA-256 only. There is
no anonymous sender: whoever is not recognised here is nobody.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

CLUSTER_ORGANISATION = "tocsin:cluster"


class Cluster(msgspec.Struct, frozen=True):
    """A cluster that may send, with the SHA-256 (hex) of each bearer token that it may show."""

    name: str
    token_sha256: tuple[str, ...] = ()


class Sender(msgspec.Struct, frozen=True):
    """The cluster behind a request, and the credential that proved it, without its secret."""

    cluster: str
    credential: str


class Senders:
    """The credentials that are accepted now. Immutable: a change is a new object."""

    def __init__(self, clusters: Iterable[Cluster], revoked: Iterable[int] = ()) -> None:
        """Accept `clusters`; `revoked` holds serial numbers of certificates."""
        known = tuple(clusters)
        self.names = frozenset(cluster.name for cluster in known)
        self._tokens = tuple(
            (digest.lower().encode(), cluster.name)
            for cluster in known
            for digest in cluster.token_sha256
        )
        self._revoked = frozenset(revoked)

    @property
    def uses_tokens(self) -> bool:
        """Whether a client without a certificate can be somebody at all."""
        return bool(self._tokens)

    def identify(
        self, certificate: str | None, authorization: str | None, now: datetime
    ) -> Sender | None:
        """Return who shows this PEM certificate or this Authorization header, or None.

        A certificate decides alone: a token beside a revoked certificate opens nothing.
        """
        if certificate is not None:
            return self._by_certificate(certificate, now)
        if authorization is not None:
            return self._by_token(authorization)
        return None

    def _by_certificate(self, pem: str, now: datetime) -> Sender | None:
        """Check again what the handshake checked once: connections outlive certificates."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            organisations = _subject(certificate, NameOID.ORGANIZATION_NAME)
            names = _subject(certificate, NameOID.COMMON_NAME)
        except ValueError:
            return None
        serial = certificate.serial_number
        if organisations != [CLUSTER_ORGANISATION] or len(names) != 1:
            return None
        if serial in self._revoked or now > certificate.not_valid_after_utc:
            return None
        name = names[0]
        return Sender(name, f"certificate {serial:x}") if name in self.names else None

    def _by_token(self, authorization: str) -> Sender | None:
        """Compare with every known digest, so that the time taken tells nothing."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = hashlib.sha256(token.strip().encode()).hexdigest().encode()
        found = None
        for known, cluster in self._tokens:
            if hmac.compare_digest(known, digest):
                found = Sender(cluster, f"token {cluster}")
        return found


def _subject(certificate: x509.Certificate, field: x509.ObjectIdentifier) -> list[str | bytes]:
    return [attribute.value for attribute in certificate.subject.get_attributes_for_oid(field)]
