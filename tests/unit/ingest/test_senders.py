"""Certificates and tokens: which of them prove a cluster."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tocsin.ingest.senders import Cluster, Sender, Senders

NOW = datetime.now(UTC)
SECOND = timedelta(seconds=1)
CA = trustme.CA()


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def certificate(name: str = "prod", organisation: str = "tocsin:cluster") -> str:
    leaf = CA.issue_cert(common_name=name, organization_name=organisation)
    return leaf.cert_chain_pems[0].bytes().decode()


def serial(pem: str) -> int:
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def self_made(*subject: tuple[x509.ObjectIdentifier, str]) -> str:
    """Return a certificate with any subject, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(field, value) for field, value in subject])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    made = builder.sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


@pytest.fixture
def senders() -> Senders:
    return Senders(
        [Cluster("prod", (sha256("one"), sha256("two").upper())), Cluster("test", (sha256("t"),))]
    )


def test_a_certificate_names_its_cluster_and_itself(senders: Senders) -> None:
    pem = certificate()

    assert senders.identify(pem, None, NOW) == Sender("prod", f"certificate {serial(pem):x}")


@pytest.mark.parametrize(
    "subject",
    [
        [(NameOID.COMMON_NAME, "prod")],
        [(NameOID.ORGANIZATION_NAME, "tocsin:cluster")],
        [(NameOID.ORGANIZATION_NAME, "tocsin:operator"), (NameOID.COMMON_NAME, "prod")],
        [
            (NameOID.ORGANIZATION_NAME, "tocsin:cluster"),
            (NameOID.ORGANIZATION_NAME, "tocsin:operator"),
            (NameOID.COMMON_NAME, "prod"),
        ],
        [
            (NameOID.ORGANIZATION_NAME, "tocsin:cluster"),
            (NameOID.COMMON_NAME, "prod"),
            (NameOID.COMMON_NAME, "test"),
        ],
        [(NameOID.ORGANIZATION_NAME, "tocsin:cluster"), (NameOID.COMMON_NAME, "unknown")],
    ],
)
def test_another_subject_is_nobody(
    senders: Senders, subject: list[tuple[x509.ObjectIdentifier, str]]
) -> None:
    assert senders.identify(self_made(*subject), None, NOW) is None


def test_what_is_no_certificate_is_nobody(senders: Senders) -> None:
    assert senders.identify("-----BEGIN CERTIFICATE-----", None, NOW) is None


def test_a_certificate_ends_with_its_time(senders: Senders) -> None:
    pem = self_made((NameOID.ORGANIZATION_NAME, "tocsin:cluster"), (NameOID.COMMON_NAME, "prod"))

    assert senders.identify(pem, None, NOW) is not None
    assert senders.identify(pem, None, NOW + timedelta(days=2)) is None


def test_a_revoked_certificate_is_nobody_with_any_token() -> None:
    pem = certificate()
    senders = Senders([Cluster("prod", (sha256("one"),))], refused={f"{serial(pem):x}": NOW})

    assert senders.identify(pem, "Bearer one", NOW) is None
    assert senders.identify(None, "Bearer one", NOW) == Sender("prod", "token prod")


def test_a_certificate_is_refused_from_its_moment_on(senders: Senders) -> None:
    pem = certificate()
    senders = Senders([Cluster("prod")], refused={f"{serial(pem):x}": NOW + SECOND})

    assert senders.identify(pem, None, NOW) is not None
    assert senders.identify(pem, None, NOW + SECOND) is None


def test_a_token_is_refused_from_its_moment_on() -> None:
    senders = Senders(
        [Cluster("prod", (sha256("one"), sha256("two")))], refused={sha256("one"): NOW + SECOND}
    )

    assert senders.identify(None, "Bearer one", NOW) == Sender("prod", "token prod")
    assert senders.identify(None, "Bearer one", NOW + SECOND) is None
    assert senders.identify(None, "Bearer two", NOW + SECOND) == Sender("prod", "token prod")


def test_a_revoked_cluster_is_nobody_in_any_way() -> None:
    senders = Senders(
        [Cluster("prod", (sha256("one"),)), Cluster("test", (sha256("t"),))], revoked=["prod"]
    )

    assert senders.identify(certificate(), None, NOW) is None
    assert senders.identify(None, "Bearer one", NOW) is None
    assert senders.identify(None, "Bearer t", NOW) is not None
    assert senders.names == {"test"}


def test_nobody_speaks_for_a_revoked_default_cluster() -> None:
    anybody = Senders([]).unauthenticated()

    assert anybody == Sender("default", "unauthenticated", authenticated=False)
    assert Senders([Cluster("default")], revoked=["default"]).unauthenticated() is None


@pytest.mark.parametrize(
    ("authorization", "cluster"),
    [
        ("Bearer one", "prod"),
        ("bearer  two ", "prod"),
        ("Bearer t", "test"),
        ("Bearer", None),
        ("Bearer three", None),
        ("Basic one", None),
        (f"Bearer {sha256('one')}", None),
        ("", None),
    ],
)
def test_a_token_names_its_cluster(
    senders: Senders, authorization: str, cluster: str | None
) -> None:
    sender = senders.identify(None, authorization, NOW)

    assert (sender.cluster if sender else None) == cluster


def test_nothing_shown_is_nobody(senders: Senders) -> None:
    assert senders.identify(None, None, NOW) is None


def test_tells_whether_a_certificate_is_the_only_way() -> None:
    assert not Senders([Cluster("prod")]).uses_tokens
    assert Senders([Cluster("prod"), Cluster("test", (sha256("t"),))]).uses_tokens
