"""Damaged, missing and failing files: the store opens all the same and tells nothing untrue."""

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from tests.unit.store.samples import make_alert
from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoreUnavailable
from tocsin.store import SqliteStore, own_store

pytestmark = pytest.mark.robustness

PAGE = 4096
ALERTS = 200
READER = "detector"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a store as a crash leaves it: half of it still in the WAL."""
    live, copy = (tmp_path_factory.mktemp(name) for name in ("live", "copy"))
    path = live / "tocsin.db"
    with own_store(path, {"chat": "low"}, 1.0) as store:
        record(store, range(ALERTS // 2))
    with own_store(path, {"chat": "low"}, 1.0) as store:
        record(store, range(ALERTS // 2, ALERTS))
        for part in live.iterdir():
            shutil.copy(part, copy / part.name)
    assert (copy / "tocsin.db-wal").stat().st_size > 0
    return copy


def record(store: SqliteStore, numbers: range) -> None:
    for number in numbers:
        alert = make_alert(f"a{number}", fields={"n": number}, description="d" * (number * 35))
        store.record([alert], {READER: number + 1}, 1.0)


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "store"))


def check_and_rebuild(folder: Path) -> bool:
    """Open, compare position and content, evaluate the rest again; return if it was replaced."""
    with own_store(folder / "tocsin.db", {"chat": "low"}, 2.0) as store:
        position = store.cursor(READER)
        assert position == store.count()
        damaged = store.set_aside is not None
        assert any(finding.kind == "store" for finding in store.health.findings()) == damaged
        record(store, range(position, ALERTS))
        rows = store.follow(0, 10**6)
        assert [row.alert.id for row in rows] == [f"a{n}" for n in range(ALERTS)]
        assert [row.alert.fields["n"] for row in rows] == list(range(ALERTS))
        waiting = store.outbox.topics("chat", 1e9)
        assert sum(topic.alerts for topic in waiting) == ALERTS
        return damaged


def test_a_crash_is_no_damage(folder: Path) -> None:
    assert not check_and_rebuild(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\0" * 50_000),
        lambda path: path.write_bytes(b"SQLite format 3\0" + b"\0" * 50_000),
        lambda path: path.write_bytes(random.Random(1).randbytes(50_000)),
        lambda path: path.write_bytes(path.read_bytes()[: 5 * PAGE]),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
    ],
    ids=["empty", "zeros", "header-only", "noise", "cut", "cut-in-the-header"],
)
def test_a_ruined_file_is_set_aside(folder: Path, damage: Callable[[Path], object]) -> None:
    (folder / "tocsin.db-wal").unlink()
    damage(folder / "tocsin.db")
    assert check_and_rebuild(folder)
    assert list(folder.glob("tocsin.db.damaged-*"))


@pytest.mark.parametrize(
    ("gone", "replaced"),
    [
        (["-wal"], False),
        (["-shm"], False),
        (["-wal", "-shm"], False),
        (["", "-shm"], True),
        ([""], True),
        (["", "-wal"], False),
    ],
)
def test_files_that_disappeared(folder: Path, gone: list[str], *, replaced: bool) -> None:
    for suffix in gone:
        (folder / f"tocsin.db{suffix}").unlink()
    assert check_and_rebuild(folder) == replaced


@pytest.mark.parametrize("seed", range(8))
def test_overwritten_pages(folder: Path, seed: int) -> None:
    overwrite_pages(folder / "tocsin.db", random.Random(seed))
    check_and_rebuild(folder)


@pytest.mark.timeout(600)
def test_overwritten_pages_at_length(pristine: Path, tmp_path: Path) -> None:
    replaced = 0
    for seed in range(100, 300):
        folder = Path(shutil.copytree(pristine, tmp_path / str(seed)))
        overwrite_pages(folder / "tocsin.db", random.Random(seed))
        replaced += check_and_rebuild(folder)
        shutil.rmtree(folder)
    assert replaced > 0


def overwrite_pages(path: Path, chance: random.Random) -> None:
    pages = path.stat().st_size // PAGE
    with path.open("r+b") as file:
        for _ in range(chance.randint(1, 5)):
            file.seek(chance.randrange(pages) * PAGE)
            file.write(chance.randbytes(PAGE))


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_wal_takes_the_position_with_it(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    wal = folder / "tocsin.db-wal"
    content = bytearray(wal.read_bytes())
    if seed % 2:
        del content[chance.randrange(len(content)) :]
    else:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    wal.write_bytes(content)
    check_and_rebuild(folder)


@pytest.mark.parametrize("kind", [sqlite3.OperationalError, sqlite3.DatabaseError])
def test_any_statement_may_fail_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[sqlite3.Error]
) -> None:
    """The nth statement fails, for n = 1, 2, ... until a whole run meets no fault."""
    faults = Faults(monkeypatch, kind)
    for nth in range(1, 1000):
        path = tmp_path / str(nth) / "tocsin.db"
        faults.fail_at(nth)
        acknowledged = faults.run(path)
        met = faults.countdown <= 0
        faults.fail_at(0)
        with own_store(path, {"chat": "low"}, 2.0) as store:
            assert store.set_aside is None
            assert store.cursor(READER) == store.count() >= acknowledged
        if not met:
            assert acknowledged == Faults.ROUNDS
            assert nth > Faults.ROUNDS
            return
    pytest.fail("no run without a fault")


class Faults:
    """Makes one statement of SQLite fail, and records alerts meanwhile."""

    ROUNDS = 3

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[sqlite3.Error]) -> None:
        self.countdown = 0
        faults = self

        class Faulty(sqlite3.Connection):
            @override
            def execute(self, *args: Any) -> sqlite3.Cursor:
                faults.step()
                return super().execute(*args)

            @override
            def executemany(self, *args: Any) -> sqlite3.Cursor:
                faults.step()
                return super().executemany(*args)

        real = sqlite3.connect
        monkeypatch.setattr(
            sqlite3, "connect", lambda *args, **options: real(*args, factory=Faulty, **options)
        )
        self._kind = kind

    def fail_at(self, nth: int) -> None:
        """Let the nth statement from now fail; 0 for none."""
        self.countdown = nth or 10**9

    def step(self) -> None:
        """Count a statement down."""
        self.countdown -= 1
        if self.countdown == 0:
            error = self._kind("injected fault")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

    def run(self, path: Path) -> int:
        """Open, record, close; return how many alerts were acknowledged."""
        done = 0
        with (
            contextlib.suppress(TocsinError, StoreUnavailable),
            own_store(path, {"chat": "low"}, 1.0) as store,
        ):
            for number in range(self.ROUNDS):
                store.record([make_alert(f"a{number}")], {READER: number + 1}, 1.0)
                done += 1
        return done
