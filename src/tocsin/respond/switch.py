"""The kill switch: a file that stops every response, for as long as it is there.

Anybody who can write the folder can stop responses, also with `touch`. Whatever stands in the
file, and where it cannot be read at all, responses are stopped.
"""

from pathlib import Path

import msgspec

from tocsin.disk import replace_file, sync_folder
from tocsin.model.errors import TocsinError

STOPPED = "stopped"
STARTED = "started"

_SOMEBODY = "somebody"
_MAX_BYTES = 16 * 1024


class Stop(msgspec.Struct, frozen=True):
    """Who used the switch, why, and when in seconds since the epoch (0 if it is not known)."""

    who: str
    why: str = ""
    time: float = 0.0


def stopped(folder: Path) -> Stop | None:
    """Return who stopped responses, None if they may run.

    Cheap: it is asked before every change of a cluster.
    """
    return _read(folder / STOPPED)


def started(folder: Path) -> Stop | None:
    """Return who started responses again, and when; None if nobody ever did."""
    return _read(folder / STARTED)


def stop(folder: Path, who: str, why: str, now: float) -> None:
    """Stop all responses, from now on and across restarts.

    Raises:
        TocsinError: the file cannot be written; responses go on.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(folder / STOPPED, Stop(who, why, now))
    except OSError as error:
        message = f"responses cannot be stopped by {folder / STOPPED}: {error.strerror}"
        raise TocsinError(message) from error


def start(folder: Path, who: str, now: float) -> None:
    """Let responses run again; those that were refused meanwhile stay refused.

    Raises:
        TocsinError: the file cannot be removed; responses stay stopped.
    """
    try:
        # First who did it: nothing may run that nobody let run.
        _write(folder / STARTED, Stop(who, time=now))
        (folder / STOPPED).unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        message = f"responses stay stopped by {folder / STOPPED}: {error.strerror}"
        raise TocsinError(message) from error


def _write(path: Path, content: Stop) -> None:
    replace_file(path, msgspec.json.encode(content) + b"\n")


def _read(path: Path) -> Stop | None:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Stop(_SOMEBODY, f"{path} cannot be read: {error.strerror}")
    try:
        return msgspec.json.decode(content, type=Stop)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Stop(_SOMEBODY, content.decode("utf-8", "replace").strip())
