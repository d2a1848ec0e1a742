"""Bar R17: stopping under load is quick, orderly, and keeps what was acknowledged."""

import signal
import socket
import time
from pathlib import Path

import pytest

from tests.robustness.harness import HOST, PATH, Tocsin, running
from tests.robustness.traffic import History, Oracle, check, load

STOP_SECONDS = 5.0


def stop_under_load(tocsin: Tocsin, history: History, number: signal.Signals) -> None:
    """Stop a Tocsin that is being sent to, by the signals of `kill` or of Ctrl-C."""
    with load(tocsin, history, seed=number, pause=0.02):
        wanted = len(history.acked) + 30
        tocsin.wait_for(lambda: len(history.acked) > wanted, "nothing is acknowledged")
        stop = tocsin.interrupt if number == signal.SIGINT else tocsin.stop
        code, seconds = stop()
    print(f"{number.name}: {seconds:.1f} s")
    assert code == 0
    assert seconds <= STOP_SECONDS


@pytest.mark.robustness
@pytest.mark.timeout(120)
def test_r17_stopping_under_load(tmp_path: Path) -> None:
    history = History()
    with running(tmp_path / "tocsin") as tocsin:
        stop_under_load(tocsin, history, signal.SIGTERM)
        tocsin.start()
        stop_under_load(tocsin, history, signal.SIGINT)
        assert "Traceback" not in tocsin.log.read_text()
        tocsin.start()
        tocsin.drain()
        assert tocsin.stop()[0] == 0
        check(tocsin, history, Oracle(tocsin.rules))


@pytest.mark.robustness
@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_r17_a_second_signal_ends_it_at_once(tmp_path: Path, number: signal.Signals) -> None:
    history = History()
    with running(tmp_path / "tocsin") as tocsin:
        with (
            load(tocsin, history, seed=number),
            socket.create_connection((HOST, tocsin.port)) as raw,
        ):
            tocsin.wait_for(lambda: len(history.acked) > 5, "nothing is acknowledged")
            # A post that never ends keeps the receiver from stopping in its own time.
            context = tocsin.client_context()
            with context.wrap_socket(raw, server_hostname=HOST) as slow:
                slow.sendall(
                    f"POST {PATH} HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n{{".encode()
                )
                tocsin.wait_for(lambda: tocsin.metrics()["tocsin_ingest_in_flight"], "no post")
                children = tocsin.processes()[1:]
                assert tocsin.process is not None
                tocsin.process.send_signal(number)
                time.sleep(1)
                assert tocsin.process.poll() is None
                began = time.monotonic()
                tocsin.process.send_signal(number)
                tocsin.process.wait(STOP_SECONDS)
                seconds = time.monotonic() - began
                assert not any(child.is_running() for child in children)
        print(f"{number.name} twice: {seconds:.1f} s")
        assert seconds <= 1
        tocsin.process = None
        tocsin.start()
        tocsin.drain()
        tocsin.stop()
        check(tocsin, history, Oracle(tocsin.rules))
