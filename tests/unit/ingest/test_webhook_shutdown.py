"""Bar R17: stopping under load keeps every post that was acknowledged, and is quick."""

import threading
import time
from pathlib import Path

import httpx2

from tests.unit.ingest.receiver import EVENTS, FakeSpool, running


def test_stopping_under_load_keeps_every_acknowledged_post(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        acknowledged: list[bytes] = []
        contexts = [receiver.client() for _ in range(4)]

        def send(sender: int, client: httpx2.Client) -> None:
            with client:
                for n in range(100_000):
                    body = b'{"auditID":"%d-%d"}' % (sender, n)
                    try:
                        status = client.post("/", content=body).status_code
                    except httpx2.HTTPError:
                        return
                    if status == 200:
                        acknowledged.append(body)

        senders = [
            threading.Thread(target=send, args=(n, client)) for n, client in enumerate(contexts)
        ]
        for thread in senders:
            thread.start()
        while len(acknowledged) < 100:
            time.sleep(0.01)
        started = time.monotonic()
        receiver.stop()
        assert time.monotonic() - started < 5
        for thread in senders:
            thread.join()
    assert set(acknowledged) <= {post.body() for post in receiver.posts()}


def test_a_post_in_flight_is_finished_before_it_stops(tmp_path: Path) -> None:
    spool = FakeSpool(stalls=True)
    with running(tmp_path, spool) as receiver, receiver.connect(receiver.pki.issue()) as sender:
        sender.sendall(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}")
        while not receiver.count("in_flight"):
            time.sleep(0.01)
        threading.Timer(0.3, spool.released.set).start()
        receiver.stop()
        assert sender.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert spool.stored == [b"{}"]


def test_what_cannot_be_finished_is_given_up_without_an_acknowledgement(tmp_path: Path) -> None:
    spool = FakeSpool(stalls=True)
    with running(tmp_path, spool, shutdown_timeout=0.3) as receiver:
        with receiver.connect(receiver.pki.issue()) as sender:
            sender.sendall(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}")
            while not receiver.count("in_flight"):
                time.sleep(0.01)
            started = time.monotonic()
            receiver.stop()
            assert time.monotonic() - started < 3
            assert b" 200 " not in sender.recv(4096)
        spool.released.set()


def test_idle_connections_and_handshakes_do_not_hold_it_up(tmp_path: Path) -> None:
    with running(tmp_path) as receiver, receiver.client() as client:
        assert client.post("/", content=EVENTS).status_code == 200
        started = time.monotonic()
        receiver.stop()
        assert time.monotonic() - started < 2
