"""R3 torn_spool: cut as by a crash nothing is lost; after damage nothing is wrong or silent.

Each damage is done to a copy, which is then read, started on, written to and read again. One
bar per test; TOCSIN_LONG=1 does every damage, otherwise a seeded sample stands for it.
"""

import logging
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tests.robustness import spool_damage
from tests.robustness.spool_damage import FRAME, PAGE, SEALER, WAL_HEADER, Crashed, survive
from tests.robustness.spool_scenario import memory_folder
from tocsin.ingest.spool import Lost, SpoolReader
from tocsin.ingest.spool.layout import write_number

LONG = bool(os.environ.get("TOCSIN_LONG"))

T = TypeVar("T")

pytestmark = pytest.mark.robustness


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where possible: thousands of copies are made there."""
    where = memory_folder(tmp_path_factory.mktemp("spool"))
    with tempfile.TemporaryDirectory(dir=where) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def states(memory: Path) -> list[Crashed]:
    """What a crash after each of six posts leaves: three in the database, three in the log."""
    return spool_damage.crashed_spools(memory / "crashed")


@pytest.fixture(scope="module")
def sealed(memory: Path) -> Crashed:
    return spool_damage.sealed_spool(memory / "sealed")


@pytest.fixture
def copy(memory: Path) -> Path:
    return memory / "copy"


def some(choices: Sequence[T], count: int) -> Sequence[T]:
    return choices if LONG else random.Random(1).sample(choices, min(count, len(choices)))


def assert_accounted(crashed: Crashed, copy: Path, damage: spool_damage.Damage) -> set[int]:
    """Every number comes out once: read, or reported as lost. Returns the lost ones."""
    read, lost = survive(crashed, copy, damage)
    assert read | lost == set(crashed.acked)
    assert not read & lost
    return lost


def unacknowledged(states: list[Crashed], index: int, copy: Path) -> Crashed:
    """Post `index` is in the files, but the crash came before its acknowledgement."""
    shutil.copytree(states[index].folder, copy)
    shutil.copy(states[index - 1].folder / "committed", copy / "committed")
    return Crashed(copy, states[index - 1].acked, states[index].acked)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("index", [4, 5])
def test_log_cut_at_every_byte_of_a_batch(
    states: list[Crashed], index: int, memory: Path, copy: Path
) -> None:
    crash = unacknowledged(states, index, memory / f"cut-{index}")
    log = f"{crash.database}-wal"
    for size in some(range(states[index - 1].log_end, states[index].log_end), 60):
        read, lost = survive(crash, copy, spool_damage.cut(log, size))
        assert set(crash.acked) <= read
        assert not lost


@pytest.mark.timeout(7200)
def test_database_cut_at_every_byte_of_a_checkpoint(states: list[Crashed], copy: Path) -> None:
    """A crash in a checkpoint may leave any part of it; the log still has all of it."""
    name = states[2].database
    for size in some(range(states[1].size(name), states[2].size(name) + 1), 60):
        assert not assert_accounted(states[2], copy, spool_damage.cut(name, size))


def test_a_cut_that_takes_acknowledged_posts_is_reported(states: list[Crashed], copy: Path) -> None:
    log = f"{states[-1].database}-wal"
    for size in range(0, states[-1].log_end, FRAME):
        lost = assert_accounted(states[-1], copy, spool_damage.cut(log, size))
        assert lost
        assert lost <= {4, 5, 6}
    for size in range(0, states[-1].size(states[-1].database), PAGE):
        assert_accounted(states[-1], copy, spool_damage.cut(states[-1].database, size))


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize("index", [2, 5])
def test_flipped_bits(states: list[Crashed], index: int, suffix: str, copy: Path) -> None:
    """`index` 2 is the moment after a checkpoint, when old frames stand before new pages."""
    crashed = states[index]
    name = crashed.database + suffix
    headers = range((WAL_HEADER + 24 if suffix else 100) * 8)
    rest = range(len(headers), crashed.size(name) * 8)
    for bit in [*some(headers, 40), *some(rest, 80)]:
        assert_accounted(crashed, copy, spool_damage.flip(name, bit))


@pytest.mark.timeout(7200)
def test_flipped_bits_of_a_sealed_file(sealed: Crashed, copy: Path) -> None:
    name = sorted(path.name for path in sealed.folder.glob("*.spool"))[1]
    for bit in [*some(range(800), 60), *some(range(800, sealed.size(name) * 8), 100)]:
        lost = assert_accounted(sealed, copy, spool_damage.flip(name, bit))
        assert lost <= {4, 5, 6}


def test_damaged_text_that_sqlite_quotes_in_its_message(sealed: Crashed, copy: Path) -> None:
    """Python cannot decode such a message, and raises no sqlite3.Error then."""
    names = sorted(path.name for path in sealed.folder.glob("*.spool"))
    for index, name in enumerate(names):

        def damage(folder: Path, name: str = name) -> None:
            data = (folder / name).read_bytes()
            (folder / name).write_bytes(data.replace(b"TABLE post", b"TABLE\xa0post"))

        lost = assert_accounted(sealed, copy, damage)
        assert lost == {3 * index + 1, 3 * index + 2, 3 * index + 3}


def test_zeroed_pages(states: list[Crashed], sealed: Crashed, copy: Path) -> None:
    for crashed in (states[2], states[5], sealed):
        for name in sorted(path.name for path in crashed.folder.glob("*.spool*")):
            for start in range(0, crashed.size(name), PAGE):
                assert_accounted(crashed, copy, spool_damage.zero(name, start, PAGE))


def test_missing_files(states: list[Crashed], sealed: Crashed, copy: Path) -> None:
    crashed = states[-1]
    name = crashed.database
    remove = spool_damage.remove
    assert assert_accounted(crashed, copy, remove(f"{name}-wal")) == {4, 5, 6}
    assert assert_accounted(crashed, copy, remove(f"{name}-shm")) == set()
    assert assert_accounted(crashed, copy, remove(f"{name}-wal", f"{name}-shm")) == {4, 5, 6}
    assert assert_accounted(crashed, copy, remove(name)) == {1, 2, 3, 4, 5, 6}
    assert assert_accounted(crashed, copy, remove("committed")) == set()
    for index, path in enumerate(sorted(sealed.folder.glob("*.spool"))):
        lost = assert_accounted(sealed, copy, remove(path.name))
        assert lost == {3 * index + 1, 3 * index + 2, 3 * index + 3}


def test_two_faults_at_once_never_repeat_a_number(states: list[Crashed], copy: Path) -> None:
    """Without log and committed number nothing knows of posts 4 to 6; their numbers stay used."""
    damage = spool_damage.remove(f"{states[-1].database}-wal", "committed")
    read, lost = survive(states[-1], copy, damage)
    assert read == {1, 2, 3}
    assert lost == set()


def test_a_cursor_ahead_of_the_spool_is_reported_once(states: list[Crashed], copy: Path) -> None:
    shutil.copytree(states[-1].folder, copy)
    try:
        (copy / f"{states[-1].database}-wal").unlink()
        write_number(copy / "committed", 3)
        reader = SpoolReader(copy, SEALER, "engine")
        assert reader.read(6) == [Lost(4, 6, "missing")]
        assert reader.read(6) == []
    finally:
        shutil.rmtree(copy)
