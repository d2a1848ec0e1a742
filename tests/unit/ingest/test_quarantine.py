from datetime import UTC, datetime
from pathlib import Path

import pytest

from tocsin.ingest import quarantine as module
from tocsin.ingest.quarantine import MAX_PER_POST, MAX_RAW_BYTES, Quarantine
from tocsin.ingest.seal import Sealer, SealError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
DAY = 86400.0
SECRET = b"token-that-must-not-lie-on-the-disk"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "quarantine"


@pytest.fixture
def quarantine(folder: Path) -> Quarantine:
    return Quarantine(folder, Sealer(bytes(32)))


def reasons(quarantine: Quarantine) -> list[str]:
    return [record.reason for record in quarantine.records()]


def test_what_is_set_aside_can_be_read_again(quarantine: Quarantine) -> None:
    quarantine.add("prod", 7, [("no JSON", b"{oops"), ("empty", b"")], NOW)
    first, second = quarantine.records()
    assert (first.cluster, first.seq, first.reason, first.length) == ("prod", 7, "no JSON", 5)
    assert first.time == "2026-11-23T12:00:00+00:00"
    assert [quarantine.raw(first), quarantine.raw(second)] == [b"{oops", b""]


def test_nothing_set_aside_makes_no_file(quarantine: Quarantine, folder: Path) -> None:
    quarantine.add("prod", 7, [], NOW)
    assert not folder.exists()
    assert not list(quarantine.records())


def test_it_is_sealed_and_private_on_disk(quarantine: Quarantine, folder: Path) -> None:
    quarantine.add("prod", 7, [("no JSON", SECRET)], NOW)
    [path] = folder.iterdir()
    assert path.name == "2026-11-23.jsonl"
    assert SECRET not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_another_key_opens_nothing(quarantine: Quarantine, folder: Path) -> None:
    quarantine.add("prod", 7, [("no JSON", SECRET)], NOW)
    other = Quarantine(folder, Sealer(bytes(31) + b"\1"))
    [record] = other.records()
    with pytest.raises(SealError):
        other.raw(record)


def test_of_a_post_a_limited_number_is_kept(quarantine: Quarantine) -> None:
    quarantine.add("prod", 7, [(str(n), b"x") for n in range(MAX_PER_POST + 1)], NOW)
    quarantine.add("prod", 8, [("next post", b"x")], NOW)
    assert reasons(quarantine) == [*map(str, range(MAX_PER_POST)), "next post"]


def test_long_bytes_and_reasons_are_cut(quarantine: Quarantine) -> None:
    quarantine.add("prod", 7, [("r" * 10_000, b"x" * (MAX_RAW_BYTES + 1))], NOW)
    [record] = quarantine.records()
    assert len(record.reason) == 500
    assert record.length == MAX_RAW_BYTES + 1
    assert len(quarantine.raw(record)) == MAX_RAW_BYTES


def test_of_a_day_a_limited_size_is_kept(
    quarantine: Quarantine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DAY_BYTES", 3000)
    for seq in range(20):
        quarantine.add("prod", seq, [("long", b"x" * 500), ("short", b"x")], NOW)
    assert 2000 < (folder / "2026-11-23.jsonl").stat().st_size <= 3000
    quarantine.add("prod", 20, [("next day", b"x")], NOW + DAY)
    assert reasons(quarantine)[-1] == "next day"


def test_old_days_are_forgotten(quarantine: Quarantine, folder: Path) -> None:
    for day in range(20):
        quarantine.add("prod", day, [(str(day), b"x")], NOW + day * DAY)
    (folder / "notes.jsonl").touch()
    quarantine.add("prod", 20, [("20", b"x")], NOW + 20 * DAY)
    assert reasons(quarantine) == [str(day) for day in range(6, 21)]
    assert (folder / "notes.jsonl").exists()


def test_the_order_is_that_of_time(quarantine: Quarantine) -> None:
    for day in (3, 1, 2):
        quarantine.add("prod", day, [(str(day), b"x")], NOW + day * DAY)
    assert reasons(quarantine) == ["1", "2", "3"]


def test_a_line_that_a_crash_tore_costs_only_itself(quarantine: Quarantine, folder: Path) -> None:
    quarantine.add("prod", 1, [("first", b"1"), ("torn", b"2")], NOW)
    path = folder / "2026-11-23.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    assert reasons(quarantine) == ["first"]
    quarantine.add("prod", 1, [("first", b"1"), ("torn", b"2")], NOW)
    assert reasons(quarantine) == ["first", "first", "torn"]


def test_foreign_lines_are_skipped(quarantine: Quarantine, folder: Path) -> None:
    quarantine.add("prod", 1, [("first", b"1")], NOW)
    with (folder / "2026-11-23.jsonl").open("ab") as file:
        file.write(b"\xff\n\n[]\n{}\n")
    quarantine.add("prod", 2, [("second", b"1")], NOW)
    assert reasons(quarantine) == ["first", "second"]


def test_a_link_in_place_of_the_file_is_not_followed(
    quarantine: Quarantine, folder: Path, tmp_path: Path
) -> None:
    folder.mkdir()
    (folder / "2026-11-23.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        quarantine.add("prod", 1, [("first", b"1")], NOW)
    assert not (tmp_path / "elsewhere").exists()
