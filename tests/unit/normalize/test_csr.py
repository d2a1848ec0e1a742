"""What a certificate signing request asks for, and what is wrong with it."""

import base64
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tocsin.normalize import csr
from tocsin.normalize.csr import MAX_REQUEST_BYTES, certificate_request

KEY = ec.generate_private_key(ec.SECP256R1())


def request(
    names: list[tuple[x509.ObjectIdentifier, str]], sans: list[x509.GeneralName] | None = None
) -> str:
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    signed = builder.sign(KEY, hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def test_subject_and_usages_are_read() -> None:
    names = [
        (NameOID.COMMON_NAME, "system:kube-controller-manager"),
        (NameOID.ORGANIZATION_NAME, "system:masters"),
        (NameOID.ORGANIZATION_NAME, "dev"),
    ]
    spec: dict[str, object] = {
        "request": request(names),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        "expirationSeconds": 600,
        "username": "not taken over",
    }
    assert certificate_request(spec) == {
        "subject": {"cn": ["system:kube-controller-manager"], "o": ["system:masters", "dev"]},
        "sans": [],
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        "expirationSeconds": 600,
    }


def test_alternative_names_are_read() -> None:
    sans: list[x509.GeneralName] = [
        x509.DNSName("node.example.org"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.7")),
        x509.RFC822Name("a@example.org"),
        x509.UniformResourceIdentifier("spiffe://a/b"),
        x509.DirectoryName(x509.Name([])),
    ]
    found = certificate_request({"request": request([(NameOID.COMMON_NAME, "n")], sans)})
    assert found["sans"] == ["node.example.org", "10.0.0.7", "a@example.org", "spiffe://a/b"]


PEM = base64.b64decode(request([(NameOID.COMMON_NAME, "n")]))


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (None, "no text"),
        (7, "no text"),
        (["a"], "no text"),
        ("", ""),
        ("%%%", ""),
        ("ä", ""),
        (base64.b64encode(b"garbage").decode(), ""),
        (base64.b64encode(PEM[:80]).decode(), ""),
        (base64.b64encode(PEM.replace(b"M", b"N", 20)).decode(), ""),
        ("A" * (MAX_REQUEST_BYTES + 1), "larger than"),
    ],
)
def test_unreadable_request_is_a_field_and_no_failure(encoded: object, reason: str) -> None:
    found = certificate_request({"request": encoded, "signerName": "s"})
    assert isinstance(found["error"], str)
    assert reason in found["error"]
    assert found["error"]
    assert found["signerName"] == "s"
    assert "subject" not in found


@pytest.mark.parametrize("error", csr._ERRORS)
def test_whatever_the_parser_refuses_is_a_field(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise error.__new__(error)

    monkeypatch.setattr(csr, "_parse", refuse)
    assert certificate_request({})["error"] == error.__name__


def test_extension_that_stands_twice_is_a_field() -> None:
    der = x509.load_pem_x509_csr(PEM).public_bytes(serialization.Encoding.DER)
    assert der
    twice = _with_two_extensions()
    assert "error" in certificate_request({"request": twice})


def _tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    return bytes([tag]) + size + body


def _with_two_extensions() -> str:
    """Return a request that no library writes: the same extension twice."""
    san = x509.SubjectAlternativeName([x509.DNSName("a")])
    oid = bytes.fromhex("0603551d11")
    extension = _tlv(0x30, oid, _tlv(0x04, san.public_bytes()))
    extensions = _tlv(0x30, extension, extension)
    attribute = _tlv(0x30, bytes.fromhex("06092a864886f70d01090e"), _tlv(0x31, extensions))
    spki = KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    info = _tlv(0x30, b"\x02\x01\x00", _tlv(0x30), spki, _tlv(0xA0, attribute))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    signature = _tlv(0x03, b"\x00", KEY.sign(info, ec.ECDSA(hashes.SHA256())))
    der = _tlv(0x30, info, algorithm, signature)
    lines = base64.encodebytes(der).decode()
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}-----END CERTIFICATE REQUEST-----\n"
    return base64.b64encode(pem.encode()).decode()
