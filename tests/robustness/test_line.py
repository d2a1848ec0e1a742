"""Bars R6 and R18, as far as they need no API server: a gap is told with its length, and filled.

The events have the times at which they are made, as those of an API server have.
"""

import time
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.robustness.harness import PATH, Tocsin, running
from tests.unit.audit import encoded, event_list, item
from tocsin.lifeline.outages import missing
from tocsin.lifeline.presence import decode_node
from tocsin.model.alert import Alert

AWAY_SECONDS = 31
BACKFILL = f"{PATH}?source=backfill&rest="


def body(times: Iterable[float]) -> bytes:
    """Return a batch with an event at each of these times."""
    return event_list(encoded(made(time)) for time in times)


def made(at: float) -> dict[str, object]:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return item(auditID=str(at), stageTimestamp=stamp, requestReceivedTimestamp=stamp)


def post_for(tocsin: Tocsin, seconds: float) -> float:
    """Post an event four times a second; return the time of the last one."""
    last, end = 0.0, time.time() + seconds
    with closing(tocsin.sender()) as sender:
        while time.time() < end:
            last = time.time()
            assert sender.post(body([last])) == 200
            time.sleep(0.25)
    return last


def told(tocsin: Tocsin) -> list[Alert]:
    return [alert for alert in tocsin.alerts() if alert.source == "health"]


@pytest.mark.robustness
@pytest.mark.timeout(180)
def test_r6_a_gap_is_told_with_its_length_and_its_end(tmp_path: Path) -> None:
    settings = {"watch": {"settle_after": 2}}
    with running(tmp_path / "tocsin", settings) as tocsin:
        post_for(tocsin, 8)
        # One more that is answered, and nobody may take for missing.
        last = post_for(tocsin, 0.1)
        for process in tocsin.processes():
            process.kill()
        tocsin.clean_up()
        time.sleep(AWAY_SECONDS)
        tocsin.start()
        post_for(tocsin, 4)
        tocsin.drain()
        tocsin.wait_for(lambda: told(tocsin), "the gap is not told")
        (gap,) = told(tocsin)
        assert gap.rule.id == "tocsin-line-gap"
        with tocsin.store() as store:
            (stored,) = store.sources.nodes().values()
        (outage,) = decode_node(stored).outages
        ((start, end),) = missing(outage).stretches
        assert gap.fields["seconds"] == end - start
        assert start == int(last) + 1, "what was answered is not missing"
        assert end - start >= AWAY_SECONDS - 1
        tocsin.wait_for(lambda: gap.description in tocsin.shown(), "it is not shown")

        with closing(tocsin.sender()) as sender:
            late = body(float(second) for second in range(start, end))
            assert sender.post(late, BACKFILL) == 200
        tocsin.wait_for(lambda: len(told(tocsin)) > 1, "its end is not told")
        assert [alert.rule.id for alert in told(tocsin)] == [gap.rule.id, "tocsin-line-filled"]
        tocsin.wait_for(lambda: not tocsin.findings(), "the finding stays")


@pytest.mark.robustness
@pytest.mark.timeout(60)
def test_s16_a_replay_over_the_webhook_is_told(tmp_path: Path) -> None:
    with running(tmp_path / "tocsin", {"watch": {"alerts": True}}) as tocsin:
        yesterday = body([time.time() - 86_400])
        assert tocsin.post(body([time.time()])) == 200
        with closing(tocsin.sender()) as sender:
            assert sender.post(yesterday, BACKFILL) == 200
        tocsin.drain()
        assert not told(tocsin)
        assert tocsin.post(yesterday) == 200
        tocsin.wait_for(lambda: told(tocsin), "the replay is not told")
        assert [alert.rule.id for alert in told(tocsin)] == ["tocsin-stale-batch"]
