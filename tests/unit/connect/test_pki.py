import multiprocessing
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tocsin.connect.keypair import serial_hex
from tocsin.connect.pki import LOCAL_NAMES, Authority, Issued, ensure_server_certificate
from tocsin.model.errors import TocsinError


def load(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate.read_bytes())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def later(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def fingerprint(folder: Path) -> bytes:
    """Run in a process of its own: make or load the authority."""
    return Authority.load_or_create(folder).certificate_path.read_bytes()


def test_authority_is_made_once_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "pki"

    first = Authority.load_or_create(folder)
    second = Authority.load_or_create(folder)

    assert first.certificate == second.certificate
    assert mode(folder) == 0o700
    assert mode(folder / "ca.key") == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["ca.crt", "ca.key"]


def test_processes_that_start_together_get_one_authority(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        made = pool.map(fingerprint, [tmp_path / "pki"] * 6)
        pool.close()
        pool.join()
    assert len(set(made)) == 1


def test_threads_that_start_together_get_one_certificate(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        issued = list(threads.map(lambda _: ensure_server_certificate(tmp_path), range(8)))
    assert len({one.serial for one in issued}) == 1
    assert [one.reason for one in issued].count(None) == 7


def test_half_made_authority_is_made_anew(tmp_path: Path) -> None:
    Authority.load_or_create(tmp_path)
    (tmp_path / "ca.crt").unlink()
    Authority.load_or_create(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"junk"])
def test_lost_key_is_not_replaced_unseen(tmp_path: Path, content: bytes | None) -> None:
    Authority.load_or_create(tmp_path)
    (tmp_path / "ca.key").unlink()
    if content is not None:
        (tmp_path / "ca.key").write_bytes(content)
    with pytest.raises(TocsinError, match="restore both"):
        Authority.load_or_create(tmp_path)


def test_key_of_another_authority_is_refused(tmp_path: Path) -> None:
    Authority.load_or_create(tmp_path / "one")
    Authority.load_or_create(tmp_path / "two")
    (tmp_path / "one/ca.key").replace(tmp_path / "two/ca.key")
    with pytest.raises(TocsinError, match="do not belong together"):
        Authority.load_or_create(tmp_path / "two")


def test_expired_authority_is_refused(tmp_path: Path) -> None:
    Authority.load_or_create(tmp_path)
    with pytest.raises(TocsinError, match="has expired"):
        Authority.load_or_create(tmp_path, clock=lambda: later(3651))


def test_server_certificate_is_kept_while_it_is_good(tmp_path: Path) -> None:
    first = ensure_server_certificate(tmp_path)
    second = ensure_server_certificate(tmp_path)

    assert first.reason == "there was none"
    assert second.reason is None
    assert first.serial == second.serial == serial_hex(load(second))
    assert mode(first.key) == 0o600
    names = load(first).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == set(LOCAL_NAMES)


def test_server_names_are_added_never_taken_away(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    authority.issue_server(["localhost"])

    wider = authority.issue_server(["10.0.0.5", "tocsin.example.org"])
    same = ensure_server_certificate(tmp_path, ["localhost"])

    assert wider.reason == "new names: 10.0.0.5, tocsin.example.org"
    assert same.reason is None
    assert same.serial == wider.serial


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (31, None),
        (29, "the old one had less than 30 days left"),
        (-1, "the old one had less than 30 days left"),
    ],
)
def test_certificate_is_renewed_in_its_last_days(
    tmp_path: Path, left: int, reason: str | None
) -> None:
    first = Authority.load_or_create(tmp_path).issue_client("prod")
    clock = first.expires - timedelta(days=left)

    second = Authority.load_or_create(tmp_path, clock=lambda: clock).issue_client("prod")

    assert second.reason == reason
    assert (second.serial == first.serial) is (reason is None)


def test_certificate_never_outlives_its_authority(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    late = Authority.load_or_create(tmp_path, clock=lambda: later(3600))
    assert late.issue_client("prod").expires == authority.certificate.not_valid_after_utc


def test_client_certificate_names_the_cluster(tmp_path: Path) -> None:
    issued = Authority.load_or_create(tmp_path).issue_client("prod")
    certificate = load(issued)

    subject = {attribute.oid: attribute.value for attribute in certificate.subject}
    assert subject == {
        NameOID.ORGANIZATION_NAME: "tocsin:cluster",
        NameOID.COMMON_NAME: "prod",
    }
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert issued.certificate == tmp_path / "clusters/prod/client.crt"
    assert mode(issued.key) == 0o600


def test_revoked_client_certificate_is_replaced(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    first = authority.issue_client("prod")

    second = authority.issue_client("prod", revoked=[first.serial])

    assert second.reason == "the old one is revoked"
    assert authority.issue_client("prod", revoked=[first.serial]).serial == second.serial


def test_certificate_of_another_cluster_is_replaced(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    authority.issue_client("prod")
    (tmp_path / "clusters/prod").rename(tmp_path / "clusters/dev")
    assert authority.issue_client("dev").reason == "the old one named another cluster"


def test_certificate_of_a_former_authority_is_replaced(tmp_path: Path) -> None:
    ensure_server_certificate(tmp_path)
    (tmp_path / "ca.crt").unlink()
    (tmp_path / "ca.key").unlink()
    assert ensure_server_certificate(tmp_path).reason == "another authority had signed the old one"


@pytest.mark.parametrize("name", ["../prod", "Prod", ""])
def test_wrong_cluster_name_makes_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(TocsinError, match="wrong cluster name"):
        Authority.load_or_create(tmp_path).issue_client(name)
    assert not (tmp_path / "clusters").exists()


class TestHandshake:
    """The certificates under a real TLS handshake, as the receiver sets it up (bar S8)."""

    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority.load_or_create(tmp_path / "pki")

    def shake_hands(
        self, authority: Authority, client: Issued | None, host: str = "localhost"
    ) -> bytes:
        """Return the client's certificate as the server got it."""
        server = authority.issue_server(LOCAL_NAMES)
        listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        listening.load_cert_chain(server.certificate, server.key)
        listening.load_verify_locations(authority.certificate_path)
        listening.verify_mode = ssl.CERT_REQUIRED
        listening.verify_flags |= ssl.VERIFY_X509_STRICT
        calling = ssl.create_default_context(cafile=authority.certificate_path)
        calling.verify_flags |= ssl.VERIFY_X509_STRICT
        if client:
            calling.load_cert_chain(client.certificate, client.key)
        return exchange(listening, calling, host)

    @pytest.mark.parametrize("host", LOCAL_NAMES)
    def test_client_of_the_cluster_is_let_in(self, authority: Authority, host: str) -> None:
        client = authority.issue_client("prod")
        seen = x509.load_der_x509_certificate(self.shake_hands(authority, client, host))
        assert serial_hex(seen) == client.serial

    def test_no_certificate_is_refused(self, authority: Authority) -> None:
        with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
            self.shake_hands(authority, None)

    def test_certificate_of_another_authority_is_refused(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        other = Authority.load_or_create(tmp_path / "other").issue_client("prod")
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            self.shake_hands(authority, other)

    def test_expired_certificate_is_refused(self, authority: Authority, tmp_path: Path) -> None:
        past = Authority.load_or_create(tmp_path / "pki", clock=lambda: later(-366))
        with pytest.raises(ssl.SSLError, match="certificate has expired"):
            self.shake_hands(authority, past.issue_client("prod"))

    def test_server_certificate_is_no_client_certificate(self, authority: Authority) -> None:
        with pytest.raises(ssl.SSLError, match=r"(unsuitable|unsupported) certificate purpose"):
            self.shake_hands(authority, authority.issue_server(LOCAL_NAMES))

    def test_client_certificate_is_no_server_certificate(self, authority: Authority) -> None:
        client = authority.issue_client("prod")
        listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        listening.load_cert_chain(client.certificate, client.key)
        calling = ssl.create_default_context(cafile=authority.certificate_path)
        calling.check_hostname = False
        with pytest.raises(ssl.SSLError, match=r"(unsuitable|unsupported) certificate purpose"):
            exchange(listening, calling, "localhost")

    def test_name_that_was_not_asked_for_is_refused(self, authority: Authority) -> None:
        client = authority.issue_client("prod")
        with pytest.raises(ssl.SSLError, match="Hostname mismatch"):
            self.shake_hands(authority, client, "tocsin.example.org")


def exchange(listening: ssl.SSLContext, calling: ssl.SSLContext, host: str) -> bytes:
    """Shake hands in memory, no socket needed; the first side to object raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = listening.wrap_bio(to_server, to_client, server_side=True)
    client = calling.wrap_bio(to_client, to_server, server_hostname=host)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    certificate = server.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate
