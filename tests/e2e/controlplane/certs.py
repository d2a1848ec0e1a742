"""Certificates for a control plane that lives as long as one test module: one CA signs them all."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOOPBACK = IPv4Address("127.0.0.1")
LIFETIME = timedelta(days=2)


class Authority:
    """A certificate authority that writes what it signs into one folder as PEM files."""

    def __init__(self, folder: Path) -> None:
        """Make the CA's own key and certificate, `ca.key` and `ca.crt`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._name = subject("tocsin-e2e-ca")
        self._key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(self._name, self._name, self._key.public_key())
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        builder = builder.add_extension(_signing_usage(), critical=True)
        self.write_key("ca", self._key)
        self._write("ca", builder.sign(self._key, hashes.SHA256()))

    @property
    def certificate(self) -> str:
        """The path of the CA's certificate."""
        return self.crt("ca")

    def crt(self, stem: str) -> str:
        """Return the path of a certificate."""
        return str(self.folder / f"{stem}.crt")

    def key(self, stem: str) -> str:
        """Return the path of a private key."""
        return str(self.folder / f"{stem}.key")

    def server(self, stem: str, *names: str) -> None:
        """Issue a serving certificate for the loopback address and further host names."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(subject(stem), self._name, key.public_key())
        hosts = [x509.DNSName(name) for name in ("localhost", *names)]
        san = x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK), *hosts])
        builder = builder.add_extension(san, critical=False)
        self._issue(stem, key, builder, ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, stem: str, user: str, *groups: str) -> None:
        """Issue a client certificate for a Kubernetes user."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(subject(user, *groups), self._name, key.public_key())
        self._issue(stem, key, builder, ExtendedKeyUsageOID.CLIENT_AUTH)

    def write_key(self, stem: str, key: ec.EllipticCurvePrivateKey) -> None:
        """Write a private key that only its owner may read."""
        path = Path(self.key(stem))
        path.touch(mode=0o600)
        path.write_bytes(private_pem(key))

    def _issue(
        self,
        stem: str,
        key: ec.EllipticCurvePrivateKey,
        builder: x509.CertificateBuilder,
        usage: x509.ObjectIdentifier,
    ) -> None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        self.write_key(stem, key)
        self._write(stem, builder.sign(self._key, hashes.SHA256()))

    def _write(self, stem: str, certificate: x509.Certificate) -> None:
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        Path(self.crt(stem)).write_bytes(pem)


def subject(user: str, *groups: str) -> x509.Name:
    """Return the name by which Kubernetes knows a user (CN) and its groups (O)."""
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return an unencrypted private key in PEM form."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )


def _signing_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
