"""The webhook's answers, over real TLS and the real spool (audit-delivery, section 8.1)."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.ingest.receiver import EVENTS, TOKEN, FakeSpool, Receiver, running
from tocsin.ingest.senders import Senders

# More than the 1 MiB that is expanded at a time, as compressible as audit events are.
LARGE = b"".join(b'{"auditID":"%064x","verb":"create"}\n' % (n * 0xFEDCBA) for n in range(50_000))


@pytest.fixture(scope="module")
def shared_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with running(tmp_path_factory.mktemp("receiver"), gzip=True) as receiver:
        yield receiver


@pytest.fixture
def receiver(shared_receiver: Receiver) -> Receiver:
    shared_receiver.reset()
    return shared_receiver


def test_answers_200_with_nothing_in_it_once_the_post_is_in_the_spool(receiver: Receiver) -> None:
    with receiver.client() as client:
        answer = client.post("/v1/audit/prod/node-1?timeout=30s", content=EVENTS)

    assert answer.status_code == 200
    assert answer.content == b""
    assert "Content-Type" not in answer.headers
    [post] = receiver.posts()
    assert post.body() == EVENTS
    assert (post.meta.cluster, post.meta.node, post.meta.source) == ("prod", "node-1", "webhook")
    assert post.meta.peer is not None
    assert post.meta.peer.startswith("127.0.0.1 certificate ")
    assert receiver.count("posts_total", cluster="prod", outcome="accepted") == 1
    assert receiver.count("bytes_total", cluster="prod", source="webhook") == len(EVENTS)
    assert receiver.count("ack_seconds_count") == 1


@pytest.mark.parametrize(
    ("path", "node"),
    [
        ("/", None),
        ("/v1/audit/prod", None),
        ("/v1/audit/prod/", None),
        ("/v1/audit/prod/n/", "n"),
        ("//v1//audit/prod//n", "n"),
        ("/v1/audit/prod/Not%20A%20Node", None),
        ("/v1/audit/prod/n/further", None),
        ("/anything/else", None),
    ],
)
def test_every_path_takes_posts_without_a_redirect(
    receiver: Receiver, path: str, node: str | None
) -> None:
    with receiver.client() as client:
        answer = client.post(receiver.url + path, content=EVENTS)

    assert answer.status_code == 200
    assert [post.meta.node for post in receiver.posts()] == [node]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(receiver: Receiver, method: str) -> None:
    with receiver.client() as client:
        answer = client.request(method, "/v1/audit/prod")

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("shown", [None, "Bearer wrong", "Bearer töken", "Basic eDp5", TOKEN])
def test_nobody_is_refused_and_nothing_is_stored(receiver: Receiver, shown: str | None) -> None:
    with receiver.token_client(None) as client:
        headers = {} if shown is None else {b"Authorization": shown.encode()}
        answer = client.post("/v1/audit/prod", content=EVENTS, headers=headers)

    assert answer.status_code == 401
    assert answer.json() == {"error": "no valid client certificate or bearer token"}
    assert receiver.posts() == []
    assert receiver.count("refused_total", reason="credential") == 1


def test_a_token_is_as_good_as_a_certificate(receiver: Receiver) -> None:
    with receiver.token_client() as client:
        assert client.post("/v1/audit/prod/n", content=EVENTS).status_code == 200

    [post] = receiver.posts()
    assert post.meta.peer == "127.0.0.1 token prod"


def test_the_credential_of_another_cluster_is_refused(receiver: Receiver) -> None:
    with receiver.client(receiver.pki.issue("test")) as client:
        assert client.post("/v1/audit/prod/n", content=EVENTS).status_code == 403
        assert client.post("/v1/audit/test/n", content=EVENTS).status_code == 200

    assert [post.meta.cluster for post in receiver.posts()] == ["test"]


def test_the_answer_to_a_stranger_comes_before_its_body(receiver: Receiver) -> None:
    with receiver.connect() as stranger:
        stranger.sendall(b"POST /v1/audit/prod HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n")
        assert stranger.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_senders_can_be_replaced_while_it_runs(receiver: Receiver) -> None:
    with receiver.client() as client:
        assert client.post("/", content=EVENTS).status_code == 200
        receiver.app.senders = Senders([])
        assert client.post("/", content=EVENTS).status_code == 401


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\x00", b'{"items":[NaN]}'])
def test_a_body_is_stored_whatever_it_holds(receiver: Receiver, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with receiver.client() as client:
        assert client.post("/", content=body, headers=headers).status_code == 200

    assert [post.body() for post in receiver.posts()] == [body]


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_an_encoding_that_is_not_known_is_refused(receiver: Receiver, encoding: str) -> None:
    with receiver.client() as client:
        answer = client.post("/", content=EVENTS, headers={"Content-Encoding": encoding})

    assert answer.status_code == 415
    assert receiver.posts() == []


def test_identity_is_no_encoding(receiver: Receiver) -> None:
    with receiver.client() as client:
        answer = client.post("/", content=EVENTS, headers={"Content-Encoding": "identity"})

    assert answer.status_code == 200


def test_a_spool_that_cannot_store_means_503(tmp_path: Path) -> None:
    spool = FakeSpool(fails=True)
    with running(tmp_path, spool) as receiver, receiver.client() as client:
        answer = client.post("/", content=EVENTS)

        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "3"
        assert spool.aborted == 1
        assert receiver.count("posts_total", cluster="prod", outcome="spool") == 1


def test_no_answer_before_the_spool_has_committed(tmp_path: Path) -> None:
    spool = FakeSpool(stalls=True)
    with running(tmp_path, spool) as receiver, receiver.connect(receiver.pki.issue()) as sender:
        sender.sendall(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}")
        sender.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sender.recv(1)
        assert receiver.count("in_flight") == 1
        spool.released.set()
        sender.settimeout(5)
        assert sender.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert spool.stored == [b"{}"]


@pytest.mark.parametrize(
    ("compressed", "expected"),
    [
        (gzip.compress(EVENTS), EVENTS),
        (gzip.compress(EVENTS) + gzip.compress(b"\n{}"), EVENTS + b"\n{}"),
        (gzip.compress(LARGE), LARGE),
        (b"", b""),
    ],
    ids=["one member", "two members", "large", "empty"],
)
def test_gzip_is_expanded(receiver: Receiver, compressed: bytes, expected: bytes) -> None:
    with receiver.token_client() as client:
        answer = client.post("/", content=compressed, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 200
    assert [post.body() for post in receiver.posts()] == [expected]


def test_gzip_is_refused_unless_it_is_enabled(tmp_path: Path) -> None:
    with running(tmp_path) as receiver, receiver.client() as client:
        packed = gzip.compress(EVENTS)
        answer = client.post("/", content=packed, headers={"Content-Encoding": "gzip"})
        assert answer.status_code == 415
        assert receiver.posts() == []


@pytest.mark.parametrize(
    "damaged",
    [EVENTS, gzip.compress(EVENTS)[:-5], gzip.compress(EVENTS) + b"trailing"],
    ids=["none", "cut", "trailing"],
)
def test_damaged_gzip_is_refused(receiver: Receiver, damaged: bytes) -> None:
    with receiver.client() as client:
        answer = client.post("/", content=damaged, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert receiver.posts() == []


@pytest.mark.parametrize(
    ("query", "source"),
    [
        ("", "webhook"),
        ("?timeout=30s", "webhook"),
        ("?source=backfill", "backfill"),
        ("?timeout=30s&source=backfill", "backfill"),
        ("?source=", "webhook"),
        ("?source=file", "file"),
        ("?source=webhook", "webhook"),
        ("?source=unauthenticated", "webhook"),
        ("?source=Backfill", "webhook"),
        ("?%ff=%00&&=&source", "webhook"),
    ],
)
def test_a_query_marks_a_post_as_backfill_or_log_and_nothing_else(
    receiver: Receiver, query: str, source: str
) -> None:
    with receiver.client() as client:
        assert client.post(f"/v1/audit/prod/n{query}", content=EVENTS).status_code == 200

    assert [post.meta.source for post in receiver.posts()] == [source]
    assert receiver.count("bytes_total", cluster="prod", source=source) == len(EVENTS)


def test_a_body_in_chunks_is_stored_whole(receiver: Receiver) -> None:
    with receiver.client() as client:
        pieces = (b"x" * 1_000_000 for _ in range(20))
        assert client.post("/", content=pieces).status_code == 200

    [post] = receiver.posts()
    assert post.length == 20_000_000
    assert post.parts == 3
