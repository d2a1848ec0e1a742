"""The alert log: ASCII lines, rotation, and going on after any kind of end."""

import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert
from tocsin.model.alert import Alert, to_json_line
from tocsin.store import AlertLog, SqliteStore, own_store

BIG = 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log" / "alerts.jsonl"


def record(store: SqliteStore, *alert_ids: str) -> None:
    store.record([make_alert(alert_id) for alert_id in alert_ids], {}, 1.0)


def catch_up(path: Path, store: SqliteStore, max_bytes: int = BIG, keep: int = 3) -> int:
    with AlertLog(path, max_bytes, keep) as log:
        return log.catch_up(store)


def ids(path: Path) -> list[str]:
    lines = path.read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\n") for line in lines)
    return [json.loads(line)["id"] for line in lines]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_is_printable_ascii_whatever_the_text(text: str) -> None:
    line = to_json_line(hostile_alert(text))
    assert line.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert msgspec.json.decode(line, type=Alert) == hostile_alert(text)


@given(st.text())
@settings(deadline=None)
def test_a_line_says_what_the_alert_says(text: str) -> None:
    line = to_json_line(hostile_alert(text))
    assert msgspec.json.decode(line, type=Alert) == hostile_alert(text)
    assert json.loads(line)["description"] == text


def test_numbers_keep_their_digits() -> None:
    fields: dict[str, object] = {"é": 2**64 + 1, "text": "1e999"}
    assert b'"\\u00e9":18446744073709551617' in to_json_line(make_alert(fields=fields))


def test_each_alert_is_written_once(store: SqliteStore, path: Path) -> None:
    with AlertLog(path, BIG, 3) as log:
        record(store, "a1", "a2")
        assert log.catch_up(store) == 2
        assert log.catch_up(store) == 0
        record(store, "a2", "a3")
        assert log.catch_up(store) == 1
    assert catch_up(path, store) == 0
    record(store, "a4")
    assert catch_up(path, store) == 1
    assert ids(path) == ["a1", "a2", "a3", "a4"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_torn_end_is_dropped_and_written_again(store: SqliteStore, path: Path) -> None:
    record(store, "a1", "a2")
    catch_up(path, store)
    whole = path.read_bytes()
    around_the_ends = {0, 1, len(whole) // 2 - 1, len(whole) // 2, len(whole) // 2 + 1}
    for length in sorted({*range(0, len(whole), 23), *around_the_ends, len(whole) - 1}):
        path.write_bytes(whole[:length])
        catch_up(path, store)
        assert path.read_bytes() == whole


@pytest.mark.parametrize("garbage", [b"\0" * 512, b"\0\n", b'{"id": 1}\n', b"\xff\xfe{\n", b"{}\n"])
def test_what_a_power_loss_leaves_at_the_end_is_dropped(
    store: SqliteStore, path: Path, garbage: bytes
) -> None:
    record(store, "a1", "a2")
    catch_up(path, store)
    with path.open("ab") as file:
        file.write(garbage)
    record(store, "a3")
    catch_up(path, store)
    assert ids(path) == ["a1", "a2", "a3"]


def test_a_line_somebody_spoilt_in_the_middle_stays(store: SqliteStore, path: Path) -> None:
    record(store, "a1", "a2", "a3")
    catch_up(path, store)
    path.write_bytes(path.read_bytes().replace(b'"id":"a2"', b"spoilt"))
    record(store, "a4")
    assert catch_up(path, store) == 1
    assert b"spoilt" in path.read_bytes()


def test_files_rotate_by_size_and_the_oldest_go(store: SqliteStore, path: Path) -> None:
    length = len(to_json_line(make_alert("a0")))
    with AlertLog(path, max_bytes=2 * length, keep=2) as log:
        for n in range(9):
            record(store, f"a{n}")
            log.catch_up(store)
    assert ids(path) == ["a8"]
    assert ids(path.with_name("alerts.jsonl.1")) == ["a6", "a7"]
    assert ids(path.with_name("alerts.jsonl.2")) == ["a4", "a5"]
    assert not path.with_name("alerts.jsonl.3").exists()


def test_nothing_is_kept_when_nothing_is_to_be_kept(store: SqliteStore, path: Path) -> None:
    record(store, "a1", "a2", "a3")
    assert catch_up(path, store, max_bytes=1, keep=0) == 3
    assert ids(path) == ["a3"]
    assert list(path.parent.iterdir()) == [path]


def test_a_kill_between_rotation_and_the_first_line_loses_nothing(
    store: SqliteStore, path: Path
) -> None:
    record(store, "a1", "a2")
    catch_up(path, store)
    path.rename(path.with_name("alerts.jsonl.1"))
    record(store, "a3")
    catch_up(path, store)
    assert ids(path) == ["a3"]


def test_after_the_store_was_replaced_nothing_is_repeated(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    record(store, *(f"a{n}" for n in range(6)))
    catch_up(path, store, max_bytes=2000)
    with own_store(tmp_path / "new.db", {}, 2.0) as rebuilt:
        for count in (2, 5, 8):
            record(rebuilt, *(f"a{n}" for n in range(count)))
            catch_up(path, rebuilt, max_bytes=2000)
    files = sorted(path.parent.iterdir(), key=lambda file: file.name)
    found = [alert_id for file in files for alert_id in ids(file)]
    assert sorted(found) == [f"a{n}" for n in range(8)]


def test_a_failed_write_leaves_no_partial_line_and_is_repeated(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(store, "a1", "a2", "a3")
    real_write = os.write
    for failing in range(6):
        calls = 0

        def write(descriptor: int, data: memoryview) -> int:
            nonlocal calls
            calls += 1
            if calls == failing + 1:  # noqa: B023
                raise OSError(28, "No space left on device")
            return real_write(descriptor, data[:200])

        path.unlink(missing_ok=True)
        with AlertLog(path, BIG, 3) as log:
            monkeypatch.setattr(os, "write", write)
            with pytest.raises(OSError, match="No space"):
                log.catch_up(store)
            monkeypatch.setattr(os, "write", real_write)
            ids(path)
            log.catch_up(store)
            assert ids(path) == ["a1", "a2", "a3"]
