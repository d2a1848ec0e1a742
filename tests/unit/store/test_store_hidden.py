"""Hidden alerts: nobody is told, no incident, no line in the log, counts that stay right."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.unit.incidents.samples import alert, group
from tests.unit.store.samples import make_alert
from tests.unit.store.test_store_migration import ALERTS, old_store
from tocsin.model.incident import IncidentFilter
from tocsin.model.ports import AlertFilter, Retention
from tocsin.store import AlertLog, SqliteStore, own_store


def test_nobody_is_told(store: SqliteStore) -> None:
    store.record([make_alert("a"), make_alert("b")], {}, 1000.0, hidden={"a": "suppress"})
    assert store.outbox.waiting("chat").rows == 1


def test_they_open_and_join_no_incident(store: SqliteStore) -> None:
    store.record([alert("a", severity="high")], {}, 1000.0, hidden={"a": "silence:1"})
    assert group(store) == []
    assert store.incidents.grouping.waiting() == 0
    (incident,) = group(store, alert("b", severity="high"))
    assert [one.alert.id for one in store.incidents.alerts_of(incident.id, 9)] == ["b"]
    assert store.incidents.count(IncidentFilter()) == 1


def test_they_are_not_in_the_log(store: SqliteStore, tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    with AlertLog(path, 1_000_000, 1) as log:
        for number in range(3):
            one = make_alert(str(number))
            store.record([one], {}, 1000.0, hidden={"1": "suppress", "2": "suppress"})
            log.catch_up(store)
        store.record([make_alert("3")], {}, 1000.0)
        assert log.catch_up(store) == 1
    written = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    assert written == ["0", "3"]


def test_counts_stay_right_when_alerts_go(store: SqliteStore, tmp_path: Path) -> None:
    alerts = [make_alert(str(number)) for number in range(6)]
    store.record(alerts, {}, 1000.0, hidden={"0": "suppress", "1": "suppress"})
    store.prune(1000.0, Retention(keep_days=1, max_alerts=5, max_bytes=1 << 40))
    with closing(sqlite3.connect(tmp_path / "data" / "tocsin.db")) as connection:
        counted = connection.execute(
            "SELECT hidden, sum(count) FROM alert_count WHERE span = 60 GROUP BY hidden"
        ).fetchall()
        there = connection.execute(
            "SELECT hidden_by IS NOT NULL AS hidden, count(*) FROM alert GROUP BY hidden"
        ).fetchall()
    assert counted == there


def test_alerts_of_an_old_store_are_shown(tmp_path: Path) -> None:
    old_store(tmp_path / "old.db", ALERTS)
    with own_store(tmp_path / "old.db", {}, 2.0) as store:
        assert store.count() == len(ALERTS)
        assert store.count(AlertFilter(hidden="only")) == 0


def test_an_index_answers_what_is_shown(store: SqliteStore, tmp_path: Path) -> None:
    store.record([make_alert("a")], {}, 1000.0)
    with closing(sqlite3.connect(tmp_path / "data" / "tocsin.db")) as connection:
        for column in ("time", "rule_id", "user", "namespace"):
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN SELECT count(*) FROM alert WHERE {column} = 'x' "  # noqa: S608 - constant names
                "AND severity > 1 AND hidden_by IS NULL"
            ).fetchall()
            assert "COVERING INDEX" in str(plan), plan
