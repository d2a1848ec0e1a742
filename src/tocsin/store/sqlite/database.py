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

LOCK_SECONDS = 5.0


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
    """A connection to the store's file that several threads of a process may use in turn."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._turn = threading.Lock()
        self._connection, self._inode = self._open()

    def _open(self) -> tuple[sqlite3.Connection, int]:
        inode = self.path.stat().st_ino
        return connect(self.path, read_only=self.read_only), inode

    def close(self) -> None:
        """Close the connection; the last writer to close also checkpoints the WAL."""
        with self._turn:
            if self.read_only:
                self._connection.close()
                return
            with file_lock(self.path):
                self._connection.close()

    @contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """Lend the connection for queries.

        Raises:
            StoreUnavailable: the file cannot be read now.
        """
        with self._turn, self._as_unavailable():
            yield self._current()

    @contextmanager
    def write(self) -> Generator[sqlite3.Connection]:
        """Lend the connection for one transaction: durable on return, undone on an error.

        Raises:
            StoreUnavailable: the file cannot be written now; nothing was changed.
        """
        with self._turn, self._as_unavailable(), file_lock(self.path):
            connection = self._current()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def _current(self) -> sqlite3.Connection:
        """Follow the path: the owner may have set a damaged file aside and made a new one."""
        if self.path.stat().st_ino != self._inode:
            connection, self._inode = self._open()
            self._connection.close()
            self._connection = connection
        return self._connection

    @contextmanager
    def _as_unavailable(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
            raise
        except (sqlite3.Error, OSError) as error:
            message = f"{self.path}: {error}"
            raise StoreUnavailable(message) from error
