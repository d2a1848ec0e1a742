"""Tocsin is away while the API server goes on: bar R6."""

import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.controlplane import processes
from tests.e2e.load import REQUESTS_PER_SECOND, Load, audited, watched
from tests.e2e.site import undelivered
from tests.e2e.tocsin import CLUSTER, NODE, Tocsin
from tocsin.lifeline.health import GAP
from tocsin.model.alert import Alert
from tocsin.model.ports import HealthFinding

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# By default a batch waits 30 s and the last pause between two attempts is 40 s.
HORIZON_SECONDS: Final = 100.0


@dataclass(frozen=True, slots=True)
class Outage:
    """How long Tocsin is away, what the API server does about it, and when all is clear."""

    seconds: float
    flags: tuple[str, ...]
    settle_after: float


# An API server that gives up after 16 to 20 seconds instead of 81 to 98; and a real one.
SHORT: Final = Outage(
    45, ("--audit-webhook-initial-backoff=2s", "--audit-webhook-batch-max-wait=1s"), 20
)
REAL: Final = Outage(180, (), 300)
LONG: Final = bool(os.environ.get("TOCSIN_LONG"))


def test_nothing_is_missing_after_a_minute(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.getbasetemp() / "pycache"
    with watched(tmp_path, cache) as site:
        with Load(site.cluster) as load:
            time.sleep(5)
            site.tocsin.kill()
            time.sleep(60)
            site.tocsin.start()
            time.sleep(5)
        assert load.requests > 60 * REQUESTS_PER_SECOND * 0.8
        # Those that come later wait for their batch to fill, whatever Tocsin does.
        logged = audited(site.log)
        processes.wait_for(lambda: not site.missing(logged), "all events", HORIZON_SECONDS)
        assert not undelivered(site.cluster)


def test_gap_is_told_and_filled(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    cache = tmp_path_factory.getbasetemp() / "pycache"
    outage = REAL if LONG else SHORT
    with watched(tmp_path, cache, *outage.flags, settle_after=outage.settle_after) as site:
        with Load(site.cluster):
            processes.wait_for(site.tocsin.received, "the first events")
            time.sleep(10)
            site.tocsin.kill()
            time.sleep(outage.seconds)
            site.tocsin.start()
            back = time.time()
            time.sleep(HORIZON_SECONDS if LONG else 20)
        logged = audited(site.log)
        gap = processes.wait_for(lambda: told(site.tocsin), "the gap", outage.settle_after + 60)
        # The last of the load may still be on its way.
        processes.wait_for(
            lambda: all(seconds_of(when) < back for when in site.missing(logged)), "the last events"
        )
        missing = [seconds_of(when) for when in site.missing(logged)]
        lost = missing[-1] - missing[0]
        assert lost > outage.seconds / 4
        assert abs(float(str(gap.fields["seconds"])) - lost) < 5
        assert gap.rule.severity == "high"
        assert gaps(site.tocsin)

        place = ("--cluster", CLUSTER, "--node", NODE)
        site.tocsin.command("backfill", *place, "-c", str(site.tocsin.config), str(site.log))
        assert not site.missing(logged)
        processes.wait_for(lambda: not gaps(site.tocsin), "the gap to be filled")


def told(tocsin: Tocsin) -> Alert | None:
    """Return the alert of the gap."""
    return next((one.alert for one in tocsin.alerts() if one.alert.rule.id == GAP), None)


def gaps(tocsin: Tocsin) -> list[HealthFinding]:
    return [finding for finding in tocsin.findings() if finding.key.startswith(GAP)]


def seconds_of(time_text: str) -> float:
    return datetime.fromisoformat(time_text).timestamp()
