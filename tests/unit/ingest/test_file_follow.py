"""Bar R14: a log is followed through rotation and kills, with no line lost."""

import gzip
import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.ingest.receiver import FakeSpool
from tocsin.failpoint import FailpointError
from tocsin.ingest.follow import FileSettings, Follower, follow
from tocsin.ingest.metrics import IngestMetrics
from tocsin.ingest.spool import SpoolUnavailable

QUIET = 3


class Rig:
    """A log being written, and what follows it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "audit.log"
        self.checkpoint = directory / "state" / "audit.json"
        self.checkpoint.parent.mkdir()
        self.spool = FakeSpool()
        self.registry = CollectorRegistry()
        self.metrics = IngestMetrics(self.registry)
        self.settings = FileSettings(
            str(self.path), str(self.checkpoint), "prod", "node-1", poll_seconds=0.01
        )
        self.written: list[bytes] = []
        self.follower = self.new_follower()

    def new_follower(self) -> Follower:
        return Follower(self.settings, self.spool, self.metrics)

    def restart(self) -> None:
        """Go on as a new process would."""
        self.follower.close()
        self.follower = self.new_follower()

    def write(self, count: int = 1) -> None:
        """Append lines, no two of which are equal."""
        with self.path.open("ab") as file:
            for _ in range(count):
                line = b'{"auditID":"%08d"}\n' % len(self.written)
                self.written.append(line)
                file.write(line)

    def settle(self) -> None:
        """Step until nothing happens any more."""
        quiet = 0
        while quiet < QUIET:
            quiet = 0 if self.follower.step() else quiet + 1

    def rotated(self, number: int) -> Path:
        return self.path.with_name(f"audit-2026-01-01T00-00-00.{number:03d}.log")

    def rename(self, number: int) -> Path:
        """Rotate as lumberjack does."""
        self.path.rename(self.rotated(number))
        self.path.touch()
        return self.rotated(number)

    def compress(self, path: Path) -> None:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()

    def copy_truncate(self, name: str) -> Path:
        """Rotate as logrotate does with copytruncate."""
        copy = self.path.with_name(name)
        shutil.copyfile(self.path, copy)
        os.truncate(self.path, 0)
        return copy

    @property
    def stored(self) -> list[bytes]:
        return b"".join(self.spool.stored).splitlines(keepends=True)

    @property
    def gaps(self) -> float:
        return (
            self.registry.get_sample_value("tocsin_ingest_file_gaps_total", {"cluster": "prod"})
            or 0
        )


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.follower.close()


def test_starts_at_the_beginning_and_goes_on(rig: Rig) -> None:
    rig.write(3)
    rig.settle()
    rig.write(2)
    rig.settle()

    assert rig.stored == rig.written
    assert len(rig.spool.stored) == 2


def test_waits_for_a_log_that_is_not_there_yet(rig: Rig) -> None:
    rig.settle()
    rig.write()
    rig.settle()

    assert rig.stored == rig.written


def test_a_restart_goes_on_at_the_checkpoint(rig: Rig) -> None:
    rig.write(3)
    rig.settle()
    rig.restart()
    rig.write(2)
    rig.settle()

    assert rig.stored == rig.written


def test_a_partial_last_line_is_held_back(rig: Rig) -> None:
    rig.write()
    with rig.path.open("ab") as file:
        file.write(b'{"auditID":"half')
    rig.settle()
    assert rig.stored == rig.written

    rig.restart()
    with rig.path.open("ab") as file:
        file.write(b'","more":1}\n')
    rig.settle()
    assert rig.stored == [*rig.written, b'{"auditID":"half","more":1}\n']


def test_batches_have_500_lines_and_a_mebibyte_at_most(rig: Rig) -> None:
    rig.write(1_200)
    rig.settle()
    assert [body.count(b"\n") for body in rig.spool.stored] == [500, 500, 200]

    rig.spool.stored.clear()
    with rig.path.open("ab") as file:
        file.write((b"x" * 99_999 + b"\n") * 25)
    rig.settle()
    assert sum(map(len, rig.spool.stored)) == 2_500_000
    assert max(map(len, rig.spool.stored)) <= 1024 * 1024 + 100_000


def test_a_line_of_many_mebibytes_comes_whole(rig: Rig) -> None:
    rig.path.write_bytes(b"x" * 9_000_000 + b"\n")
    rig.settle()

    assert [len(body) for body in rig.spool.stored] == [9_000_001]


def test_a_line_without_end_is_cut(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.ingest.logfile._MAX_LINE_BYTES", 3 * 1024 * 1024)
    rig.path.write_bytes(bytes(7 * 1024 * 1024))
    rig.settle()

    assert [len(body) for body in rig.spool.stored] == [3 * 1024 * 1024] * 2


def test_follows_a_renamed_log(rig: Rig) -> None:
    rig.write(3)
    rig.settle()
    rig.write(2)
    rig.rename(1)
    rig.write(2)
    rig.settle()

    assert rig.stored == rig.written
    assert rig.gaps == 0


def test_follows_several_rotations_between_two_looks(rig: Rig) -> None:
    rig.write(3)
    rig.settle()
    for number in range(1, 4):
        rig.write(2)
        rig.rename(number)
    rig.write()
    rig.settle()

    assert rig.stored == rig.written


@pytest.mark.parametrize("compressed", [False, True])
def test_finds_its_file_again_after_rotations_while_it_was_down(
    rig: Rig, *, compressed: bool
) -> None:
    rig.write(3)
    rig.settle()
    rig.follower.close()
    for number in range(1, 4):
        rig.write(2)
        file = rig.rename(number)
        if compressed:
            rig.compress(file)
    rig.write()
    rig.restart()
    rig.settle()

    assert rig.stored == rig.written
    assert rig.gaps == 0


def test_a_file_compressed_under_its_hands_is_finished(rig: Rig) -> None:
    rig.write(3)
    rig.settle()
    rig.write(2)
    rig.compress(rig.rename(1))
    rig.write(2)
    rig.settle()

    assert rig.stored == rig.written


def test_a_log_that_was_empty_at_the_last_look_is_not_forgotten(rig: Rig) -> None:
    rig.path.touch()
    rig.settle()
    rig.follower.close()
    rig.write(3)
    rig.rename(1)
    rig.write(1)
    rig.restart()
    rig.settle()

    assert rig.stored == rig.written


def test_a_rotated_file_may_end_without_a_line_end(rig: Rig) -> None:
    rig.write()
    rig.settle()
    with rig.path.open("ab") as file:
        file.write(b'{"auditID":"last"}')
    rig.rename(1)
    rig.write()
    rig.settle()

    assert b"".join(rig.spool.stored) == (rig.written[0] + b'{"auditID":"last"}' + rig.written[1])


@pytest.mark.parametrize("name", ["audit.log.1", "audit.log-20260101"])
@pytest.mark.parametrize("down", [False, True])
def test_follows_copytruncate(rig: Rig, name: str, *, down: bool) -> None:
    rig.write(3)
    rig.settle()
    if down:
        rig.restart()
    rig.write(2)
    rig.copy_truncate(name)
    rig.write(1)
    rig.settle()

    assert rig.stored == rig.written
    assert rig.gaps == 0


def test_notices_a_truncation_even_when_the_new_log_is_longer(rig: Rig) -> None:
    rig.write(2)
    rig.settle()
    rig.copy_truncate("audit.log.1")
    rig.write(5)
    rig.settle()

    assert rig.stored == rig.written


def test_truncation_without_a_copy_is_a_gap(rig: Rig) -> None:
    rig.write(3)
    rig.settle()
    os.truncate(rig.path, 0)
    rig.write(1)
    rig.settle()

    assert rig.stored == rig.written
    assert rig.gaps == 1


@pytest.mark.parametrize("down", [False, True])
def test_follows_a_swapped_symlink(rig: Rig, *, down: bool) -> None:
    first, second = (rig.path.with_name(name) for name in ("one", "two"))
    rig.path.symlink_to(first)
    rig.write(3)
    rig.settle()
    rig.write(2)
    if down:
        rig.follower.close()
    rig.path.unlink()
    rig.path.symlink_to(second)
    rig.write(2)
    if down:
        rig.restart()
    rig.settle()

    assert rig.stored == rig.written
    assert rig.gaps == 0


def test_a_pruned_file_is_a_gap_and_all_that_is_left_is_read(rig: Rig) -> None:
    rig.write(3)
    rig.settle()
    rig.follower.close()
    rig.write(2)
    rig.rename(1).unlink()
    rig.write(2)
    rig.rename(2)
    rig.write(1)
    rig.restart()
    rig.settle()

    assert rig.stored == rig.written[:3] + rig.written[5:]
    assert rig.gaps == 1


@pytest.mark.parametrize("content", [b"", b"{", b'{"path":1}', b"\x00" * 50])
def test_a_damaged_checkpoint_reads_all_that_is_there(rig: Rig, content: bytes) -> None:
    rig.write(3)
    rig.rename(1)
    rig.write(2)
    rig.checkpoint.write_bytes(content)
    rig.settle()

    assert rig.stored == rig.written
    assert rig.gaps == 1


def test_a_damaged_archive_is_a_gap_and_not_the_end(rig: Rig) -> None:
    rig.write(3)
    rig.settle()
    rig.follower.close()
    rig.write(2)
    rig.compress(rig.rename(1))
    rig.write(500)
    archive = rig.rename(2)
    rig.compress(archive)
    packed = archive.with_name(f"{archive.name}.gz")
    packed.write_bytes(packed.read_bytes()[:-20])
    rig.write(1)
    rig.restart()
    rig.settle()

    assert set(rig.stored) >= {*rig.written[:5], rig.written[-1]}
    assert rig.gaps == 1


def test_a_kill_between_commit_and_checkpoint_repeats_and_loses_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.write(3)
    monkeypatch.setenv("TOCSIN_FAILPOINT", "file.after_commit:raise:1")
    with pytest.raises(FailpointError):
        rig.settle()
    monkeypatch.delenv("TOCSIN_FAILPOINT")
    rig.restart()
    rig.settle()

    assert rig.stored == rig.written * 2


def test_the_checkpoint_does_not_move_when_the_spool_refuses(rig: Rig) -> None:
    rig.write(3)
    rig.spool.fails = True
    with pytest.raises(SpoolUnavailable):
        rig.settle()
    rig.spool.fails = False
    rig.settle()
    assert rig.stored == rig.written

    rig.write(2)
    rig.spool.fails = True
    with pytest.raises(SpoolUnavailable):
        rig.settle()
    rig.spool.fails = False
    rig.restart()
    rig.settle()
    assert rig.stored == rig.written


@pytest.mark.parametrize("seed", range(30))
def test_no_line_is_lost_whatever_happens(rig: Rig, seed: int) -> None:
    """Random histories of writing, rotating, compressing, restarting and killing."""
    chance = random.Random(seed)
    files: list[Path] = []
    truncating = chance.random() < 0.3
    rig.write()
    rig.follower.step()
    for number in range(60):
        match chance.choice(["write", "write", "step", "rotate", "compress", "restart", "settle"]):
            case "write":
                rig.write(chance.randint(1, 5))
            case "step":
                rig.follower.step()
            case "rotate" if truncating:
                rig.write()
                rig.settle()
                rig.write()
                rig.copy_truncate(f"audit.log-{number:08d}")
            case "rotate":
                files.append(rig.rename(number))
            case "compress" if files:
                rig.compress(files.pop(chance.randrange(len(files))))
            case "restart":
                rig.restart()
            case _:
                rig.settle()
    rig.settle()

    assert set(rig.stored) == set(rig.written)
    assert rig.gaps == 0


def test_follow_runs_until_it_is_stopped(rig: Rig) -> None:
    stop = threading.Event()
    following = threading.Thread(target=follow, args=(rig.settings, rig.spool, rig.metrics, stop))
    following.start()
    try:
        for _ in range(5):
            rig.write(2)
            time.sleep(0.02)
        while len(rig.stored) < len(rig.written):
            time.sleep(0.01)
    finally:
        stop.set()
        following.join()
    assert rig.stored == rig.written


def test_follow_goes_on_after_trouble(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.ingest.follow._RETRY_SECONDS", 0.01)
    stop = threading.Event()
    rig.write(2)
    rig.spool.fails = True
    following = threading.Thread(target=follow, args=(rig.settings, rig.spool, rig.metrics, stop))
    following.start()
    try:
        time.sleep(0.05)
        assert rig.stored == []
        rig.spool.fails = False
        while len(rig.stored) < len(rig.written):
            time.sleep(0.01)
    finally:
        stop.set()
        following.join()
    assert rig.stored == rig.written
