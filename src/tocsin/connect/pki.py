"""Tocsin's own certificate authority: the receiver's certificate and one per cluster.

An authority of our own is what an API server pins, so that nobody else, not even a public
authority, can take its place. Everything lies in one folder (`<data>/pki`), readable by
its owner alone. Whatever is still good is kept; a new certificate says why it was made.
"""

import ipaddress
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tocsin.connect.files import locked, make_private_folder, read_if_exists
from tocsin.connect.keypair import (
    KeyPair,
    load_pair,
    names_of,
    save_pair,
    serial_hex,
    signed_by,
)
from tocsin.connect.names import check_cluster_name
from tocsin.model.errors import TocsinError

CLIENT_ORGANIZATION = "tocsin:cluster"
# The reason for a first certificate.
NO_FORMER = "there was none"
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")

_AUTHORITY_LIFETIME = timedelta(days=3650)
# A receiver that is restarted once a year still renews within the last 30 days: a year and
# those 30 days, which is also about the longest that browsers accept.
_SERVER_LIFETIME = timedelta(days=397)
_CLIENT_LIFETIME = timedelta(days=365)
# Long enough to send a year of logs after the fact.
_PASSING_LIFETIME = timedelta(days=1)
_RENEW_WITHIN = timedelta(days=30)
# The clock of a control-plane node may be behind ours.
_BACKDATED = timedelta(hours=1)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key on disk; `reason` tells why it is new, None: it was kept."""

    certificate: Path
    key: Path
    serial: str
    expires: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Profile:
    """What the two kinds of certificate differ in."""

    subject: x509.Name
    usage: x509.ObjectIdentifier
    lifetime: timedelta
    names: frozenset[x509.GeneralName] = frozenset()


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificate authority in `folder`."""

    folder: Path
    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey = field(repr=False)
    _clock: Callable[[], datetime] = _utc_now

    @classmethod
    def load_or_create(cls, folder: Path, *, clock: Callable[[], datetime] = _utc_now) -> Self:
        """Return the authority in `folder`; the first of several callers makes it."""
        make_private_folder(folder)
        with locked(folder):
            # The certificate is written last: without it nobody has seen the key's work.
            if read_if_exists(folder / "ca.crt") is None:
                _create_authority(folder, clock())
            pair = load_pair(folder / "ca.crt", folder / "ca.key")
        if pair is None:
            message = (
                f"{folder}/ca.crt and ca.key are damaged or do not belong together: restore "
                "both from a backup, or remove both and run `tocsin setup` for each cluster again"
            )
            raise TocsinError(message)
        if pair.certificate.not_valid_after_utc <= clock():
            message = (
                f"the certificate authority {folder}/ca.crt has expired: move the folder away "
                "and run `tocsin setup` for each cluster again"
            )
            raise TocsinError(message)
        return cls(folder, pair.certificate, pair.key, clock)

    @property
    def certificate_path(self) -> Path:
        """The file that API servers pin."""
        return self.folder / "ca.crt"

    def issue_server(self, names: Iterable[str]) -> Issued:
        """Return a certificate for the receiver that is good for all `names` at least.

        Names are only ever added: clusters may reach the receiver by different names, and
        `tocsin serve` asks for the local ones only.
        """
        wanted = frozenset(_general_name(name) for name in names)
        path = self.folder / "server.crt"
        with locked(self.folder):
            current = load_pair(path, path.with_suffix(".key"))
            present = names_of(current)
            reason = self._reason_to_renew(current)
            if reason is None and not wanted <= present:
                reason = "new names: " + ", ".join(sorted(str(n.value) for n in wanted - present))
            profile = _Profile(
                subject=_subject("Tocsin receiver"),
                usage=ExtendedKeyUsageOID.SERVER_AUTH,
                lifetime=_SERVER_LIFETIME,
                names=wanted | present,
            )
            return self._keep_or_issue(path, current, profile, reason)

    def issue_client(self, cluster: str, *, revoked: Collection[str] = ()) -> Issued:
        """Return the certificate with which API servers of `cluster` show who they are.

        Args:
            cluster: name of the cluster, the certificate's common name.
            revoked: serial numbers that the receiver refuses; such a certificate is replaced.
        """
        subject = _subject(check_cluster_name(cluster), CLIENT_ORGANIZATION)
        folder = self.folder / "clusters" / cluster
        make_private_folder(folder.parent)
        make_private_folder(folder)
        path = folder / "client.crt"
        with locked(self.folder):
            current = load_pair(path, path.with_suffix(".key"))
            reason = self._reason_to_renew(current)
            if reason is None and current is not None:
                if current.certificate.subject != subject:
                    reason = "the old one named another cluster"
                elif serial_hex(current.certificate) in revoked:
                    reason = "the old one is revoked"
            profile = _Profile(subject, ExtendedKeyUsageOID.CLIENT_AUTH, _CLIENT_LIFETIME)
            return self._keep_or_issue(path, current, profile, reason)

    def issue_passing_client(self, cluster: str) -> KeyPair:
        """Return a certificate of `cluster` for posts of Tocsin's own: for a day, kept nowhere."""
        subject = _subject(check_cluster_name(cluster), CLIENT_ORGANIZATION)
        return self._issue(_Profile(subject, ExtendedKeyUsageOID.CLIENT_AUTH, _PASSING_LIFETIME))

    def _reason_to_renew(self, current: KeyPair | None) -> str | None:
        if current is None:
            return NO_FORMER
        if not signed_by(current.certificate, self.certificate):
            return "another authority had signed the old one"
        if current.certificate.not_valid_after_utc - self._clock() < _RENEW_WITHIN:
            return f"the old one had less than {_RENEW_WITHIN.days} days left"
        return None

    def _keep_or_issue(
        self, path: Path, current: KeyPair | None, profile: _Profile, reason: str | None
    ) -> Issued:
        key_path = path.with_suffix(".key")
        if current is None or reason is not None:
            current = self._issue(profile)
            save_pair(current, path, key_path)
        return Issued(
            certificate=path,
            key=key_path,
            serial=serial_hex(current.certificate),
            expires=current.certificate.not_valid_after_utc,
            reason=reason,
        )

    def _issue(self, profile: _Profile) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        now = self._clock()
        expires = min(now + profile.lifetime, self.certificate.not_valid_after_utc)
        builder = (
            _builder(profile.subject, self.certificate.subject, key, self._key)
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(expires)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([profile.usage]), critical=False)
        )
        if profile.names:
            names = sorted(profile.names, key=repr)
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return KeyPair(builder.sign(self._key, hashes.SHA256()), key)


def ensure_server_certificate(folder: Path, names: Iterable[str] = LOCAL_NAMES) -> Issued:
    """Return the receiver's certificate in `folder`, made on first use with an authority."""
    return Authority.load_or_create(folder).issue_server(names)


def _create_authority(folder: Path, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject("Tocsin CA")
    certificate = (
        _builder(subject, subject, key, key)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    save_pair(KeyPair(certificate, key), folder / "ca.crt", folder / "ca.key")


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.CertificateBuilder:
    subject_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(subject_id, critical=False)
        .add_extension(issuer_id, critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(common_name: str, organization: str = "tocsin") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
