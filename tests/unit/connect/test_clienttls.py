import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from tocsin.connect.clienttls import client_context
from tocsin.connect.kubeconfig import Material, WebhookTarget
from tocsin.model.errors import TocsinError

URL = "https://127.0.0.1:1/"
LEAF = trustme.CA().issue_cert("x")
CERTIFICATE = Material("client-certificate-data", content=LEAF.cert_chain_pems[0].bytes())
KEY = Material("client-key-data", content=LEAF.private_key_pem.bytes())


def test_a_server_has_to_prove_who_it_is() -> None:
    ca = Material("certificate-authority-data", content=trustme.CA().cert_pem.bytes())
    context = client_context(WebhookTarget(URL, ca=ca))
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1
    assert not context.hostname_checks_common_name


def test_unless_nobody_asks_for_it() -> None:
    context = client_context(WebhookTarget(URL, insecure=True), verify=False)
    assert context.verify_mode == ssl.CERT_NONE
    assert not context.check_hostname


def test_a_certificate_with_its_key_stays_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client_context(WebhookTarget(URL, client_certificate=CERTIFICATE, client_key=KEY))
    assert list(tmp_path.iterdir()) == []


def encrypted() -> bytes:
    key = serialization.load_pem_private_key(KEY.content, None)
    how = serialization.BestAvailableEncryption(b"secret")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


@pytest.mark.parametrize("key", [encrypted(), trustme.CA().issue_cert("y").private_key_pem.bytes()])
def test_a_pair_that_is_none_is_refused_and_asks_nobody(key: bytes) -> None:
    other = Material("client-key-data", content=key)
    with pytest.raises(TocsinError, match="do not fit together"):
        client_context(WebhookTarget(URL, client_certificate=CERTIFICATE, client_key=other))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no certificate", "certificate-authority-data holds nothing in PEM form"),
        (b"-----BEGIN CERTIFICATE-----\n", "certificate-authority-data holds no CA certificate"),
        (KEY.content, "certificate-authority-data holds no CA certificate"),
    ],
)
def test_a_ca_that_is_none(content: bytes, message: str) -> None:
    ca = Material("certificate-authority-data", content=content)
    with pytest.raises(TocsinError, match=message):
        client_context(WebhookTarget(URL, ca=ca))
