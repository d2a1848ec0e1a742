"""What is sent, in which order, and what happens when Tocsin cannot take it."""

import asyncio
import os
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.ingest.receiver import HOST, TOKEN, FakeSpool, Receiver, running
from tests.unit.runtime.rulefiles import event, event_list, lines
from tocsin.ingest.file import STDIN, Chunk
from tocsin.model.errors import TocsinError
from tocsin.runtime import backfill as module
from tocsin.runtime.backfill import BATCH_LINES, Sender, Tally, Window, batches, in_order
from tocsin.runtime.poster import Destination, Poster

HOUR = [datetime(2026, 11, 23, hour, tzinfo=UTC) for hour in range(24)]


def at(moment: str) -> dict[str, object]:
    return event(stageTimestamp=moment, requestReceivedTimestamp="2026-11-23T00:00:00Z")


def test_batches_have_500_lines_and_no_blank_ones() -> None:
    data = b"\n".join(b'{"n":%d}' % n for n in range(1_200)) + b"\n\n  \r\n"
    bodies = list(batches(iter([Chunk("a", 1, data)]), Window(), Tally()))
    assert [body.count(b"\n") for body in bodies] == [BATCH_LINES, BATCH_LINES, 200]
    assert b"".join(bodies) == data.removesuffix(b"\n  \r\n")


@pytest.mark.parametrize(
    ("window", "held"),
    [
        (Window(), [9, 10, 11]),
        (Window(since=HOUR[10]), [10, 11]),
        (Window(until=HOUR[10]), [9]),
        (Window(HOUR[10], HOUR[11]), [10]),
    ],
)
def test_a_window_begins_with_since_and_ends_before_until(window: Window, held: list[int]) -> None:
    for hour in (9, 10, 11):
        for moment in (
            f"2026-11-23T{hour:02}:00:00.000000Z",
            f"2026-11-23T{hour + 2:02}:00:00+02:00",
        ):
            assert window.holds(lines(at(moment))) is (hour in held)


@pytest.mark.parametrize(
    "line", [b"{", b"[" * 100_000, b"7", b'{"stageTimestamp":7}', event_list(event()), b"{}"]
)
def test_what_tells_no_time_is_sent(line: bytes) -> None:
    assert Window(HOUR[1], HOUR[2]).holds(line)


def test_a_time_that_is_none_counts_as_long_ago() -> None:
    assert not Window(since=HOUR[1]).holds(lines(at("tomorrow")))


def test_files_are_sent_by_the_time_of_their_first_event(tmp_path: Path) -> None:
    times = {"b": "2026-11-23T03:00:00Z", "a": "2026-11-23T05:00:00Z", "c": "2026-11-23T04:00:00Z"}
    for name, moment in times.items():
        (tmp_path / name).write_bytes(lines(event(requestReceivedTimestamp=moment)))
    (tmp_path / "empty").touch()
    names = [STDIN, *(str(tmp_path / name) for name in ("a", "b", "c", "empty"))]
    assert [Path(name).name for name in in_order(names)] == ["empty", "b", "c", "a", STDIN]


def test_nobody_looks_into_a_pipe_beforehand(tmp_path: Path) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_bytes(lines(event()))
    assert in_order([str(pipe), str(file)]) == [str(file), str(pipe)]


@pytest.fixture
def spool() -> FakeSpool:
    return FakeSpool()


@pytest.fixture
def receiver(tmp_path: Path, spool: FakeSpool) -> Iterator[Receiver]:
    with running(tmp_path, spool) as receiver:
        yield receiver


def send(
    receiver: Receiver, bodies: Iterable[bytes], token: str = TOKEN, port: int | None = None
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    receiver.pki.server_ca.configure_trust(context)
    url = f"https://{HOST}:{port or receiver.port}/v1/audit/prod"

    async def run() -> None:
        async with Poster(Destination(url, context, token), source="backfill") as poster:
            sender = Sender(poster)
            for body in bodies:
                await sender.send(body)

    asyncio.run(run())


def test_a_busy_tocsin_is_waited_for(
    receiver: Receiver, spool: FakeSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_RETRY_SECONDS", 0.01)
    spool.fails = True

    def mend() -> None:
        while receiver.count("posts_total", cluster="prod", outcome="spool") < 3:
            time.sleep(0.01)
        spool.fails = False

    mending = threading.Thread(target=mend, daemon=True)
    mending.start()
    send(receiver, [b"one", b"two"])
    mending.join()
    assert spool.stored == [b"one", b"two"]


def test_waiting_ends_with_the_reason(
    receiver: Receiver, spool: FakeSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0)
    spool.fails = True
    with pytest.raises(TocsinError, match="did not take events for 0 s: it answers 503: "):
        send(receiver, [b"one"])


def test_a_tocsin_that_goes_away_in_between_is_waited_for(
    receiver: Receiver, spool: FakeSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)

    def bodies() -> Iterator[bytes]:
        yield b"one"
        receiver.stop()
        yield b"two"

    with pytest.raises(TocsinError, match=r"did not take events for 0 s: .*connection"):
        send(receiver, bodies())
    assert spool.stored == [b"one"]


@pytest.mark.parametrize(
    ("token", "words"), [("wrong", "it answers 401: the credential is not known there")]
)
def test_a_refusal_is_told_at_once(receiver: Receiver, token: str, words: str) -> None:
    with pytest.raises(TocsinError, match=words):
        send(receiver, [b"one"], token=token)
    assert receiver.count("refused_total", reason="credential") == 1


def test_a_body_that_is_too_large_is_told_in_the_servers_words(tmp_path: Path) -> None:
    with (
        running(tmp_path, max_body=10) as receiver,
        pytest.raises(TocsinError, match="it answers 413: "),
    ):
        send(receiver, [b"x" * 11])


def test_nobody_there_is_told_at_once(receiver: Receiver) -> None:
    port = receiver.port
    receiver.stop()
    with pytest.raises(TocsinError, match=r"no connection: .*does `tocsin serve` run there?"):
        send(receiver, [b"one"], port=port)
