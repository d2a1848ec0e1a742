"""The server's TLS context and its renewal from files."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.unit.ingest.receiver import Pki
from tocsin.ingest.tls import ServerTls
from tocsin.model.errors import TocsinError


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def test_the_certificate_is_required_or_optional(pki: Pki) -> None:
    tls = ServerTls(pki.files)

    assert tls.context(certificate_required=True).verify_mode == ssl.CERT_REQUIRED
    assert tls.context(certificate_required=False).verify_mode == ssl.CERT_OPTIONAL


def test_old_versions_resumption_and_renegotiation_are_off(pki: Pki) -> None:
    context = ServerTls(pki.files).context(certificate_required=True)

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.num_tickets == 0
    assert context.options & ssl.OP_NO_TICKET
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_files_that_did_not_change_are_not_read_again(pki: Pki) -> None:
    tls = ServerTls(pki.files)

    first = tls.context(certificate_required=True)
    assert tls.context(certificate_required=True) is first


def test_changed_files_make_a_new_context(pki: Pki) -> None:
    tls = ServerTls(pki.files)
    first = tls.context(certificate_required=True)

    pki.write_server()
    assert tls.context(certificate_required=True) is not first


def test_a_changed_client_ca_replaces_the_old_one(pki: Pki) -> None:
    tls = ServerTls(pki.files)
    old = tls.context(certificate_required=True).get_ca_certs()

    trustme.CA().cert_pem.write_to_path(pki.files.client_ca)
    new = tls.context(certificate_required=True).get_ca_certs()
    assert len(old) == len(new) == 1
    assert old != new


def change_certificate_only(pki: Pki) -> None:
    pki.server_ca.issue_cert("127.0.0.1").cert_chain_pems[0].write_to_path(pki.files.certificate)


def empty_the_ca(pki: Pki) -> None:
    Path(pki.files.client_ca).write_bytes(b"")


def remove_the_key(pki: Pki) -> None:
    Path(pki.files.key).unlink()


@pytest.mark.parametrize("damage", [change_certificate_only, empty_the_ca, remove_the_key])
def test_files_that_do_not_load_leave_the_old_ones_in_use(
    pki: Pki, damage: Callable[[Pki], None], caplog: pytest.LogCaptureFixture
) -> None:
    tls = ServerTls(pki.files)
    first = tls.context(certificate_required=True)

    damage(pki)
    assert tls.context(certificate_required=True) is first
    assert "not renewed" in caplog.text

    pki.write_server()
    pki.client_ca.cert_pem.write_to_path(pki.files.client_ca)
    assert tls.context(certificate_required=True) is not first


@pytest.mark.parametrize("damage", [change_certificate_only, empty_the_ca, remove_the_key])
def test_files_that_do_not_load_at_start_are_an_error_that_names_them(
    pki: Pki, damage: Callable[[Pki], None]
) -> None:
    damage(pki)
    with pytest.raises(TocsinError, match="TLS files"):
        ServerTls(pki.files)


def test_an_encrypted_key_is_an_error_instead_of_a_question(pki: Pki) -> None:
    path = Path(pki.files.key)
    key = load_pem_private_key(path.read_bytes(), None)
    encryption = BestAvailableEncryption(b"secret")
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption))
    with pytest.raises(TocsinError, match="TLS files"):
        ServerTls(pki.files)
