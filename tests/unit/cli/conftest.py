"""Commands in a folder of their own."""

from pathlib import Path

import pytest

from tests.unit.cli.commandline import Commands


@pytest.fixture
def tocsin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Commands:
    """Return what runs a command in an empty folder, as wide as a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return Commands(monkeypatch, capsys)
