"""Looking back never stands in the way of who writes, seals and deletes."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import Head, Look, PostMeta, SpoolHistory, SpoolSettings, SpoolWriter
from tocsin.ingest.spool.layout import cursors, is_sealed, remove_file, spool_files

SEALER = Sealer(bytes(32))
SETTINGS = SpoolSettings(min_free_bytes=0, tick_seconds=60)


def fill(folder: Path, numbers: range, cluster: str = "c") -> None:
    """Store a post per number in one sealed file; each is received at its number."""
    with closing(SpoolWriter(folder, SEALER, SETTINGS)) as writer:
        for number in numbers:
            meta = PostMeta(cluster, None, None, "webhook", number)
            writer.append(meta, b"%d" % number).result()


@pytest.fixture
def history(tmp_path: Path) -> SpoolHistory:
    for numbers in (range(1, 21), range(21, 41)):
        fill(tmp_path, numbers)
    return SpoolHistory(tmp_path, SEALER)


def everything(_: Head) -> bool:
    return True


def numbers(looks: Iterator[Look]) -> list[int]:
    return [int(look.post.body()) for look in looks if look.post]


def test_all_posts_from_the_newest_on(history: SpoolHistory) -> None:
    assert numbers(history.backwards(everything)) == [*range(40, 0, -1)]
    assert numbers(history.backwards(everything, below=22, above=19)) == [21, 20]


def test_what_is_not_wanted_is_told_but_not_read(history: SpoolHistory) -> None:
    looks = list(history.backwards(lambda head: head.received == 30))
    assert [look.seq for look in looks if look.post] == [30]
    assert [(look.seq, look.received) for look in looks if not look.post] == [(21, 21), (1, 1)]


def test_nothing_is_left_behind(history: SpoolHistory, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert len(numbers(history.backwards(everything))) == 40
    assert sorted(tmp_path.rglob("*")) == before
    assert cursors(tmp_path) == []


def test_a_file_that_retention_deletes_meanwhile(history: SpoolHistory, tmp_path: Path) -> None:
    looks = history.backwards(everything)
    first = next(looks)
    remove_file(spool_files(tmp_path)[0].path)
    rest = list(looks)
    assert first.seq == 40
    assert not [look for look in rest if look.trouble]
    assert [look.seq for look in rest] == [*range(39, 20, -1)]


def test_a_file_is_sealed_while_somebody_looks(tmp_path: Path) -> None:
    history = SpoolHistory(tmp_path, SEALER)
    with closing(SpoolWriter(tmp_path, SEALER, SETTINGS)) as writer:
        for number in range(1, 11):
            meta = PostMeta("c", None, None, "webhook", number)
            writer.append(meta, b"%d" % number).result()
        looks = history.backwards(everything)
        assert next(looks).seq == 10
    assert is_sealed(spool_files(tmp_path)[0].path)
    assert numbers(looks) == [*range(9, 0, -1)]


def test_one_post(history: SpoolHistory) -> None:
    found = history.post(7)
    assert found is not None
    assert found.body() == b"7"
    assert history.post(0) is None
    assert history.post(99) is None
