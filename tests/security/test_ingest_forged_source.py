"""Bar S16: well-formed events count only from a sender that is who its path says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509

from tests.unit.ingest.receiver import EVENTS, TOKEN, Receiver, running
from tocsin.ingest.senders import Cluster, Senders


@pytest.fixture(scope="module")
def shared_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with running(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


@pytest.fixture
def receiver(shared_receiver: Receiver) -> Receiver:
    shared_receiver.reset()
    return shared_receiver


def assert_refused(receiver: Receiver, leaf: trustme.LeafCert, status: int) -> None:
    with receiver.client(leaf) as client:
        assert client.post("/v1/audit/prod/n", content=EVENTS).status_code == status
    assert receiver.posts() == []


def test_s16_no_credential(receiver: Receiver) -> None:
    with receiver.token_client(None) as client:
        assert client.post("/v1/audit/prod/n", content=EVENTS).status_code == 401
    assert receiver.posts() == []
    assert receiver.count("refused_total", reason="credential") == 1


def test_s16_another_clusters_certificate(receiver: Receiver) -> None:
    assert_refused(receiver, receiver.pki.issue("test"), 403)


def test_s16_a_certificate_of_no_known_cluster(receiver: Receiver) -> None:
    assert_refused(receiver, receiver.pki.issue("elsewhere"), 401)


def test_s16_our_cas_certificate_of_another_kind(receiver: Receiver) -> None:
    assert_refused(receiver, receiver.pki.issue("prod", "tocsin:operator"), 401)


def test_s16_a_revoked_certificate_even_beside_a_good_token(receiver: Receiver) -> None:
    leaf = receiver.pki.issue()
    certificate = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    refused = {f"{certificate.serial_number:x}": datetime.now(UTC)}
    receiver.app.senders = Senders([Cluster("prod")], refused=refused)
    with receiver.client(leaf) as client:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert client.post("/", content=EVENTS, headers=headers).status_code == 401
    assert receiver.posts() == []


def test_s16_a_certificate_that_expires_on_a_kept_connection(receiver: Receiver) -> None:
    expires = datetime.now(UTC) + timedelta(seconds=2)
    with receiver.client(receiver.pki.issue(not_after=expires)) as client:
        assert client.post("/", content=EVENTS).status_code == 200
        while client.post("/", content=EVENTS).status_code == 200:
            assert datetime.now(UTC) < expires + timedelta(seconds=1)
        assert datetime.now(UTC) > expires - timedelta(seconds=1)
    assert receiver.count("refused_total", reason="credential") == 1
