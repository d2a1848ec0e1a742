from pathlib import Path

import pytest

from tocsin.connect.files import (
    locked,
    make_private_folder,
    read_if_exists,
    read_required,
    write_atomic,
)
from tocsin.model.errors import TocsinError


def test_file_is_replaced_with_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"one", 0o644)
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.mkdir()
    with pytest.raises(TocsinError, match=r"cannot write .*file: Is a directory"):
        write_atomic(folder, b"content")
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path)
    make_private_folder(tmp_path / "new")
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_unusable_paths_are_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(TocsinError, match=r"cannot make the folder .*/file/below"):
        make_private_folder(file / "below")
    with pytest.raises(TocsinError, match="cannot open the folder"), locked(file):
        pass
    with pytest.raises(TocsinError, match=r"cannot read .*: Is a directory"):
        read_if_exists(tmp_path)
    with pytest.raises(TocsinError, match="there is no file"):
        read_required(tmp_path / "none")
