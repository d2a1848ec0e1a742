"""One SQLite file: its connection, its transactions, and the lock around them.

Commits are durable when they return (WAL, synchronous=FULL). SQLite before 3.51.3 can lose
committed pages when two connections write or checkpoint at the same instant (the WAL-reset
race), and Debian 12 ships 3.40.1. So every process that writes takes a lock file first, and
readers open the file read-only, in which mode SQLite never checkpoints.
"""

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tocsin.model.ports import StoreUnavailable
from tocsin.model.queries import QueryTooWide

LOCK_SECONDS = 5.0
READERS = 4
_CHECK_STEPS = 2000
_TOO_WIDE = (
    "this takes longer than {:.1f} s: narrow the time range, add a filter, or search for a "
    "longer text"
)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing database file; the connection may be shared between threads."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=LOCK_SECONDS,
    )
    try:
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def file_lock(path: Path) -> Generator[None]:
    """Hold the lock of a database file against other writing processes and threads.

    Raises:
        StoreUnavailable: another writer held it for too long.
    """
    lock_path = path.with_name(path.name + ".lock")
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _lock_within(descriptor, LOCK_SECONDS, path)
        yield
    finally:
        os.close(descriptor)


def _lock_within(descriptor: int, seconds: float, path: Path) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                message = f"{path}: another process held the write lock for {seconds:.0f} s"
                raise StoreUnavailable(message) from None
            time.sleep(0.001)
        else:
            return


class Database:
    """The store's file, for the threads of one process.

    Writing takes turns on one connection. Reading has connections of its own, opened when they
    are needed, so that a slow question delays neither a recording nor the next question.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._turn = threading.Lock()
        self._writer = None if read_only else _Connection(path, read_only=False)
        self._readers = [_Connection(path, read_only=True)]
        self._free_readers = threading.BoundedSemaphore(READERS)
        self._version_turn = threading.Lock()
        self._version_reader: _Connection | None = None

    def close(self) -> None:
        """Close the connections; the last writer to close also checkpoints the WAL."""
        while self._readers:
            self._readers.pop().close()
        if self._version_reader is not None:
            self._version_reader.close()
        if self._writer is not None:
            with self._turn, file_lock(self.path):
                self._writer.close()

    @contextmanager
    def read(self, within: float | None = None) -> Generator[sqlite3.Connection]:
        """Lend a connection for queries, for at most `within` seconds if that is given.

        Raises:
            StoreUnavailable: the file cannot be read now, or others are reading all the time.
            QueryTooWide: the time is over.
        """
        deadline = None if within is None else time.monotonic() + within
        with self._as_unavailable(), self._reader(within) as connection:
            if deadline is None:
                yield connection
                return
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _CHECK_STEPS)
            try:
                yield connection
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                    raise QueryTooWide(_TOO_WIDE.format(within)) from error
                raise
            finally:
                connection.set_progress_handler(None, 0)

    @contextmanager
    def write(self) -> Generator[sqlite3.Connection]:
        """Lend the connection for one transaction: durable on return, undone on an error.

        Raises:
            StoreUnavailable: the file cannot be written now; nothing was changed.
        """
        if self._writer is None:
            message = f"{self.path} was opened for reading only"
            raise StoreUnavailable(message)
        with self._turn, self._as_unavailable(), file_lock(self.path):
            connection = self._writer.current()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def version(self) -> str:
        """Return a text that is another one after each commit of any process.

        Raises:
            StoreUnavailable: the file cannot be read now.
        """
        # SQLite's number is that of one connection, which sees what others did.
        with self._version_turn, self._as_unavailable():
            if self._version_reader is None:
                self._version_reader = _Connection(self.path, read_only=True)
            connection = self._version_reader.current()
            (number,) = connection.execute("PRAGMA data_version").fetchone()
            return f"{self._version_reader.opened:x}.{number}"

    @contextmanager
    def _reader(self, within: float | None) -> Generator[sqlite3.Connection]:
        if not self._free_readers.acquire(timeout=within):
            message = f"{self.path} is busy with other questions: ask again in a moment"
            raise StoreUnavailable(message)
        try:
            try:
                reader = self._readers.pop()
            except IndexError:
                reader = _Connection(self.path, read_only=True)
            try:
                yield reader.current()
            finally:
                self._readers.append(reader)
        finally:
            self._free_readers.release()

    @contextmanager
    def _as_unavailable(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
            raise
        except (sqlite3.Error, OSError) as error:
            message = f"{self.path}: {error}"
            raise StoreUnavailable(message) from error


class _Connection:
    """A connection that follows the path: the owner may have set a damaged file aside."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self._path = path
        self._read_only = read_only
        self._inode, self._connection = self._open()

    def _open(self) -> tuple[int, sqlite3.Connection]:
        inode = self._path.stat().st_ino
        self.opened = time.time_ns()
        return inode, connect(self._path, read_only=self._read_only)

    def current(self) -> sqlite3.Connection:
        """Return a connection to the file that is there now."""
        if self._path.stat().st_ino != self._inode:
            self._inode, fresh = self._open()
            self._connection.close()
            self._connection = fresh
        return self._connection

    def close(self) -> None:
        """Close it."""
        self._connection.close()
