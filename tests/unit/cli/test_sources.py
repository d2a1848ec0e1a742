import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.commandline import Commands
from tocsin.lifeline import health
from tocsin.lifeline.words import state_of
from tocsin.model.ports import HealthFinding, LineUpdate, SourceState
from tocsin.store import SqliteStore, own_store

HOSTILE = "[bold]x[/bold]\x1b[2J\u202e"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with own_store(tmp_path / "tocsin-data" / "tocsin.db", {}, 1.0) as opened:
        yield opened


def source(way: str = "webhook", **changes: object) -> SourceState:
    now = time.time()
    values: dict[str, object] = {
        "cluster": "prod",
        "node": "cp-1",
        "source": way,
        "first_received": now - 9000,
        "last_received": now - 7300,
        "last_event": 1_700_000_000.0,
        "events": 12_345,
    }
    return SourceState(**(values | changes))  # type: ignore[arg-type]


def finding(rule: str, detail: str, place: str = "prod/cp-1") -> HealthFinding:
    return HealthFinding("line", f"{rule} {place} {detail}".strip(), "why", 1.0, 1.0, 1)


def test_a_table(tocsin: Commands, store: SqliteStore) -> None:
    store.record([], {}, 1.0, line=LineUpdate([source(), source("file", node=None, last_event=0)]))
    store.health.report("line", "tocsin-line-silent prod/cp-1 webhook", f"why {HOSTILE}", 1.0)
    store.health.report("spool", "lost-1", "another matter", 1.0)
    ran = tocsin("sources")
    assert (ran.code, ran.err) == (0, "")
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[0][:3] == ["cluster", "node", "way"]
    assert lines[1] == ["prod", "-", "file", "2", "h", "ago", "-", "12,345", "ok"]
    assert lines[2][3:] == ["2", "h", "ago", "2023-11-14", "22:13:20Z", "12,345", "silent"]
    assert ran.out.endswith("why [bold]x[/bold]\\u001b[2J\\u202e\n")
    assert "another matter" not in ran.out


def test_json_lines(tocsin: Commands, store: SqliteStore) -> None:
    store.record([], {}, 1.0, line=LineUpdate([source()]))
    ran = tocsin("sources", "--json")
    (line,) = map(json.loads, ran.out.splitlines())
    assert (line["cluster"], line["node"], line["source"]) == ("prod", "cp-1", "webhook")
    assert (line["events"], line["state"]) == (12_345, "ok")


def test_nothing_was_received(tocsin: Commands, store: SqliteStore) -> None:
    del store
    assert "`tocsin doctor` finds out why nothing comes" in tocsin("sources").out
    assert tocsin("sources", "--json").out == ""


def test_without_a_store(tocsin: Commands) -> None:
    ran = tocsin("sources")
    assert ran.code == 2
    assert "there is no store at" in ran.err


def test_the_state_of_a_source() -> None:
    state = source()
    assert state_of(state, []) == "ok"
    assert state_of(state, [finding(health.SILENT, "webhook")]) == "silent"
    assert state_of(state, [finding(health.SILENT, "file")]) == "ok"
    assert state_of(state, [finding(health.SILENT, "canary", "prod/-")]) == "ok"
    assert state_of(state, [finding(health.GAP, "x", "prod/cp-2")]) == "ok"
    several = [finding(health.GAP, "1"), finding(health.GAP, "2"), finding(health.SKEW, "webhook")]
    assert state_of(state, several) == "events missing, wrong clock"
    assert state_of(source(node=None), [finding(health.STALE, "x", "prod/-")]) == "old events"
