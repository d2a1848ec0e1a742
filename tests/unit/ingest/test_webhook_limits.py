"""What the webhook does at its limits: it says so, keeps its memory, and nobody else suffers."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.unit.ingest.receiver import EVENTS, HOST, FakeSpool, Receiver, running
from tocsin.ingest.server import listen
from tocsin.model.errors import TocsinError

HEAD = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture
def stalled() -> Iterator[FakeSpool]:
    """Return a spool whose disk hangs until the test ends."""
    spool = FakeSpool(stalls=True)
    yield spool
    spool.released.set()


def connected(receiver: Receiver) -> ssl.SSLSocket:
    """Return a raw connection with a good certificate."""
    return receiver.connect(receiver.pki.issue())


def wait_for(receiver: Receiver, name: str, value: float, **labels: str) -> None:
    while receiver.count(name, **labels) != value:
        time.sleep(0.01)


def is_cut(connection: socket.socket, within: float) -> bool:
    """Whether the server ends the connection without an answer."""
    connection.settimeout(within)
    try:
        return connection.recv(4096) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_too_many_posts_at_once_are_told_to_come_back(tmp_path: Path, stalled: FakeSpool) -> None:
    with running(tmp_path, stalled, max_posts=1) as receiver, ExitStack() as stack:
        first = stack.enter_context(connected(receiver))
        first.sendall(HEAD % 2 + b"{}")
        wait_for(receiver, "in_flight", 1)
        client = stack.enter_context(receiver.client())
        # Large, so that an answer before its end would meet a sender that still writes.
        answer = client.post("/", content=b"x" * 5_000_000)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "3"
        stalled.released.set()
        assert first.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert client.post("/", content=EVENTS).status_code == 200


def test_bytes_in_memory_are_limited_for_all_together(tmp_path: Path, stalled: FakeSpool) -> None:
    with running(tmp_path, stalled, max_buffered=1000) as receiver, ExitStack() as stack:
        first = stack.enter_context(connected(receiver))
        client = stack.enter_context(receiver.client())
        first.sendall(HEAD % 600 + b"x" * 600)
        wait_for(receiver, "in_flight", 1)
        assert client.post("/", content=b"y" * 600).status_code == 503
        stalled.released.set()
        assert first.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert client.post("/", content=b"y" * 600).status_code == 200
    assert stalled.stored == [b"x" * 600, b"y" * 600]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(tmp_path: Path, *, chunked: bool) -> None:
    with running(tmp_path, max_body=1000) as receiver, receiver.client() as client:
        body = b"x" * 1001
        answer = client.post("/", content=iter([body]) if chunked else body)
        assert answer.status_code == 413
        assert client.post("/", content=body[:1000]).status_code == 200
        assert [post.length for post in receiver.posts()] == [1000]


def test_a_slow_body_is_cut(tmp_path: Path) -> None:
    with running(tmp_path, body_timeout=0.3) as receiver:
        with connected(receiver) as sender:
            sender.sendall(HEAD % 100 + b"x")
            assert sender.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert receiver.posts() == []
        assert receiver.count("posts_total", cluster="prod", outcome="slow") == 1


def test_a_refused_sender_that_does_not_finish_is_cut(tmp_path: Path) -> None:
    with (
        running(tmp_path, max_posts=0, body_timeout=0.3) as receiver,
        connected(receiver) as sender,
    ):
        sender.sendall(HEAD % 100 + b"x")
        assert sender.recv(4096).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(("sent", "held_back"), [(HEAD % 9, b"x" * 8), (HEAD % 9, b"")])
def test_half_a_body_is_nothing(tmp_path: Path, sent: bytes, held_back: bytes) -> None:
    spool = FakeSpool()
    with running(tmp_path, spool) as receiver:
        with connected(receiver) as sender:
            sender.sendall(sent + held_back)
        wait_for(receiver, "posts_total", 1, cluster="prod", outcome="disconnected")
    assert spool.stored == []
    assert spool.aborted == 1


def test_more_than_was_announced_is_not_part_of_the_body(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        with connected(receiver) as sender:
            sender.sendall(HEAD % 2 + b"{}and more")
            assert sender.recv(4096).startswith(b"HTTP/1.1 ")
        assert [post.body() for post in receiver.posts()] in ([], [b"{}"])


@pytest.mark.parametrize("begun", [b"", b"POST / HT", b"\r\n"])
def test_a_connection_without_a_request_is_cut(tmp_path: Path, begun: bytes) -> None:
    with running(tmp_path, head_timeout=0.3) as receiver, receiver.connect() as idle:
        idle.sendall(begun)
        assert is_cut(idle, within=2)
        assert receiver.count("refused_total", reason="head") == 1


def test_a_kept_connection_may_pause_but_not_dawdle(tmp_path: Path) -> None:
    with running(tmp_path, head_timeout=0.3) as receiver, connected(receiver) as sender:
        sender.sendall(HEAD % 2 + b"{}")
        assert sender.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert not is_cut(sender, within=0.6)
        sender.sendall(b"\r\n")
        assert is_cut(sender, within=2)


def test_an_idle_connection_is_closed_in_the_end(tmp_path: Path) -> None:
    with running(tmp_path, idle_timeout=0.3) as receiver, connected(receiver) as sender:
        sender.sendall(HEAD % 2 + b"{}")
        assert sender.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert is_cut(sender, within=2)


def test_an_endless_head_is_cut(tmp_path: Path) -> None:
    with running(tmp_path) as receiver, receiver.connect() as endless:
        endless.sendall(b"POST / HTTP/1.1\r\n")
        with pytest.raises(OSError, match=r"EOF|reset|pipe"):  # noqa: PT012 (any write may fail)
            for n in range(10_000):
                endless.sendall(b"X-%d: %s\r\n" % (n, b"x" * 1000))


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01 garbage",
        b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(tmp_path: Path, head: bytes) -> None:
    with running(tmp_path) as receiver:
        with connected(receiver) as sender:
            sender.sendall(head)
            assert sender.recv(4096).startswith(b"HTTP/1.1 400 ")
        assert receiver.count("refused_total", reason="malformed") == 1
        assert receiver.posts() == []


def test_a_handshake_that_does_not_come_is_cut(tmp_path: Path) -> None:
    with running(tmp_path, handshake_timeout=0.3) as receiver:
        with socket.create_connection((HOST, receiver.port)) as idle:
            assert is_cut(idle, within=2)
        wait_for(receiver, "refused_total", 1, reason="tls")


def test_one_address_cannot_take_all_connections(tmp_path: Path) -> None:
    with running(tmp_path, max_per_address=3) as receiver, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(receiver.connect(source="127.0.0.2"))
        with socket.create_connection((HOST, receiver.port), 5, ("127.0.0.2", 0)) as fourth:
            assert is_cut(fourth, within=2)
        assert receiver.count("refused_total", reason="connections") == 1
        with receiver.client() as client:
            assert client.post("/", content=EVENTS).status_code == 200


def test_a_closed_connection_makes_room(tmp_path: Path) -> None:
    with running(tmp_path, max_connections=1) as receiver:
        for _ in range(3):
            with receiver.client() as client:
                assert client.post("/", content=EVENTS).status_code == 200
            time.sleep(0.05)


def test_a_port_in_use_is_told_with_its_number() -> None:
    with listen(HOST, 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TocsinError, match=f"cannot listen on 127.0.0.1 port {port}: Addr"):
            listen(HOST, port)


def test_listens_on_ipv6() -> None:
    with listen("::1", 0) as listening:
        assert listening.family == socket.AF_INET6
