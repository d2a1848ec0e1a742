"""Bar R4: a damaged store is set aside, said out loud, and built again from the spool."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.robustness.harness import Tocsin, running
from tests.robustness.traffic import History, Oracle, Traffic, check

PAGE = 4096


def overwrite_pages(path: Path, chance: random.Random, pages: int = 5) -> None:
    """Overwrite pages anywhere in a file with noise."""
    with path.open("r+b") as file:
        count = max(1, path.stat().st_size // PAGE)
        for _ in range(pages):
            file.seek(chance.randrange(count) * PAGE)
            file.write(chance.randbytes(PAGE))


def random_pages(database: Path, chance: random.Random) -> None:
    overwrite_pages(database, chance)


def first_page(database: Path, chance: random.Random) -> None:
    # The alert log is written again from the store that is built again.
    database.with_name("alerts.jsonl").unlink()
    with database.open("r+b") as file:
        file.write(chance.randbytes(PAGE))


def cut_in_half(database: Path, chance: random.Random) -> None:
    del chance
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size // 2)


def emptied(database: Path, chance: random.Random) -> None:
    del chance
    database.write_bytes(b"")


def removed(database: Path, chance: random.Random) -> None:
    del chance
    database.unlink()


def noise_in_wal(database: Path, chance: random.Random) -> None:
    overwrite_pages(database.with_name("tocsin.db-wal"), chance, 1)


def pages_and_wal(database: Path, chance: random.Random) -> None:
    overwrite_pages(database.with_name("tocsin.db-wal"), chance, 3)
    overwrite_pages(database, chance)


def without_wal(database: Path, chance: random.Random) -> None:
    del chance
    database.with_name("tocsin.db-wal").unlink()
    database.with_name("tocsin.db-shm").unlink()


Damage = Callable[[Path, random.Random], None]

STOPPED: tuple[Damage, ...] = (random_pages, first_page)
KILLED: tuple[Damage, ...] = (noise_in_wal, pages_and_wal, without_wal)
if os.environ.get("TOCSIN_LONG"):
    STOPPED = (*STOPPED * 5, cut_in_half, emptied, removed)
    KILLED *= 5


@pytest.mark.robustness
@pytest.mark.timeout(1200)
def test_r4_a_damaged_store_is_built_again(tmp_path: Path) -> None:
    chance, history, traffic = random.Random(4), History(), Traffic("r4", 4)
    with running(tmp_path / "tocsin") as tocsin:
        for damage in (*STOPPED, *KILLED):
            for _ in range(20):
                body = traffic.batch()
                history.answer(history.send(body), tocsin.post(body))
            tocsin.drain()
            if damage in KILLED:
                kill_all(tocsin)
            else:
                assert tocsin.stop()[0] == 0
            aside = set(tocsin.data.glob("tocsin.db.damaged-*"))
            damage(tocsin.data / "tocsin.db", chance)
            seconds = tocsin.start()
            tocsin.drain()
            alerts = check(tocsin, history, Oracle(tocsin.rules))
            new = {
                path
                for path in set(tocsin.data.glob("tocsin.db.damaged-*")) - aside
                if path.suffix.endswith("Z")
            }
            print(f"{damage.__name__}: {seconds:.1f} s, {len(alerts)} alerts, {len(new)} set aside")
            if damage in STOPPED and damage is not removed:
                assert len(new) == 1
            for path in new:
                tocsin.wait_for(lambda name=path.name: name in tocsin.shown(), "it is not said")  # type: ignore[misc]


def kill_all(tocsin: Tocsin) -> None:
    """Leave the store as a power loss would: nobody closed it."""
    processes = tocsin.processes()
    for process in reversed(processes):
        tocsin.kill(process)
    psutil.wait_procs(processes, 10)
