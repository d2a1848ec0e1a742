"""R2 nth_failure: whichever file call fails, nothing acknowledged is lost and it starts again.

Every call below the spool's folder that SQLite or Python makes to change a file (open for
writing, write, sync, truncate, rename, unlink, mkdir) is made to fail, one after the other.
"""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.robustness.spool_scenario import memory_folder

LONG = bool(os.environ.get("TOCSIN_LONG"))
SHORT_WRITE = -1
FAILURES = [errno.EIO, errno.ENOSPC, errno.EINTR, SHORT_WRITE]
SOURCE = Path(__file__).with_name("faultinject.c")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) to build the fault-injecting library with")
    built = tmp_path_factory.mktemp("faultinject") / "faultinject.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", built, SOURCE, "-ldl"], check=True, timeout=60
    )
    return built


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A fresh folder, in memory where possible."""
    with tempfile.TemporaryDirectory(dir=memory_folder(tmp_path)) as made:
        yield Path(made)


def live(library: Path, folder: Path, rounds: list[list[int]]) -> list[dict[str, object]]:
    arguments = [str(library), str(folder), json.dumps(rounds)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.robustness.spool_faults", *arguments],
        env=os.environ | {"LD_PRELOAD": str(library)},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
        timeout=3600,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(rounds)
    return results


def assert_good(results: list[dict[str, object]]) -> None:
    assert [result for result in results if result["errors"]] == []


def count_calls(library: Path, folder: Path, failure: int) -> int:
    (result,) = live(library, folder, [[0, 1, failure]])
    assert_good([result])
    return int(str(result["calls"]))


@pytest.mark.robustness
@pytest.mark.timeout(300)
@pytest.mark.parametrize("failure", FAILURES)
def test_sample_of_failing_calls(library: Path, folder: Path, failure: int) -> None:
    source = random.Random(failure)
    calls = count_calls(library, folder, failure)
    rounds = [[source.randint(1, calls), 1, failure] for _ in range(25)]
    rounds += [[source.randint(1, calls), times, failure] for times in (3, 30)]
    results = live(library, folder, rounds)
    assert_good(results)
    assert sum(bool(result["failed"]) for result in results) > len(rounds) // 2


@pytest.mark.robustness
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("failure", FAILURES)
def test_nth_failure(library: Path, folder: Path, failure: int) -> None:
    """Each call in turn until a run makes no failure; every tenth without TOCSIN_LONG."""
    calls = count_calls(library, folder, failure)
    # Threads make the number of calls vary a little from run to run.
    numbers = range(1, calls * 3 // 2, 1 if LONG else 10)
    results = live(library, folder, [[number, 1, failure] for number in numbers])
    assert_good(results)
    assert not results[-1]["failed"], "the last round must have made all its calls"
    kinds = Counter(str(result["failed"]).partition(" ")[0] for result in results)
    # A sample of the calls may miss the rare ones.
    rare = {"fdatasync", "unlink"} if LONG and failure != SHORT_WRITE else set()
    assert {"pwrite64"} | rare <= set(kinds), kinds


@pytest.mark.robustness
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("times", [2, 10, 40])
@pytest.mark.parametrize("failure", FAILURES)
def test_disk_that_stays_bad_for_a_while(
    library: Path, folder: Path, failure: int, times: int
) -> None:
    calls = count_calls(library, folder, failure)
    numbers = range(1, calls, 3 if LONG else 80)
    assert_good(live(library, folder, [[number, times, failure] for number in numbers]))
