"""Files that nobody may see half-written: keys, certificates, the list of credentials.

Failures become a `TocsinError` that names the file, because a person chose the folder.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tocsin.disk import replace_file
from tocsin.model.errors import TocsinError

PRIVATE_FILE = 0o600
PUBLIC_FILE = 0o644
_PRIVATE_FOLDER = 0o700


def make_private_folder(folder: Path) -> None:
    """Create `folder`, for its owner alone; one that exists stays as its owner has it."""
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the folder {folder}: {error.strerror}"
        raise TocsinError(message) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes and threads out of `folder`; the lock ends with the process."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        message = f"cannot open the folder {folder}: {error.strerror}"
        raise TocsinError(message) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_if_exists(path: Path) -> bytes | None:
    """Return the content of `path`, or None if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise TocsinError(message) from error


def read_required(path: Path) -> bytes:
    """Return the content of `path`, which a person named."""
    content = read_if_exists(path)
    if content is None:
        message = f"there is no file {path}"
        raise TocsinError(message)
    return content


def decode_text(content: bytes, path: Path) -> str:
    """Return the text in a file that a person named or looks after."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        message = f"{path} is not a text file in UTF-8"
        raise TocsinError(message) from error


def write_atomic(path: Path, content: bytes, mode: int = PRIVATE_FILE) -> None:
    """Replace `path` in one step that survives a power cut: the old content or the new."""
    try:
        replace_file(path, content, mode)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise TocsinError(message) from error
