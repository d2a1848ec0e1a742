import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tocsin.model.errors import TocsinError
from tocsin.runtime import processlock
from tocsin.runtime.processlock import FolderLock, start_alone


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processlock, "WAIT_SECONDS", 0.1)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[FolderLock]:
    with closing(start_alone(tmp_path)) as lock:
        yield lock


def inherited(lock: FolderLock) -> int:
    """Return the open file as a process of the same Tocsin has it."""
    return os.dup(lock._descriptor)


@pytest.mark.usefixtures("held")
def test_a_second_one_is_refused_with_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TocsinError) as refused:
        start_alone(tmp_path)
    assert str(refused.value) == (
        f"another Tocsin is running on {tmp_path}; stop it, or name another --data"
    )


def test_a_process_of_a_former_one_keeps_the_folder(tmp_path: Path) -> None:
    former = start_alone(tmp_path)
    process = inherited(former)
    former.close()
    with pytest.raises(TocsinError, match="another Tocsin is running"):
        start_alone(tmp_path)
    os.close(process)
    start_alone(tmp_path).close()


def test_a_new_one_waits_for_the_processes_of_a_former_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processlock, "WAIT_SECONDS", 5.0)
    former = start_alone(tmp_path)
    process = inherited(former)
    former.close()
    timer = threading.Timer(0.2, os.close, args=(process,))
    began = time.monotonic()
    timer.start()
    with closing(start_alone(tmp_path)):
        assert 0.2 <= time.monotonic() - began < 4
    timer.join()


def test_who_was_refused_holds_nothing(tmp_path: Path) -> None:
    with closing(start_alone(tmp_path)), pytest.raises(TocsinError):
        start_alone(tmp_path)
    start_alone(tmp_path).close()


def test_folders_of_their_own_do_not_meet(tmp_path: Path) -> None:
    with closing(start_alone(tmp_path / "a")), closing(start_alone(tmp_path / "b")):
        pass


def test_the_folder_is_made_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    start_alone(folder).close()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "lock").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TocsinError, match="file cannot be used: File exists"):
        start_alone(tmp_path / "file")
