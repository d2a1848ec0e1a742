"""A certificate with its private key, as two PEM files."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tocsin.connect.files import PUBLIC_FILE, read_if_exists, write_atomic


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with the private key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def serial_hex(certificate: x509.Certificate) -> str:
    """Return the serial number as `clusters.yaml` lists it: lower case, no leading zeros."""
    return format(certificate.serial_number, "x")


def names_of(pair: KeyPair | None) -> frozenset[x509.GeneralName]:
    """Return the names that a certificate is good for."""
    return frozenset() if pair is None else names_in(pair.certificate)


def names_in(certificate: x509.Certificate) -> frozenset[x509.GeneralName]:
    """Return the names that a certificate is good for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(names.value)


def signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Return whether `authority` itself has signed `certificate`."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def load_pair(certificate_path: Path, key_path: Path) -> KeyPair | None:
    """Return a certificate with its key; None if either is missing, damaged or another's."""
    certificate_pem, key_pem = read_if_exists(certificate_path), read_if_exists(key_path)
    if certificate_pem is None or key_pem is None:
        return None
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (TypeError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    if certificate.public_key() != key.public_key():
        return None
    return KeyPair(certificate, key)


def save_pair(pair: KeyPair, certificate_path: Path, key_path: Path) -> None:
    """Write both, the key first: whoever finds the certificate finds its key."""
    key_pem = pair.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_atomic(key_path, key_pem)
    write_atomic(
        certificate_path, pair.certificate.public_bytes(serialization.Encoding.PEM), PUBLIC_FILE
    )
