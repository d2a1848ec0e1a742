"""Run the command line as a user does: in this process, or as a program of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tocsin import cli

EXECUTABLE = Path(sys.executable).with_name("tocsin")


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str


class Commands:
    """Runs commands in this process, through `main`, so that errors are those a user sees."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capture = capture

    def __call__(self, *arguments: object, stdin: Path = Path(os.devnull)) -> Ran:
        self._monkeypatch.setattr(sys, "argv", ["tocsin", *map(str, arguments)])
        self._capture.readouterr()
        with _standard_input(stdin):
            code = self._main()
        captured = self._capture.readouterr()
        return Ran(code, captured.out, captured.err)

    @staticmethod
    def _main() -> int:
        try:
            cli.main()
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 0
        return 0


@contextlib.contextmanager
def _standard_input(path: Path) -> Iterator[None]:
    former = os.dup(0)
    try:
        with path.open("rb") as file:
            os.dup2(file.fileno(), 0)
        yield
    finally:
        os.dup2(former, 0)
        os.close(former)


def run(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a command as a program of its own."""
    return subprocess.run(
        [str(EXECUTABLE), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=folder,
        env=environment(),
        timeout=60,
        check=False,
    )


def environment(**variables: str) -> Mapping[str, str]:
    """Return an environment without a configuration of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN")}
    return kept | {"COLUMNS": "120"} | variables
