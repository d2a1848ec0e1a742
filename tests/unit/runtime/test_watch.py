import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tocsin.runtime.watch import FileWatch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.yml").write_text("one")
    (tmp_path / "deep/b.yml").write_text("two")
    return tmp_path


def write(folder: Path) -> None:
    (folder / "a.yml").write_text("longer")


def touch(folder: Path) -> None:
    os.utime(folder / "deep/b.yml", ns=(1, 1))


def add(folder: Path) -> None:
    (folder / "deep/c.yml").touch()


def remove(folder: Path) -> None:
    (folder / "a.yml").unlink()


def rename(folder: Path) -> None:
    (folder / "a.yml").rename(folder / "z.yml")


def put_in_place_within_the_clock_tick(folder: Path) -> None:
    stat = (folder / "a.yml").stat()
    (folder / "new").write_text("eno")
    os.utime(folder / "new", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (folder / "new").rename(folder / "a.yml")


@pytest.mark.parametrize(
    "change", [write, touch, add, remove, rename, put_in_place_within_the_clock_tick]
)
def test_a_change_is_told_once(folder: Path, change: Callable[[Path], None]) -> None:
    watch = FileWatch([folder])
    assert not watch.changed()
    change(folder)
    assert watch.changed()
    assert not watch.changed()


def test_a_single_file_that_appears_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "clusters.yaml"
    watch = FileWatch([path])
    assert not watch.changed()
    path.touch()
    assert watch.changed()
    path.unlink()
    assert watch.changed()
    assert not watch.changed()


def test_what_lies_beside_a_watched_file_does_not_matter(folder: Path) -> None:
    watch = FileWatch([folder / "a.yml"])
    add(folder)
    assert not watch.changed()


def test_a_link_that_is_turned_as_kubernetes_turns_a_config_map(folder: Path) -> None:
    for version in ("v1", "v2"):
        (folder / version).mkdir()
        (folder / version / "rule.yml").write_text(version)
    (folder / "data").symlink_to("v1")
    (folder / "rule.yml").symlink_to("data/rule.yml")
    watch = FileWatch([folder / "rule.yml"])
    (folder / "next").symlink_to("v2")
    (folder / "next").rename(folder / "data")
    assert watch.changed()


def test_a_dangling_link_is_like_no_file(folder: Path) -> None:
    (folder / "dangling").symlink_to("nowhere")
    watch = FileWatch([folder])
    assert not watch.changed()
