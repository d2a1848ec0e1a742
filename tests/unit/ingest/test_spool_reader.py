import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tocsin.ingest.seal import Sealer, SealError
from tocsin.ingest.spool import (
    FileBusyError,
    Lag,
    Lost,
    Post,
    PostMeta,
    SpoolReader,
    SpoolSettings,
    SpoolWriter,
)
from tocsin.ingest.spool.layout import (
    FILE_NUMBERS,
    HighWater,
    cursor_path,
    read_number,
    spool_files,
    write_number,
)
from tocsin.ingest.spool.retention import delete_expired

SEALER = Sealer(bytes(32))
META = PostMeta("cluster", None, None, "webhook", 1_700_000_000_000_000)
SETTINGS = SpoolSettings(min_free_bytes=0, tick_seconds=60)
HOUR = 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spool of three sealed files with two posts each."""
    for first in (1, 3, 5):
        with closing(SpoolWriter(tmp_path, SEALER, SETTINGS)) as writer:
            for number in (first, first + 1):
                writer.append(META, b"body %d" % number).result()
    return tmp_path


@pytest.fixture
def reader(folder: Path) -> SpoolReader:
    return SpoolReader(folder, SEALER, "engine")


@pytest.fixture
def damaged(folder: Path) -> Iterator[sqlite3.Connection]:
    """The second file, to be changed behind the spool's back."""
    with closing(sqlite3.connect(spool_files(folder)[1].path, isolation_level=None)) as db:
        yield db


def numbers(items: list[Post | Lost]) -> list[int | tuple[int, int, str]]:
    return [
        item.seq if isinstance(item, Post) else (item.first, item.last, item.reason)
        for item in items
    ]


def test_reads_from_anywhere_in_any_portion(reader: SpoolReader) -> None:
    assert numbers(reader.read(0)) == [1, 2, 3, 4, 5, 6]
    assert numbers(reader.read(2, limit=3)) == [3, 4, 5]
    assert numbers(reader.read(5)) == [6]
    assert reader.read(6) == []
    assert reader.stalled is None


def test_spool_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    reader = SpoolReader(tmp_path / "later", SEALER, "engine")
    assert reader.read(0) == []
    assert reader.lag(0) == Lag(0, 0)


def test_large_bodies_come_in_small_portions(tmp_path: Path) -> None:
    with closing(SpoolWriter(tmp_path, SEALER, SETTINGS)) as writer:
        for _ in range(5):
            writer.append(META, os.urandom(7_000_000)).result()
    reader = SpoolReader(tmp_path, SEALER, "engine")
    assert numbers(reader.read(0)) == [1, 2, 3]
    assert numbers(reader.read(3)) == [4, 5]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b"])
def test_reader_names_are_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="reader name"):
        SpoolReader(tmp_path, SEALER, name)


def test_released_cursor_is_kept(reader: SpoolReader, folder: Path) -> None:
    reader.release(4)
    reader.release(4)
    path = cursor_path(folder, "engine")
    assert read_number(path) == 4
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(path.read_bytes().replace(b"4", b"5", 1))
    assert read_number(path) is None


