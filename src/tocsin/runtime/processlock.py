"""One Tocsin per data folder.

The supervisor and each of its processes hold a shared lock; starting takes it exclusively
for a moment. So a new Tocsin that starts while the processes of a killed one still finish
waits for them, instead of failing on their port or their files.
"""

import fcntl
import os
import time
from pathlib import Path

from tocsin.model.errors import TocsinError

WAIT_SECONDS = 15.0
_POLL_SECONDS = 0.05
_FILE_NAME = "lock"


def start_alone(folder: Path) -> int:
    """Wait until no Tocsin uses the data folder, then hold it; return the open lock file.

    Raises:
        TocsinError: another Tocsin goes on using it, or there is no access.
    """
    descriptor = _open(folder)
    deadline = time.monotonic() + WAIT_SECONDS
    while not _lock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            os.close(descriptor)
            message = f"another Tocsin is running on {folder}; stop it, or name another --data"
            raise TocsinError(message)
        time.sleep(_POLL_SECONDS)
    _lock(descriptor, fcntl.LOCK_SH)
    return descriptor


def join(folder: Path) -> int:
    """Hold the data folder as one of several processes; return the open lock file.

    Raises:
        TocsinError: a new Tocsin has taken the folder over.
    """
    descriptor = _open(folder)
    if not _lock(descriptor, fcntl.LOCK_SH):
        os.close(descriptor)
        message = f"a new Tocsin has taken over {folder}"
        raise TocsinError(message)
    return descriptor


def _open(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(folder / _FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"the data folder {folder} cannot be used: {error.strerror}"
        raise TocsinError(message) from error


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
