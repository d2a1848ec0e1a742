"""Bar S16 where `allow_unauthenticated_from` is set: what is let in, and all that is not."""

import hashlib
import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from tests.unit.ingest.receiver import EVENTS, HOST, TOKEN, Receiver, running
from tocsin.ingest.senders import CLUSTER_ORGANISATION, Cluster, Senders

INSIDE, OUTSIDE = "127.0.0.2", "127.0.0.3"
OPEN = (f"{INSIDE}/32", "::1/128")


@pytest.fixture(scope="module")
def shared_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with running(tmp_path_factory.mktemp("open"), allow_unauthenticated_from=OPEN) as receiver:
        yield receiver


@pytest.fixture
def receiver(shared_receiver: Receiver) -> Receiver:
    shared_receiver.reset()
    return shared_receiver


def post(
    receiver: Receiver,
    source: str = INSIDE,
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    certificate: trustme.LeafCert | None = None,
) -> int | None:
    """Return what a post from an address is answered; None: TLS does not let it through."""
    context = receiver.pki.client(certificate)
    connection = http.client.HTTPSConnection(
        HOST, receiver.port, timeout=5, source_address=(source, 0), context=context
    )
    with closing(connection):
        try:
            connection.request("POST", path, EVENTS, dict(headers or {}))
            return connection.getresponse().status
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            return None


def sources(receiver: Receiver) -> list[tuple[str, str, str | None]]:
    return [(p.meta.cluster, p.meta.source, p.meta.peer) for p in receiver.posts()]


@pytest.mark.parametrize(
    "path", ["/", "/anything", "/v1/audit/default", "/v1/audit/default/n", "/?source=backfill"]
)
def test_s16_who_proves_nothing_is_let_in_and_marked(receiver: Receiver, path: str) -> None:
    assert post(receiver, path=path) == 200
    assert sources(receiver) == [
        ("default", "unauthenticated", f"{INSIDE} unauthenticated"),
    ]
    assert receiver.count("unauthenticated_posts_total") == 1
    assert receiver.count("posts_total", cluster="default", outcome="accepted") == 1


def test_s16_another_address(receiver: Receiver) -> None:
    assert post(receiver, OUTSIDE) == 401
    assert receiver.posts() == []
    assert receiver.count("unauthenticated_posts_total") == 0
    assert receiver.count("refused_total", reason="credential") == 1


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"])
def test_s16_an_address_in_a_header_counts_for_nothing(receiver: Receiver, name: str) -> None:
    value = f"for={INSIDE}" if name == "Forwarded" else INSIDE
    assert post(receiver, OUTSIDE, headers={name: value}) == 401
    assert receiver.posts() == []


@pytest.mark.parametrize("path", ["/v1/audit/prod", "/v1/audit/prod/n", "/v1/audit/unknown"])
def test_s16_the_name_of_another_cluster(receiver: Receiver, path: str) -> None:
    assert post(receiver, path=path) == 403
    assert receiver.posts() == []


@pytest.mark.parametrize(
    "authorization", ["", "Bearer wrong", "Bearer", "Basic dXNlcjpwYXNz", "Negotiate x"]
)
def test_s16_a_wrong_token_is_not_the_same_as_none(receiver: Receiver, authorization: str) -> None:
    assert post(receiver, headers={"Authorization": authorization}) == 401
    assert receiver.posts() == []


def test_s16_wrong_certificates_are_not_the_same_as_none(receiver: Receiver) -> None:
    stranger = trustme.CA().issue_cert(common_name="prod", organization_name=CLUSTER_ORGANISATION)
    assert post(receiver, certificate=stranger) is None
    for leaf in (receiver.pki.issue("unknown"), receiver.pki.issue("prod", "tocsin:operator")):
        assert post(receiver, certificate=leaf) == 401
    assert receiver.posts() == []


def test_s16_a_good_credential_still_proves_its_cluster(receiver: Receiver) -> None:
    assert post(receiver, headers={"Authorization": f"Bearer {TOKEN}"}) == 200
    assert post(receiver, OUTSIDE, certificate=receiver.pki.issue("test")) == 200
    assert [source[:2] for source in sources(receiver)] == [
        ("prod", "webhook"),
        ("test", "webhook"),
    ]
    assert receiver.count("unauthenticated_posts_total") == 0


def test_s16_a_revoked_default_cluster_takes_nothing(receiver: Receiver) -> None:
    receiver.app.senders = Senders([Cluster("prod")], revoked=["default"])
    assert post(receiver) == 401
    assert receiver.posts() == []


def test_s16_certificates_stay_required_where_nobody_is_let_in(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        receiver.app.senders = Senders([Cluster("prod")])
        assert post(receiver) is None
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        receiver.app.senders = Senders([Cluster("prod", (digest,))])
        assert post(receiver) == 401
        assert receiver.posts() == []


@pytest.mark.parametrize(("source", "status"), [(INSIDE, 200), (OUTSIDE, 401)])
def test_s16_ipv4_through_a_socket_of_ipv6(tmp_path: Path, source: str, status: int) -> None:
    both = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    with running(tmp_path, sockets=[both], allow_unauthenticated_from=OPEN) as receiver:
        assert post(receiver, source) == status
        peers = [peer for _, _, peer in sources(receiver)]
        assert peers == ([f"::ffff:{source} unauthenticated"] if status == 200 else [])


@pytest.mark.parametrize(("networks", "status"), [(OPEN, 200), ((f"{INSIDE}/32",), 401)])
def test_s16_ipv6(tmp_path: Path, networks: tuple[str, ...], status: int) -> None:
    six = socket.create_server(("::1", 0), family=socket.AF_INET6)
    with running(tmp_path, sockets=[six], allow_unauthenticated_from=networks) as receiver:
        plain = socket.create_connection(("::1", receiver.port), 5)
        with receiver.pki.client().wrap_socket(plain, server_hostname=HOST) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}")
            assert connection.recv(4096).startswith(b"HTTP/1.1 %d " % status)