def test_cursor_is_durable_before_it_counts(
    reader: SpoolReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new content, then the name: a power loss leaves the old cursor or the new one."""
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def record_sync(descriptor: int) -> None:
        steps.append(Path(f"/proc/self/fd/{descriptor}").resolve().name)
        sync(descriptor)

    def record_replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(Path, "replace", record_replace)
    reader.release(4)
    assert steps == [".engine.new", "rename", "cursors"]


def test_lag_counts_posts_not_numbers(reader: SpoolReader, folder: Path) -> None:
    files = spool_files(folder)
    files[2].path.rename(folder / f"{FILE_NUMBERS:019d}-{4:019d}.spool")
    mark = HighWater(folder, FILE_NUMBERS + 9)
    mark.close()
    assert reader.lag(1) == Lag(FILE_NUMBERS + 9, 3 + 10)
    assert reader.lag(FILE_NUMBERS + 9).posts == 0


def test_changed_body_or_metadata_is_lost(
    reader: SpoolReader, damaged: sqlite3.Connection, folder: Path
) -> None:
    damaged.execute("UPDATE post SET cluster = 'other' WHERE seq = 3")
    damaged.execute("UPDATE post SET body = (SELECT body FROM post WHERE seq = 3) WHERE seq = 4")
    items = reader.read(0)
    assert numbers(items) == [1, 2, (3, 4, "damaged"), 5, 6]
    assert items[2] == Lost(3, 4, "damaged", spool_files(folder)[1].path.name, META.received)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE post SET received = 1.5 WHERE seq = 3",
        "UPDATE post SET body = 'text' WHERE seq = 3",
        "UPDATE post SET body = x'' WHERE seq = 3",
        "UPDATE post SET node = x'ff' WHERE seq = 3",
        "UPDATE post SET source = cast(x'ff' AS TEXT) WHERE seq = 3",
        "UPDATE post SET parts = 2 WHERE seq = 3",
        "UPDATE post SET body = zeroblob(50000000) WHERE seq = 3",
    ],
)
def test_wrong_types_are_damage(
    reader: SpoolReader, damaged: sqlite3.Connection, change: str
) -> None:
    damaged.execute(change)
    assert numbers(reader.read(0)) in (
        [1, 2, (3, 3, "damaged"), 4, 5, 6],
        [1, 2, (3, 3, "key"), 4, 5, 6],
    )


def test_missing_rows_are_lost(reader: SpoolReader, damaged: sqlite3.Connection) -> None:
    damaged.execute("DELETE FROM post WHERE seq = 3")
    assert numbers(reader.read(0)) == [1, 2, (3, 3, "missing"), 4, 5, 6]
    damaged.execute("DELETE FROM post")
    assert numbers(reader.read(0)) == [1, 2, (3, 4, "missing"), 5, 6]


def test_file_without_tables_is_lost(reader: SpoolReader, damaged: sqlite3.Connection) -> None:
    damaged.execute("DROP TABLE post")
    assert numbers(reader.read(0)) == [1, 2, (3, 4, "damaged"), 5, 6]
    assert numbers(reader.read(3)) == [(4, 4, "damaged"), 5, 6]


def test_moved_row_does_not_pass_for_another(
    reader: SpoolReader, damaged: sqlite3.Connection
) -> None:
    damaged.execute("UPDATE post SET seq = 40 WHERE seq = 4")
    assert numbers(reader.read(0)) == [1, 2, 3, (4, 4, "missing"), 5, 6]


def test_other_key_is_told_from_damage(folder: Path) -> None:
    reader = SpoolReader(folder, Sealer(b"k" * 32), "engine")
    assert numbers(reader.read(0)) == [
        (1, 2, "key"),
        (3, 4, "key"),
        (5, 6, "key"),
    ]


def test_locked_file_is_read_later(reader: SpoolReader, folder: Path) -> None:
    path = spool_files(folder)[2].path
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        assert numbers(reader.read(0)) == [1, 2, 3, 4]
        assert "locked" in str(reader.stalled)
        db.execute("ROLLBACK")
    assert numbers(reader.read(4)) == [5, 6]
    assert reader.stalled is None


def test_without_the_committed_number_the_newest_file_is_the_witness(
    reader: SpoolReader, folder: Path
) -> None:
    (folder / "committed").unlink()
    assert numbers(reader.read(0)) == [1, 2, 3, 4, 5, 6]
    with closing(sqlite3.connect(spool_files(folder)[2].path, isolation_level=None)) as db:
        assert reader.lag(0) == Lag(6, 6)
        db.execute("BEGIN EXCLUSIVE")
        assert reader.read(0) == []
        assert reader.lag(5) == Lag(6, 6)
        assert reader.stalled


def test_numbers_that_are_to_come_are_not_lost(reader: SpoolReader, folder: Path) -> None:
    mark = HighWater(folder, 5)
    assert numbers(reader.read(0)) == [1, 2, 3, 4, 5]
    mark.set(8)
    mark.close()
    assert numbers(reader.read(5)) == [6, (7, 8, "missing")]


def test_cursor_is_no_news_when_only_the_committed_number_is_old(
    reader: SpoolReader, folder: Path
) -> None:
    """A power loss may take the last writes of the number, not of the posts."""
    mark = HighWater(folder, 4)
    mark.close()
    assert reader.read(6) == []


def test_cursor_above_everything_is_lost_once(reader: SpoolReader) -> None:
    assert numbers(reader.read(9)) == [(7, 9, "missing")]
    assert reader.read(9) == []


def test_new_numbers_start_above_cursors(folder: Path, reader: SpoolReader) -> None:
    reader.release(20)
    with closing(SpoolWriter(folder, SEALER, SETTINGS)) as writer:
        assert writer.append(META, b"new").result() == 21
    assert numbers(reader.read(6)) == [(7, 20, "missing"), 21]


def test_pieces_lost_after_the_post_was_read_are_told(tmp_path: Path) -> None:
    with closing(SpoolWriter(tmp_path, SEALER, SETTINGS)) as writer:
        writer.append(META, bytes(9_000_000)).result()
    (post,) = SpoolReader(tmp_path, SEALER, "engine").read(0)
    assert isinstance(post, Post)
    (file,) = spool_files(tmp_path)
    with closing(sqlite3.connect(file.path, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(FileBusyError):
            post.body()
        db.execute("DELETE FROM part WHERE id = 2")
        db.execute("COMMIT")
    with pytest.raises(SealError, match="missing"):
        post.body()
    assert numbers(SpoolReader(tmp_path, SEALER, "engine").read(0)) == [(1, 1, "damaged")]


def age(folder: Path, hours: float) -> float:
    """Return a time at which every file is so old."""
    return max(file.path.stat().st_mtime for file in spool_files(folder)) + hours * HOUR


def test_old_files_are_deleted_once_released(reader: SpoolReader, folder: Path) -> None:
    assert delete_expired(folder, SETTINGS, age(folder, 25)) == 0, "no reader is known"
    reader.release(3)
    assert delete_expired(folder, SETTINGS, age(folder, 23)) == 0
    assert delete_expired(folder, SETTINGS, age(folder, 25)) == 1
    assert numbers(reader.read(2)) == [3, 4, 5, 6]
    reader.release(6)
    assert delete_expired(folder, SETTINGS, age(folder, 25)) == 1, "the newest file stays"


def test_files_are_deleted_from_the_oldest_when_there_are_too_many(
    reader: SpoolReader, folder: Path
) -> None:
    sizes = [file.path.stat().st_size for file in spool_files(folder)]
    reader.release(6)
    settings = SpoolSettings(min_free_bytes=0, retain_bytes=sizes[1] + sizes[2])
    assert delete_expired(folder, settings, age(folder, 0)) == 1
    assert [file.first for file in spool_files(folder)] == [3, 5]


def test_what_one_reader_still_needs_is_kept(reader: SpoolReader, folder: Path) -> None:
    reader.release(6)
    SpoolReader(folder, SEALER, "archive").release(2)
    assert delete_expired(folder, SETTINGS, age(folder, 25)) == 1
    cursor_path(folder, "archive").write_bytes(b"damaged")
    assert delete_expired(folder, SETTINGS, age(folder, 25)) == 0


def test_full_disk_takes_what_is_released_only(reader: SpoolReader, folder: Path) -> None:
    reader.release(2)
    full = SpoolSettings(min_free_bytes=1 << 60)
    assert delete_expired(folder, full, age(folder, 0)) == 1
    assert numbers(reader.read(2)) == [3, 4, 5, 6]


def test_a_reader_that_comes_too_late_is_told(reader: SpoolReader, folder: Path) -> None:
    reader.release(4)
    delete_expired(folder, SETTINGS, age(folder, 25))
    late = SpoolReader(folder, SEALER, "late")
    assert numbers(late.read(0)) == [(1, 4, "expired"), 5, 6]
    assert numbers(late.read(1)) == [(2, 4, "expired"), 5, 6]


def test_files_removed_by_hand_are_missing(reader: SpoolReader, folder: Path) -> None:
    write_number(folder / "deleted", 1)
    spool_files(folder)[0].path.unlink()
    assert numbers(reader.read(0)) == [(1, 1, "expired"), (2, 2, "missing"), 3, 4, 5, 6]
    for file in spool_files(folder):
        file.path.unlink()
    assert numbers(reader.read(2)) == [(3, 6, "missing")]


def test_foreign_files_are_ignored(reader: SpoolReader, folder: Path) -> None:
    (folder / "notes.spool").touch()
    (folder / "1-x.spool").touch()
    assert numbers(reader.read(0)) == [1, 2, 3, 4, 5, 6]


def test_folders_that_a_reader_makes_are_its_owners_alone(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        SpoolReader(tmp_path / "spool", Sealer(bytes(32)), "reader").release(1)
    finally:
        os.umask(former)
    for folder in (tmp_path / "spool", tmp_path / "spool" / "cursors"):
        assert folder.stat().st_mode & 0o777 == 0o700
