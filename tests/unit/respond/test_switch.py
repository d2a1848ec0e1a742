from pathlib import Path

import pytest

from tocsin.model.errors import TocsinError
from tocsin.respond.switch import Stop, start, started, stop, stopped


def test_a15_stopped_until_somebody_starts(tmp_path: Path) -> None:
    folder = tmp_path / "responses"
    assert stopped(folder) is None
    assert started(folder) is None
    stop(folder, "alice", "too fast", 5.0)
    assert stopped(folder) == Stop("alice", "too fast", 5.0)
    assert (folder / "stopped").stat().st_mode & 0o777 == 0o600
    start(folder, "bob", 7.0)
    assert stopped(folder) is None
    assert started(folder) == Stop("bob", "", 7.0)
    assert sorted(path.name for path in folder.iterdir()) == ["started"]


def test_starting_twice_is_harmless(tmp_path: Path) -> None:
    start(tmp_path, "bob", 1.0)
    start(tmp_path, "eve", 2.0)
    assert started(tmp_path) == Stop("eve", "", 2.0)


@pytest.mark.parametrize("content", [b"", b"{", b"no JSON", b"\xff\xfe", b'{"who": 1}', b"[]"])
def test_a15_any_file_stops(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stopped").write_bytes(content)
    found = stopped(tmp_path)
    assert found is not None
    assert found.who == "somebody"


def test_a15_what_cannot_be_read_stops(tmp_path: Path) -> None:
    (tmp_path / "stopped").mkdir()
    found = stopped(tmp_path)
    assert found is not None
    assert "cannot be read" in found.why


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TocsinError, match="cannot be stopped"):
        stop(tmp_path / "file", "alice", "", 1.0)
    with pytest.raises(TocsinError, match="stay stopped"):
        start(tmp_path / "file", "alice", 1.0)
