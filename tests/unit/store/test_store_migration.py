"""Stores of earlier versions, brought up to date in place."""

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.store.contract.alerts import START, varied
from tocsin.model.alert import SEVERITIES, Alert
from tocsin.model.ports import AlertFilter
from tocsin.store import own_store
from tocsin.store.sqlite import schema
from tocsin.store.sqlite.body import write_alert

FIRST = 3
ALERTS = varied(60)


def old_store(path: Path, alerts: list[Alert]) -> None:
    """Write a store as the first version with alerts did."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript("\n".join(schema.migrations()[:FIRST]))
        connection.execute(f"PRAGMA user_version = {FIRST}")
        connection.executemany(
            "INSERT INTO alert (id, time, severity, rule_id, cluster, user, namespace, recorded, "
            "body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    alert.id,
                    alert.time,
                    SEVERITIES.index(alert.rule.severity),
                    alert.rule.id,
                    alert.cluster,
                    alert.actor.user,
                    alert.target.namespace,
                    1.0,
                    write_alert(alert),
                )
                for alert in alerts
            ],
        )


def test_an_old_store_answers_as_if_it_had_been_new(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old_store(tmp_path / "old.db", ALERTS)
    caplog.set_level(logging.INFO)
    with (
        own_store(tmp_path / "old.db", {}, 2.0) as old,
        own_store(tmp_path / "new.db", {}, 2.0) as new,
    ):
        assert "brought up to date" in caplog.text
        new.record(ALERTS, {}, 1.0)
        end = START + timedelta(hours=3)
        for where in (AlertFilter(), AlertFilter(technique="T1552"), AlertFilter(text="THAT")):
            assert old.alerts(where, 100) == new.alerts(where, 100)
            assert old.timeline(where, START, end, 12) == new.timeline(where, START, end, 12)
            assert old.facets(where, "technique", 9) == new.facets(where, "technique", 9)
        assert old.usage(2.0).unindexed == len(ALERTS)
        while old.text.catch_up(10):
            pass
        assert old.count(AlertFilter(text="that")) == new.count(AlertFilter(text="that")) > 0


def test_a_damaged_alert_does_not_stop_the_upgrade(tmp_path: Path) -> None:
    old_store(tmp_path / "old.db", ALERTS)
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("UPDATE alert SET body = substr(body, 9), time = 'x' WHERE seq = 1")
        connection.commit()
    with own_store(tmp_path / "old.db", {}, 2.0) as store:
        assert store.count() == len(ALERTS)
        assert len(store.alerts(AlertFilter(), 100)) == len(ALERTS) - 1
        epoch = datetime.fromtimestamp(0, UTC)
        (bucket,) = store.timeline(AlertFilter(), epoch, epoch + timedelta(minutes=1), 1)
        assert sum(bucket.counts.values()) == 1


def test_space_of_an_old_store_can_be_given_back(tmp_path: Path) -> None:
    old_store(tmp_path / "old.db", ALERTS)
    own_store(tmp_path / "old.db", {}, 2.0).close()
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
