"""The list of known clusters, `<data>/clusters.yaml`: whose events the receiver accepts.

`tocsin setup` and `tocsin clusters` write it, the receiver reads it. It holds digests of
tokens and serial numbers of certificates, so nobody can post events with what stands in it.
"""

import hashlib
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from tocsin.connect.files import locked, make_private_folder, read_if_exists, write_atomic
from tocsin.connect.names import check_cluster_name
from tocsin.connect.pki import Issued
from tocsin.model.errors import TocsinError

_FILE_NAME = "clusters.yaml"
# A credential that nobody can use any more is listed this long, for who asks what became of it.
_REMEMBERED = timedelta(days=30)

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
SerialHex = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{1,40}$")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A bearer token, by the digest of it; good until `refused_from`."""

    sha256: Sha256
    created: Moment | None = None
    refused_from: Moment | None = None

    @property
    def identity(self) -> str:
        """What tells this token from others."""
        return self.sha256


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A client certificate, by its serial number (hexadecimal, as `serial_hex` writes it).

    Good until `expires` and `refused_from`, whichever comes first.
    """

    serial: SerialHex
    created: Moment | None = None
    expires: Moment | None = None
    refused_from: Moment | None = None

    @property
    def identity(self) -> str:
        """What tells this certificate from others."""
        return self.serial


_Credential = TypeVar("_Credential", Token, Certificate)


class Cluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The credentials of one cluster; none is good any more once it is `revoked`.

    Every certificate of the authority with the cluster's name is good, unless it is listed
    here with a `refused_from` that has come. Tokens are good only if they are listed.
    """

    tokens: tuple[Token, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    revoked: Moment | None = None

    @property
    def ended_serials(self) -> frozenset[str]:
        """Serial numbers that are refused, now or soon: not to be handed out again."""
        return frozenset(
            certificate.serial
            for certificate in self.certificates
            if self.revoked or certificate.refused_from
        )

    @property
    def credentials(self) -> tuple[Certificate | Token, ...]:
        """All that is listed, certificates first."""
        return (*self.certificates, *self.tokens)

    def takes(self, credential: Token | Certificate, now: datetime) -> bool:
        """Return whether one of the listed credentials is good at this moment."""
        moments = [self.revoked, credential.refused_from]
        if isinstance(credential, Certificate):
            moments.append(credential.expires)
        return all(moment is None or now < moment for moment in moments)

    def has_token(self, token: str) -> bool:
        """Return whether `token` is good, and nothing is planned to end it."""
        digest = token_digest(token)
        return self.revoked is None and any(
            known.sha256 == digest and known.refused_from is None for known in self.tokens
        )


class Clusters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All known clusters by name."""

    clusters: dict[str, Cluster] = {}


def token_digest(token: str) -> str:
    """Return what is stored of a bearer token; tokens are random, so no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def load_clusters(data: Path) -> Clusters:
    """Read the list from the data folder; without a file no cluster is known."""
    path = data / _FILE_NAME
    content = read_if_exists(path)
    if content is None:
        return Clusters()
    try:
        known = msgspec.yaml.decode(content, type=Clusters)
    except msgspec.MsgspecError as error:
        message = f"{path}: {' '.join(str(error).split())}"
        raise TocsinError(message) from error
    for name in known.clusters:
        check_cluster_name(name)
    return known


def save_clusters(data: Path, known: Clusters) -> None:
    """Replace the list in one step, so that the receiver never reads half of it."""
    write_atomic(data / _FILE_NAME, msgspec.yaml.encode(known))


def add_cluster(
    data: Path,
    name: str,
    *,
    token: str | None = None,
    certificate: Issued | None = None,
    now: datetime | None = None,
) -> None:
    """Make `name` known, and token and certificate credentials of it besides those it has.

    A revoked cluster is good again, but none of the credentials it had.
    """
    moment = now or datetime.now(UTC)

    def change(cluster: Cluster) -> Cluster:
        if cluster.revoked is not None:
            cluster = Cluster(
                ended(cluster.tokens, cluster.revoked),
                ended(cluster.certificates, cluster.revoked),
            )
        if token is not None:
            cluster = with_token(cluster, token, moment)
        if certificate is not None:
            listed = Certificate(certificate.serial, moment, certificate.expires)
            cluster = with_certificate(cluster, listed)
        return cluster

    make_private_folder(data)
    change_cluster(data, check_cluster_name(name), change, moment)


def change_cluster(
    data: Path, name: str, change: Callable[[Cluster], Cluster], now: datetime
) -> Cluster:
    """Put what `change` makes of a cluster into the list, and return it.

    `change` gets an empty cluster where the name is not known. Nobody else changes the list
    meanwhile; what has been of no use for a month is taken out.
    """
    with locked(data):
        known = load_clusters(data)
        before = known.clusters.get(name)
        after = _tidied(change(before or Cluster()), now)
        if after != before:
            save_clusters(data, Clusters({**known.clusters, name: after}))
    return after


def known_cluster(data: Path, name: str) -> Cluster:
    """Return a cluster of the list.

    Raises:
        TocsinError: there is none of this name.
    """
    known = load_clusters(data).clusters
    if name not in known:
        names = ", ".join(sorted(known)) or "none is known"
        message = f"there is no cluster {name!r} in {data / _FILE_NAME} (known: {names})"
        raise TocsinError(message)
    return known[name]


def ended(
    credentials: tuple[_Credential, ...], moment: datetime, chosen: Collection[str] | None = None
) -> tuple[_Credential, ...]:
    """Return credentials, refused from `moment` on if it was not planned to be sooner.

    `chosen` are the identities of those that end, None for all.
    """
    return tuple(
        msgspec.structs.replace(known, refused_from=min(moment, known.refused_from or moment))
        if chosen is None or known.identity in chosen
        else known
        for known in credentials
    )


def with_token(cluster: Cluster, token: str, now: datetime) -> Cluster:
    """Return the cluster with a token among its credentials."""
    fresh = Token(token_digest(token), now)
    if any(known.sha256 == fresh.sha256 for known in cluster.tokens):
        return cluster
    return msgspec.structs.replace(cluster, tokens=(*cluster.tokens, fresh))


def with_certificate(cluster: Cluster, certificate: Certificate) -> Cluster:
    """Return the cluster with a certificate in its list."""
    if any(known.serial == certificate.serial for known in cluster.certificates):
        return cluster
    return msgspec.structs.replace(cluster, certificates=(*cluster.certificates, certificate))


def _tidied(cluster: Cluster, now: datetime) -> Cluster:
    """Forget tokens that ended and certificates that expired a month ago.

    A refused certificate stays until it expires: only the list says that it is refused.
    """
    before = now - _REMEMBERED
    return msgspec.structs.replace(
        cluster,
        tokens=tuple(
            t for t in cluster.tokens if t.refused_from is None or t.refused_from > before
        ),
        certificates=tuple(
            c for c in cluster.certificates if c.expires is None or c.expires > before
        ),
    )
