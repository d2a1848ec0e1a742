"""Who is sending: a cluster, proven by a client certificate or by a bearer token.

A certificate counts when Tocsin's own CA issued it (the TLS handshake has checked that) and
its subject is O=tocsin:cluster, CN=<cluster>. Tokens are known by their SHA-256 only. Who shows
nothing is nobody, unless the configuration names the network that it sends from.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from tocsin.ingest.networks import OPEN_CLUSTER

CLUSTER_ORGANISATION = "tocsin:cluster"

_NONE: Mapping[str, datetime] = MappingProxyType({})


class Cluster(msgspec.Struct, frozen=True):
    """A cluster that may send, with the SHA-256 (hex) of each bearer token that it may show."""

    name: str
    token_sha256: tuple[str, ...] = ()


class Sender(msgspec.Struct, frozen=True):
    """The cluster behind a request, and the credential that proved it, without its secret."""

    cluster: str
    credential: str
    authenticated: bool = True


UNAUTHENTICATED = Sender(OPEN_CLUSTER, "unauthenticated", authenticated=False)


class Senders:
    """The credentials that are accepted now. Immutable: a change is a new object."""

    def __init__(
        self,
        clusters: Iterable[Cluster],
        *,
        refused: Mapping[str, datetime] = _NONE,
        revoked: Collection[str] = (),
    ) -> None:
        """Accept `clusters`.

        Args:
            clusters: those with good credentials.
            refused: from when a credential is refused, by a certificate's serial number (hex
                without leading zeros) or a token's SHA-256 (hex).
            revoked: names of clusters from which nothing is taken in any way.
        """
        known = tuple(cluster for cluster in clusters if cluster.name not in revoked)
        self.names = frozenset(cluster.name for cluster in known)
        self._tokens = tuple(
            (digest.lower().encode(), cluster.name)
            for cluster in known
            for digest in cluster.token_sha256
        )
        self._refused = dict(refused)
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
            return self._by_token(authorization, now)
        return None

    def unauthenticated(self) -> Sender | None:
        """Return whom a sender without a credential speaks for; None where that is revoked."""
        return None if OPEN_CLUSTER in self._revoked else UNAUTHENTICATED

    def _by_certificate(self, pem: str, now: datetime) -> Sender | None:
        """Check again what the handshake checked once: connections outlive certificates."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            organisations = _subject(certificate, NameOID.ORGANIZATION_NAME)
            names = _subject(certificate, NameOID.COMMON_NAME)
        except ValueError:
            return None
        serial = format(certificate.serial_number, "x")
        if organisations != [CLUSTER_ORGANISATION] or len(names) != 1:
            return None
        if self._is_refused(serial, now) or now > certificate.not_valid_after_utc:
            return None
        name = names[0]
        return Sender(name, f"certificate {serial}") if name in self.names else None

    def _by_token(self, authorization: str, now: datetime) -> Sender | None:
        """Compare with every known digest, so that the time taken tells nothing."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        shown = digest.encode()
        found = None
        for known, cluster in self._tokens:
            if hmac.compare_digest(known, shown):
                found = Sender(cluster, f"token {cluster}")
        return None if self._is_refused(digest, now) else found

    def _is_refused(self, credential: str, now: datetime) -> bool:
        moment = self._refused.get(credential)
        return moment is not None and now >= moment


def _subject(certificate: x509.Certificate, field: x509.ObjectIdentifier) -> list[str | bytes]:
    return [attribute.value for attribute in certificate.subject.get_attributes_for_oid(field)]
