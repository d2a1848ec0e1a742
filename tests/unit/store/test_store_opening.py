"""Opening the store: new, old, newer, damaged, locked, replaced under our feet."""

import contextlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.store.samples import make_alert
from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoreUnavailable
from tocsin.store import join_store, own_store, read_store
from tocsin.store.sqlite import database, schema


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tocsin.db"


def test_a_store_is_made_where_there_is_none(path: Path) -> None:
    with own_store(path, {}, 1.0) as store:
        assert store.set_aside is None
        assert store.count() == 0


def test_migrations_are_numbered_without_gaps() -> None:
    folder = Path(schema.__file__).with_name("migrations")
    numbers = sorted(int(script.name[:4]) for script in folder.glob("*.sql"))
    assert numbers == list(range(1, len(schema.migrations()) + 1))


def test_a_migration_happens_as_a_whole_or_not_at_all(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_store(path, {}, 1.0) as store:
        store.record([make_alert()], {}, 1.0)
    good = schema.migrations()
    bad = [*good, "CREATE TABLE more (id INTEGER) STRICT;", "CREATE TABLE alert (id) STRICT;"]
    monkeypatch.setattr(schema, "migrations", lambda: bad)
    with pytest.raises(TocsinError, match="already exists"):
        own_store(path, {}, 2.0)
    monkeypatch.setattr(schema, "migrations", lambda: bad[:-1])
    with own_store(path, {}, 3.0) as store:
        assert store.count() == 1
        with store._database.read() as connection:
            assert schema.version(connection) == len(good) + 1


def test_a_newer_store_is_refused_and_left_alone(path: Path) -> None:
    with own_store(path, {}, 1.0) as store:
        store.record([make_alert()], {}, 1.0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    refusal = r"newer Tocsin \(schema 99.*left as it is"
    with pytest.raises(TocsinError, match=refusal):
        own_store(path, {}, 2.0)
    with pytest.raises(TocsinError, match=refusal):
        read_store(path)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*damaged*"))


def test_an_older_store_is_not_touched_by_others_than_its_owner(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_store(path, {}, 1.0).close()
    newer = [*schema.migrations(), ""]
    monkeypatch.setattr(schema, "migrations", lambda: newer)
    for opening in (join_store, read_store):
        with pytest.raises(TocsinError, match="older Tocsin"):
            opening(path)


def test_what_is_missing_is_named(path: Path) -> None:
    for opening in (join_store, read_store):
        with pytest.raises(TocsinError, match="there is no store at"):
            opening(path)


def test_what_cannot_be_opened_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(TocsinError, match="cannot open the store"):
        own_store(path, {}, 1.0)


def test_garbage_is_set_aside_and_the_store_opens(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)
    with own_store(path, {}, 1795000000.5) as store:
        aside = path.with_name("tocsin.db.damaged-20261118T110640.500000Z")
        assert store.set_aside == aside
        assert aside.read_bytes().startswith(b"this is no database")
        (finding,) = store.health.findings()
        assert (finding.kind, finding.key) == ("store", "damaged")
        assert str(aside) in finding.message
    with own_store(path, {}, 1795000001.0) as store:
        assert store.set_aside is None
        assert len(store.health.findings()) == 1


def test_an_empty_file_is_damage(path: Path) -> None:
    path.touch()
    with own_store(path, {}, 1.0) as store:
        assert store.set_aside is not None


def test_readers_do_not_repair(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)
    for opening in (join_store, read_store):
        with pytest.raises((TocsinError, StoreUnavailable), match="not a database"):
            opening(path)
    assert path.read_bytes().startswith(b"this is no database")


def test_a_process_follows_when_the_file_is_replaced(path: Path) -> None:
    with own_store(path, {}, 1.0) as store:
        store.record([make_alert("old")], {"detector": 9}, 1.0)
    with join_store(path) as other:
        assert other.count() == 1
        with path.open("r+b") as file:
            file.write(b"damage" * 1000)
        with own_store(path, {}, 2.0) as store:
            store.record([make_alert("new")], {}, 2.0)
            assert [row.alert.id for row in other.follow(0, 10)] == ["new"]
            other.health.report("web", "k", "m", 3.0)
            # Closing the connection to the old file must not take the new file's WAL away.
            assert path.with_name(path.name + "-wal").stat().st_size > 0
            assert {finding.kind for finding in store.health.findings()} == {"web", "store"}


def test_a_locked_store_says_so_and_recovers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.1)
    with own_store(path, {}, 1.0) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="locked"):
                store.record([make_alert()], {}, 1.0)
            other.execute("ROLLBACK")
        with database.file_lock(path), pytest.raises(StoreUnavailable, match="write lock"):
            store.record([make_alert()], {}, 1.0)
        assert store.record([make_alert()], {"detector": 1}, 1.0)


def test_a_full_disk_loses_nothing_that_was_recorded(path: Path) -> None:
    with own_store(path, {}, 1.0) as store:
        with store._database.write() as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + 40}")
        recorded = 0
        with contextlib.suppress(StoreUnavailable):
            for recorded in range(10_000):
                store.record([make_alert(f"a{recorded}")], {"detector": recorded + 1}, 1.0)
        with pytest.raises(StoreUnavailable, match="full"):
            store.record([make_alert("too-many")], {"detector": recorded + 1}, 1.0)
        assert (store.count(), store.cursor("detector")) == (recorded, recorded)
        with store._database.write() as connection:
            connection.execute("PRAGMA max_page_count = 100000")
        store.record([make_alert("after")], {"detector": recorded + 1}, 1.0)
        assert store.count() == recorded + 1
