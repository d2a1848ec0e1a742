"""Certificates that expire soon, said early enough that nobody is woken by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509

from tocsin.connect.clusters import Certificate, Cluster, Clusters
from tocsin.connect.files import read_required
from tocsin.model.errors import TocsinError

ExpiryState = Literal["warning", "fault", "expired"]

_WARN_WITHIN = timedelta(days=30)
_FAULT_WITHIN = timedelta(days=7)
# Whoever still used it would have been refused for that long.
_TOLD_AFTER = timedelta(days=30)

_OWN_MEND = {
    "server": "restart `tocsin serve`: it makes a new one",
    "authority": "move the folder pki away and run `tocsin setup` for each cluster again",
}
_FOREIGN_MEND = "replace the file: the next connection gets the new one, without a restart"


@dataclass(frozen=True, slots=True)
class Expiring:
    """A certificate near its end or past it.

    Attributes:
        what: the certificate, for a person.
        cluster: whose it is; None for Tocsin's own.
        expires: its end.
        state: `warning` from 30 days before the end, `fault` from 7 days before, `expired`.
        mend: what to do.
    """

    what: str
    cluster: str | None
    expires: datetime
    state: ExpiryState
    mend: str


def certificate_end(path: Path) -> datetime:
    """Return when the first certificate of a PEM file expires.

    Raises:
        TocsinError: there is no certificate in it.
    """
    try:
        return x509.load_pem_x509_certificate(read_required(path)).not_valid_after_utc
    except ValueError as error:
        message = f"{path} holds no PEM certificate: {error}"
        raise TocsinError(message) from error


def expiring(known: Clusters, own: Mapping[str, datetime], now: datetime) -> list[Expiring]:
    """Return what expires within 30 days or has expired, the most urgent first.

    Args:
        known: the clusters; what is refused or revoked there is left out.
        own: the ends of the receiver's certificates, by what they are: "server" and "authority"
            where Tocsin made them, else the path of the file.
        now: the present.
    """
    found = [
        Expiring(
            f"the {name} certificate", None, expires, state, _OWN_MEND.get(name, _FOREIGN_MEND)
        )
        for name, expires in own.items()
        if (state := _state(expires, now))
    ]
    for name, cluster in known.clusters.items():
        found += _of_cluster(name, cluster, now)
    return sorted(found, key=lambda each: each.expires)


def _of_cluster(name: str, cluster: Cluster, now: datetime) -> list[Expiring]:
    listed = [
        certificate
        for certificate in cluster.certificates
        if certificate.expires and not certificate.refused_from and not cluster.revoked
    ]
    newest = max((c.expires for c in listed if c.expires), default=now)
    return [
        found
        for certificate in listed
        if (found := _of_certificate(name, certificate, newest, now)) is not None
    ]


def _of_certificate(
    name: str, certificate: Certificate, newest: datetime, now: datetime
) -> Expiring | None:
    """Judge one certificate; one that has a successor is worth a warning until its end."""
    expires = certificate.expires
    state = _state(expires, now) if expires else None
    if expires is None or state is None or expires < now - _TOLD_AFTER:
        return None
    mend = f"`tocsin clusters rotate {name} --credential certificate`, and copy what it writes"
    if expires < newest:
        if state == "expired":
            return None
        state = "warning"
        mend = "a newer one has been made: see that every API server of the cluster has it"
    return Expiring(
        f"certificate {certificate.serial[:12]} of cluster {name!r}", name, expires, state, mend
    )


def _state(expires: datetime, now: datetime) -> ExpiryState | None:
    left = expires - now
    if left <= timedelta(0):
        return "expired"
    if left <= _FAULT_WITHIN:
        return "fault"
    return "warning" if left <= _WARN_WITHIN else None
