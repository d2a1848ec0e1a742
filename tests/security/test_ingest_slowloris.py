"""Bar S7, small form: connections that do nothing, slowly, do not keep honest senders waiting."""

import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.unit.ingest.receiver import HOST, Receiver, running

ATTACKERS = 400
BATCH = b"x" * 300_000


def latencies(receiver: Receiver, count: int) -> list[float]:
    taken = []
    with receiver.client() as client:
        for _ in range(count):
            started = time.perf_counter()
            assert client.post("/v1/audit/prod/n", content=BATCH).status_code == 200
            taken.append(time.perf_counter() - started)
    return taken


@contextmanager
def idle_connections(receiver: Receiver, *, handshake: bool) -> Iterator[list[socket.socket]]:
    """Open connections from other addresses; with `handshake` they also begin a request."""
    with ExitStack() as stack:
        opened: list[socket.socket] = []
        for n in range(ATTACKERS):
            source = f"127.0.1.{n % 4 + 1}"
            if handshake:
                connection: socket.socket = receiver.connect(source=source)
                connection.sendall(b"POST /")
            else:
                connection = socket.create_connection((HOST, receiver.port), 5, (source, 0))
            opened.append(stack.enter_context(connection))
        yield opened


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError as error:
        return "did not complete" in str(error)


@pytest.mark.robustness
@pytest.mark.timeout(120)
@pytest.mark.parametrize("handshake", [False, True])
def test_s7_slow_connections_are_cut_and_hurt_nobody(tmp_path: Path, *, handshake: bool) -> None:
    with running(tmp_path) as receiver:
        alone = statistics.median(latencies(receiver, 50))
        started = time.monotonic()
        with idle_connections(receiver, handshake=handshake) as attackers:
            under_attack = statistics.median(latencies(receiver, 50))
            while any(is_open(attacker) for attacker in attackers):
                assert time.monotonic() - started < 30
                time.sleep(0.2)
        assert under_attack <= 2 * alone + 0.02
