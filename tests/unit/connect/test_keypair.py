from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tocsin.connect.keypair import load_pair, names_of
from tocsin.connect.pki import Authority


def test_certificate_without_names_has_none(tmp_path: Path) -> None:
    client = Authority.load_or_create(tmp_path).issue_client("prod")
    assert names_of(load_pair(client.certificate, client.key)) == frozenset()
    assert names_of(None) == frozenset()


def test_key_of_another_kind_does_not_belong_to_ours(tmp_path: Path) -> None:
    client = Authority.load_or_create(tmp_path).issue_client("prod")
    client.key.write_bytes(
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    assert load_pair(client.certificate, client.key) is None
