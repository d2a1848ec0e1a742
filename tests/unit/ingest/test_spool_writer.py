import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import (
    Lost,
    Post,
    PostMeta,
    SpoolReader,
    SpoolSettings,
    SpoolUnavailable,
    SpoolWriter,
    committer,
)
from tocsin.ingest.spool.layout import file_path, has_side_files, is_sealed, spool_files
from tocsin.ingest.spool.segment import Segment, seal_file
from tocsin.model.errors import TocsinError

KEY = bytes(range(32))
MIB = 1024 * 1024
META = PostMeta("cluster", "node", "CN=peer", "webhook", 1_700_000_000_000_001)
SMALL = SpoolSettings(min_free_bytes=0, max_file_bytes=10_000, tick_seconds=0.02)

Start = Callable[..., SpoolWriter]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts writers on the folder and closes them in the end."""
    writers = []

    def start_one(settings: SpoolSettings = SMALL) -> SpoolWriter:
        writers.append(SpoolWriter(folder, Sealer(KEY), settings))
        return writers[-1]

    yield start_one
    for writer in writers:
        writer.close()


def read(folder: Path, after: int = 0) -> list[Post]:
    reader = SpoolReader(folder, Sealer(KEY), "reader")
    posts: list[Post] = []
    while found := reader.read(after):
        for item in found:
            assert isinstance(item, Post), item
            posts.append(item)
        after = posts[-1].seq
    return posts


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_posts_come_back_in_order(start: Start, folder: Path) -> None:
    writer = start()
    metas = [META, PostMeta("c", None, None, "file", 0), PostMeta("\0 ü", "", "", "backfill", -1)]
    bodies = [b"", b"x", os.urandom(100_000)]
    numbers = [writer.append(meta, body).result() for meta, body in zip(metas, bodies, strict=True)]
    assert numbers == [1, 2, 3]
    posts = read(folder)
    assert [post.seq for post in posts] == numbers
    assert [post.meta for post in posts] == metas
    assert [post.body() for post in posts] == bodies
    assert [post.length for post in posts] == [0, 1, 100_000]
    assert writer.stats.posts == 3
    assert writer.stats.raw_bytes == 100_001
    assert writer.stats.pending == writer.stats.pending_bytes == 0


def test_numbers_go_on_after_a_restart(start: Start, folder: Path) -> None:
    first = start()
    first.append(META, b"1").result()
    first.close()
    assert start().append(META, b"2").result() == 2
    assert [post.body() for post in read(folder)] == [b"1", b"2"]


def test_names_left_by_a_bad_disk_are_not_used_again(start: Start, folder: Path) -> None:
    writer = start()
    writer.append(META, b"x").result()
    writer.close()
    # What a disk leaves behind that refuses to commit and then to delete: names, no posts.
    left = [file_path(folder, first, 1) for first in (2, 24)]
    left[0].touch()
    Segment(folder, 24, 1, Sealer(KEY), MIB).close()
    assert seal_file(left[1])
    writer = start()
    assert writer.append(META, b"y").result() == 25
    assert [post.body() for post in read(folder)] == [b"x", b"y"]


def test_file_that_has_the_name_already_is_left_as_it_is(folder: Path) -> None:
    folder.mkdir()
    path = file_path(folder, 1, 0)
    path.write_bytes(b"posts")
    with pytest.raises(FileExistsError):
        Segment(folder, 1, 0, Sealer(KEY), MIB)
    assert path.read_bytes() == b"posts"


def test_waiting_posts_are_committed_together(start: Start) -> None:
    writer = start(SpoolSettings(min_free_bytes=0))
    futures = [writer.append(META, b"body %d" % number) for number in range(300)]
    assert [future.result() for future in futures] == list(range(1, 301))
    assert writer.stats.commits < 150


def test_every_commit_is_synced(tmp_path: Path) -> None:
    segment = Segment(tmp_path, 1, 0, Sealer(KEY), MIB)
    assert segment._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert segment._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    segment.close()


def test_close_stores_what_was_handed_over_and_seals(start: Start, folder: Path) -> None:
    writer = start(SpoolSettings(min_free_bytes=0))
    futures = [writer.append(META, os.urandom(1_000)) for _ in range(50)]
    writer.close()
    writer.close()
    assert all(future.result() for future in futures)
    (file,) = spool_files(folder)
    assert is_sealed(file.path)
    with pytest.raises(SpoolUnavailable, match="closed"):
        writer.append(META, b"late").result()
    assert writer.stats.refused == 1


def test_only_one_writer(start: Start, folder: Path) -> None:
    start()
    with pytest.raises(TocsinError, match="another process"):
        SpoolWriter(folder, Sealer(KEY))


def test_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolUnavailable, match="cannot be opened"):
        SpoolWriter(tmp_path / "file", Sealer(KEY))
    (tmp_path / "spool" / "committed").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(SpoolUnavailable, match="cannot be opened"):
            SpoolWriter(tmp_path / "spool", Sealer(KEY))


def test_files_rotate_and_are_sealed(start: Start, folder: Path) -> None:
    writer = start()
    for _ in range(20):
        writer.append(META, os.urandom(3_000)).result()
    wait_until(lambda: all(is_sealed(file.path) for file in spool_files(folder)[:-1]))
    files = spool_files(folder)
    assert len(files) >= 4
    assert writer.stats.rotations in {len(files), len(files) - 1}
    for before, after in pairwise(files):
        assert before.first <= after.previous == after.first - 1
        assert not has_side_files(before.path)
    assert len(read(folder)) == 20


def test_nobody_else_can_read_the_files(start: Start, folder: Path) -> None:
    start().append(META, b"body").result()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_bodies_reach_the_disk_sealed_only(start: Start, folder: Path) -> None:
    canary = os.urandom(64)
    writer = start()
    writer.append(META, canary).result()
    upload = writer.upload(META)
    for _ in range(3):
        upload.write(canary * (4 * MIB // 64)).result()
    upload.commit().result()
    for path in folder.iterdir():
        data = path.read_bytes()
        assert canary not in data
        assert canary[:16] not in data
    writer.close()


def test_metadata_that_cannot_be_stored_fails_its_own_post_only(start: Start, folder: Path) -> None:
    writer = start()
    with pytest.raises(ValueError, match="surrogates"):
        writer.append(PostMeta("\ud800", None, None, "webhook", 0), b"bad")
    with pytest.raises(ValueError, match="surrogates"):
        writer.upload(PostMeta("\ud800", None, None, "webhook", 0))
    assert writer.append(META, b"good").result() == 1
    assert len(read(folder)) == 1


def test_large_body_is_stored_in_pieces(start: Start, folder: Path) -> None:
    writer = start(SpoolSettings(min_free_bytes=0))
    body = random.Random(1).randbytes(MIB) * 17 + b"end"
    upload = writer.upload(META)
    for at in range(0, len(body), 300_000):
        upload.write(body[at : at + 300_000]).result()
        assert read(folder) == []
    assert upload.commit().result() == 1
    assert writer.append(META, body).result() == 2
    for post in read(folder):
        assert (post.parts, post.length) == (3, len(body))
        assert [len(piece) for piece in post.pieces()] == [8 * MIB, 8 * MIB, MIB + 3]
        assert post.body() == body


def test_upload_of_one_piece_is_an_ordinary_post(start: Start, folder: Path) -> None:
    upload = start(SpoolSettings(min_free_bytes=0)).upload(META)
    upload.write(bytes(8 * MIB)).result()
    upload.commit().result()
    (post,) = read(folder)
    assert (post.parts, post.body()) == (1, bytes(8 * MIB))


def test_aborted_upload_stays_invisible(start: Start, folder: Path) -> None:
    writer = start()
    upload = writer.upload(META)
    upload.write(bytes(9 * MIB)).result()
    upload.abort()
    writer.upload(META).abort()
    assert writer.append(META, b"next").result() == 1
    assert [post.body() for post in read(folder)] == [b"next"]


def test_file_waits_for_an_upload_up_to_twice_its_size(start: Start, folder: Path) -> None:
    writer = start(SpoolSettings(min_free_bytes=0, max_file_bytes=2 * MIB))
    kept, late = writer.upload(META), writer.upload(META)
    for upload in (kept, late):
        upload.write(bytes(9 * MIB)).result()
    writer.append(META, os.urandom(3 * MIB)).result()
    assert kept.commit().result() == 2
    writer.append(META, os.urandom(3 * MIB)).result()
    wait_until(lambda: writer.stats.rotations == 1)
    with pytest.raises(SpoolUnavailable, match="changed"):
        late.commit().result()
    assert [post.length for post in read(folder)] == [3 * MIB, 9 * MIB, 3 * MIB]


def test_file_of_an_upload_that_does_not_fit_is_left(start: Start, folder: Path) -> None:
    writer = start(SpoolSettings(min_free_bytes=0, max_file_bytes=MIB))
    upload = writer.upload(META)
    upload.write(os.urandom(9 * MIB)).result()
    with pytest.raises(SpoolUnavailable, match="changed"):
        upload.commit().result()
    assert writer.append(META, b"next").result() == 2
    assert writer.stats.failed_commits == 0
    assert [post.body() for post in read(folder)] == [b"next"]


def test_upload_with_a_refused_piece_is_refused(start: Start, folder: Path) -> None:
    writer = start(SpoolSettings(min_free_bytes=0, max_pending_bytes=1))
    upload = writer.upload(META)
    upload.write(random.Random(1).randbytes(25 * MIB))
    upload.write(b"").result()
    with pytest.raises(SpoolUnavailable, match=r"refused|waiting"):
        upload.commit().result()
    assert read(folder) == []


def test_posts_are_refused_while_too_much_waits(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    commit = Segment.commit
    monkeypatch.setattr(Segment, "commit", lambda self: (go_on.wait(5), commit(self)))
    writer = start(SpoolSettings(min_free_bytes=0, max_pending_bytes=50_000))
    futures = [writer.append(META, os.urandom(20_000)) for _ in range(4)]
    with pytest.raises(SpoolUnavailable, match="waiting"):
        futures[-1].result()
    go_on.set()
    assert [future.result() for future in futures[:2]] == [1, 2]
    assert writer.append(META, b"again").result() == 3


def test_nothing_is_stored_below_the_watermark(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 10 * MIB
    monkeypatch.setattr(committer, "free_bytes", lambda _: free)
    writer = start(SpoolSettings(min_free_bytes=5 * MIB, tick_seconds=0.01))
    writer.append(META, b"before").result()
    free = 4 * MIB
    wait_until(lambda: "nearly full" in str(writer.stats.suspended))
    for _ in range(3):
        with pytest.raises(SpoolUnavailable, match="nearly full"):
            writer.append(META, b"refused").result()
    assert writer.stats.refused == 3
    assert [post.body() for post in read(folder)] == [b"before"]
    free = 10 * MIB
    wait_until(lambda: writer.stats.suspended is None)
    assert writer.append(META, b"after").result() == 2


def test_failed_commit_sets_the_file_aside(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = start()
    writer.append(META, b"1").result()
    with monkeypatch.context() as failing:
        failing.setattr(Segment, "commit", fail)
        with pytest.raises(SpoolUnavailable, match="disk says no"):
            writer.append(META, b"2").result()
    assert writer.stats.failed_commits == 1
    assert writer.stats.refused == 1
    assert writer.append(META, b"3").result() == 3, "the number of the failed post stays used"
    assert [post.body() for post in read(folder)] == [b"1", b"3"]
    assert len(spool_files(folder)) == 2


def test_disk_that_stays_bad_leaves_no_trail_of_files(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "_RETRY_SECONDS", 0.01)
    writer = start()
    with monkeypatch.context() as failing:
        failing.setattr(Segment, "commit", fail)
        for _ in range(5):
            with pytest.raises(SpoolUnavailable):
                writer.append(META, b"refused").result()
            time.sleep(0.02)
        assert spool_files(folder) == []
        assert "disk says no" in str(writer.stats.suspended)
    writer.append(META, b"good").result()
    assert writer.stats.suspended is None
    assert [post.body() for post in read(folder)] == [b"good"]


def fail(_: Segment) -> None:
    message = "disk says no"
    raise sqlite3.OperationalError(message)


def test_failed_checkpoint_sets_the_file_aside(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = start()
    with monkeypatch.context() as failing:
        failing.setattr(Segment, "checkpoint", lambda self, truncate: fail(self))
        writer.append(META, b"1").result()
        wait_until(lambda: writer.stats.failed_commits == 1)
    writer.append(META, b"2").result()
    assert [post.body() for post in read(folder)] == [b"1", b"2"]
    assert len(spool_files(folder)) == 2


def test_reader_follows_while_the_writer_rotates(start: Start, folder: Path) -> None:
    writer = start()
    found: list[Post | Lost] = []

    def follow() -> None:
        reader = SpoolReader(folder, Sealer(KEY), "reader")
        after = 0
        while after < 200:
            found.extend(items := reader.read(after))
            after += len(items)

    reading = threading.Thread(target=follow)
    reading.start()
    for number in range(200):
        writer.append(META, b"%d" % number + os.urandom(600)).result()
    reading.join()
    assert [item.seq if isinstance(item, Post) else item for item in found] == list(range(1, 201))


def test_file_held_by_a_reader_is_sealed_later(start: Start, folder: Path) -> None:
    writer = start()
    writer.append(META, os.urandom(9_000)).result()
    (file,) = spool_files(folder)
    held = sqlite3.connect(file.path)
    held.execute("SELECT count(*) FROM post").fetchone()
    for _ in range(3):
        writer.append(META, os.urandom(9_000)).result()
    time.sleep(0.3)
    assert not is_sealed(file.path)
    held.close()
    wait_until(lambda: is_sealed(file.path))
    assert len(read(folder)) == 4
