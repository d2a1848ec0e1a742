"""What detection remembers survives a restart at any moment: nothing is lost or told twice."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.runtime.rulefiles import event, event_list, rule
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import PostMeta, SpoolWriter
from tocsin.runtime import checkpoint
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.detector import READER, Detector
from tocsin.store.sqlite import own_store, read_store

META = PostMeta("prod", None, None, "webhook", 1_700_000_000_000_000)
BURST = """\
---
title: Three times
name: three
correlation:
  type: event_count
  rules: [00000000-0000-4000-8000-000000000001]
  group-by: [user.username]
  timespan: 5m
  condition: {gte: 3}
"""
Put = Callable[[int], int]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "burst.yml").write_text(rule() + BURST)
    variables = {
        "TOCSIN__RULES": f"[{rules}]",
        "TOCSIN__BUILTIN_RULES": "false",
        "TOCSIN__SPOOL__MIN_FREE_BYTES": "0",
    }
    return load_config(None, variables, tmp_path / "data")


@pytest.fixture
def put(config: Config) -> Iterator[Put]:
    sealer = Sealer(load_or_create_key(config.key_path))
    with closing(SpoolWriter(config.spool_folder, sealer, config.spool)) as writer:
        yield lambda number: writer.append(META, event_list(event(number))).result()


@pytest.fixture
def started(config: Config) -> Iterator[Callable[[], Detector]]:
    made: list[Detector] = []

    def start() -> Detector:
        made.append(Detector(config))
        return made[-1]

    yield start
    for one in made:
        one._logs.close()
        one._store.close()


def told(config: Config) -> list[tuple[str, int]]:
    with read_store(config.store_path) as store:
        return [(one.alert.rule.id, one.alert.count) for one in store.follow(0, 100)]


def test_what_came_since_the_checkpoint_is_evaluated_again(
    config: Config, put: Put, started: Callable[[], Detector]
) -> None:
    first = started()
    for number in (1, 2):
        put(number)
        assert first._step()
    assert first._checkpoints.position == 1
    put(3)
    second = started()
    assert (second._cursor, second._committed) == (1, 2)
    assert second._step()
    assert told(config) == [("three", 3)]
    third = started()
    put(4)
    assert third._step()
    assert told(config) == [("three", 3)]
    with read_store(config.store_path) as store:
        assert store.cursor(READER) == 4


def test_the_spool_keeps_what_the_checkpoint_does_not_know(
    put: Put, started: Callable[[], Detector]
) -> None:
    released: list[int] = []
    first = started()
    first._reader.release = released.append  # type: ignore[method-assign, assignment]
    for number in (1, 2):
        put(number)
        first._step()
    assert released == [1, 1]


def test_state_is_saved_again_when_it_is_time(
    put: Put, started: Callable[[], Detector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL_SECONDS", 0.0)
    first = started()
    for number in (1, 2):
        put(number)
        first._step()
        first._checkpoints._due = 0.0
    assert first._checkpoints.position == 2


def test_damaged_state_begins_anew_and_is_said(
    config: Config, put: Put, started: Callable[[], Detector]
) -> None:
    with own_store(config.store_path, {}, 0.0) as store:
        store.checkpoints.save(0, {"correlations": b"\x80", "minted": b""})
    second = started()
    put(1)
    assert second._step()
    with read_store(config.store_path) as store:
        assert {one.key for one in store.health.findings()} == {"correlations", "minted"}
