"""What the detector does for the store beside recording."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.store.samples import make_alert
from tocsin.model.ports import AlertFilter
from tocsin.runtime.config import AlertRetention, Config, load_config
from tocsin.runtime.upkeep import ROUND_SECONDS, STEP_SECONDS, Upkeep
from tocsin.store import SqliteStore, own_store


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def limited(tmp_path: Path, **limits: Any) -> Config:
    config = load_config(None, {}, tmp_path)
    return msgspec.structs.replace(config, alerts=AlertRetention(**limits))


def tend(upkeep: Upkeep, clock: Clock, times: int = 20) -> None:
    for _ in range(times):
        upkeep.tend()
        clock.now += STEP_SECONDS


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with own_store(tmp_path / "tocsin.db", {}, 1.0) as opened:
        yield opened


def test_alerts_are_indexed_and_pruned_step_by_step(store: SqliteStore, tmp_path: Path) -> None:
    clock = Clock()
    store.record([make_alert(f"a{n}") for n in range(700)], {}, 4e9)
    upkeep = Upkeep(limited(tmp_path, max_alerts=100), store, clock)
    upkeep.tend()
    assert store.count() == 500
    upkeep.tend()
    assert store.count() == 500, "it is not time yet"
    tend(upkeep, clock)
    assert store.count() == 100
    assert store.usage(1.0).unindexed == 0
    assert store.count(AlertFilter(text="privileged pod")) == 100
    store.record([make_alert("later")], {}, 4e9)
    tend(upkeep, clock)
    assert store.count() == 101, "the next round comes in an hour"
    clock.now += ROUND_SECONDS
    tend(upkeep, clock)
    assert store.count() == 100


def test_too_small_a_limit_is_told_and_taken_back(store: SqliteStore, tmp_path: Path) -> None:
    store.record([make_alert(f"a{n}") for n in range(50)], {}, 4e9)
    clock = Clock()
    tend(Upkeep(limited(tmp_path, max_alerts=60), store, clock), clock, 1)
    (finding,) = store.health.findings()
    assert (finding.kind, finding.key) == ("store", "capacity")
    assert "raise alerts.max_alerts" in finding.message
    tend(Upkeep(limited(tmp_path), store, clock), clock, 1)
    assert store.health.findings() == []
