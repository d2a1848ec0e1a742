"""Bar R1: whatever process is killed at whatever moment, nothing acknowledged is lost.

Every alert is stored once, and told at least once. Short form: 20 kills. `TOCSIN_LONG=1`: 300.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.robustness.harness import Sink, Tocsin, running
from tests.robustness.traffic import History, Oracle, check, load

LONG = bool(os.environ.get("TOCSIN_LONG"))
ROUNDS = 300 if LONG else 20


@pytest.mark.robustness
@pytest.mark.timeout(7200 if LONG else 300)
def test_r1_kill9_acked(tmp_path: Path) -> None:
    seed = int(os.environ.get("TOCSIN_SEED", random.randrange(1 << 32)))
    print(f"TOCSIN_SEED={seed}")
    chance = random.Random(seed)
    history, restarts = History(), list[float]()
    with Sink() as sink, running(tmp_path / "tocsin", {"notify": {"sink": sink.channel}}) as tocsin:
        with load(tocsin, history, seed, pause=0.2):
            for _ in range(ROUNDS):
                time.sleep(chance.uniform(0.05, 0.5))
                restarts.append(kill_one(tocsin, chance))
            tocsin.wait_ready()
        tocsin.drain()
        tocsin.wait_for(lambda: not pending(tocsin), "notifications wait", 120)
        assert tocsin.stop()[0] == 0
        alerts = check(tocsin, history, Oracle(tocsin.rules))
        # What ended by itself could not start.
        assert set(tocsin.exits()) <= {-signal.SIGKILL}
    important = {alert.id for alert in alerts.values() if alert.rule.severity == "high"}
    assert important <= set(sink.told), "nobody was told of an alert"
    restarts = sorted(seconds for seconds in restarts if seconds)
    print(f"{len(history.acked)} of {len(history.sent)} batches acknowledged, {len(alerts)} alerts")
    print(f"{len(set(sink.told))} notifications, {len(sink.told) - len(set(sink.told))} repeated")
    print(f"ready again after {restarts[len(restarts) // 2]:.1f} s, at most {restarts[-1]:.1f} s")


def pending(tocsin: Tocsin) -> int:
    """Return how many notifications wait to be sent."""
    with tocsin.store() as store:
        return sum(backlog.pending for backlog in store.outbox.backlog().values())


def kill_one(tocsin: Tocsin, chance: random.Random) -> float:
    """Kill a process, and start the supervisor if it was that; return the seconds to ready.

    Sometimes the next kill comes before all is ready again.
    """
    began = time.monotonic()
    tocsin.kill(chance.choice(tocsin.processes()))
    if tocsin.process is None:
        tocsin.start(wait=False)
    else:
        tocsin.wait_for(lambda: not tocsin.readyz()["ready"], "the death is not noticed")
    if chance.random() < 0.25:
        return 0
    tocsin.wait_ready()
    return time.monotonic() - began
