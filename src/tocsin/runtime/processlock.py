"""One Tocsin per data folder.

The supervisor locks the folder, and each of its processes inherits the lock with its first
breath. So a new Tocsin that starts while the processes of a killed one still finish waits
for them, instead of failing on their port or their files.
"""

import fcntl
import os
import time
from collections.abc import Callable
from multiprocessing import reduction
from pathlib import Path
from typing import Any

from typing_extensions import override

from tocsin.model.errors import TocsinError

WAIT_SECONDS = 15.0
_POLL_SECONDS = 0.05
_FILE_NAME = "lock"


class FolderLock:
    """The lock on a data folder: held until every process that was given it is gone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @override
    def __reduce__(self) -> tuple[Callable[..., "FolderLock"], tuple[object, ...]]:
        """Give the open file itself to a process that is being started."""
        return _inherited, (reduction.DupFd(self._descriptor),)

    def close(self) -> None:
        """Let go, as far as this process is concerned."""
        os.close(self._descriptor)


def _inherited(descriptor: Any) -> FolderLock:  # noqa: ANN401 - a private class of multiprocessing
    return FolderLock(descriptor.detach())


def start_alone(folder: Path, wait: float | None = None) -> FolderLock:
    """Wait until no Tocsin uses the data folder, for some seconds at most, then lock it.

    Raises:
        TocsinError: another Tocsin goes on using it, or there is no access.
    """
    descriptor = _open(folder)
    deadline = time.monotonic() + (WAIT_SECONDS if wait is None else wait)
    while not _lock(descriptor):
        if time.monotonic() > deadline:
            os.close(descriptor)
            message = f"another Tocsin is running on {folder}; stop it, or name another --data"
            raise TocsinError(message)
        time.sleep(_POLL_SECONDS)
    return FolderLock(descriptor)


def _open(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(folder / _FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"the data folder {folder} cannot be used: {error.strerror}"
        raise TocsinError(message) from error


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
