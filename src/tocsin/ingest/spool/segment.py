"""The writing side of one spool file: create, insert, commit, checkpoint, seal.

Used by the writer's thread only. A file is written by the process that created it and never
again: whatever a crash left in it is read, sealed and in the end deleted, but not extended.
"""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from weakref import WeakSet

from tocsin.disk import sync_folder
from tocsin.failpoint import Failpoint
from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool.layout import FILE_NUMBERS, file_path, remove_file
from tocsin.ingest.spool.post import PostMeta
from tocsin.ingest.spool.schema import (
    CREATE,
    INSERT_PART,
    INSERT_POST,
    part_context,
    post_context,
)
from tocsin.ingest.spool.settings import MIB

_PAGE_BYTES = 4096
_ROW_BYTES = 200
_LOCK_SECONDS = 0.2

_after_create = Failpoint("spool.after_create")
_before_commit = Failpoint("spool.before_commit")
_after_commit = Failpoint("spool.after_commit")
_after_checkpoint = Failpoint("spool.after_checkpoint")
_after_truncate = Failpoint("spool.after_truncate")
_after_seal = Failpoint("spool.after_seal")


class Segment:
    """The file being written.

    `next` is the number of the next post, `acked` the last one acknowledged. Uploads that have
    pieces here are in `uploads`; the file waits for them before it is full, up to twice its size.
    """

    def __init__(
        self, directory: Path, first: int, previous: int, sealer: Sealer, max_bytes: int
    ) -> None:
        self.path = file_path(directory, first, previous)
        self.first = self.next = first
        self.previous = self.acked = previous
        self.size = 0
        self.unchecked = 0
        self.uploads: WeakSet[object] = WeakSet()
        self._parts = 0
        self._sealer = sealer
        self._max_bytes = max_bytes
        self._db = _create(self.path, max_bytes)

    @property
    def last(self) -> int:
        """The number of the last post inserted, or the last one before this file."""
        return self.next - 1 if self.next > self.first else self.previous

    @property
    def full(self) -> bool:
        """Tell whether it is time for the next file."""
        limit = self._max_bytes * (2 if self.uploads else 1)
        # Half, because the batch that crosses the limit is still stored here.
        return self.size >= limit or self.next - self.first >= FILE_NUMBERS // 2

    def add_post(self, meta: PostMeta, body: bytes, length: int, parts: int = 1) -> int:
        """Insert a post and return its number; it exists once `commit` returns."""
        seq = self.next
        sealed = self._sealer.seal(body, post_context(seq, meta, parts, length))
        origin = (meta.received, meta.cluster, meta.node, meta.peer, meta.source)
        self._insert(INSERT_POST, seq, *origin, parts, length, sealed=sealed)
        self.next += 1
        return seq

    def add_part(self, body: bytes) -> int:
        """Insert a piece of an upload and return its id in this file."""
        part = self._parts + 1
        sealed = self._sealer.seal(body, part_context(self.first, part))
        self._insert(INSERT_PART, part, sealed=sealed)
        self._parts = part
        return part

    def _insert(self, statement: str, *values: object, sealed: bytes) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(statement, (*values, sealed))
        stored = len(sealed) + _ROW_BYTES
        self.size += stored
        self.unchecked += stored

    def commit(self) -> None:
        """Make everything inserted durable; an exception leaves the file to be set aside."""
        if self._db.in_transaction:
            _before_commit()
            self._db.execute("COMMIT")
            _after_commit()

    def checkpoint(self, *, truncate: bool) -> None:
        """Move committed pages into the database file, which keeps the log short.

        What stands in the log is what damage to it can lose; worse, its first frames would
        hide newer pages of the database once later ones are damaged. Under load the next
        commit overwrites it, which is a fifth faster; before a pause it must be truncated.
        """
        mode = "TRUNCATE" if truncate else "PASSIVE"
        self._db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        self.unchecked = 0
        _after_checkpoint()

    def close(self) -> None:
        """Roll back what is not committed and let go of the file, whatever state it is in."""
        with suppress(sqlite3.Error):
            self._db.rollback()
        with suppress(sqlite3.Error):
            self._db.close()


def seal_file(path: Path) -> bool:
    """Make a file that is no longer written complete in itself, without -wal and -shm.

    Returns False while a reader holds it, to be tried again; raises sqlite3.Error or OSError
    when the file or its disk do not allow it.
    """
    with closing(sqlite3.connect(path, isolation_level=None, timeout=_LOCK_SECONDS)) as db:
        try:
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                return False
            _after_truncate()
            (mode,) = db.execute("PRAGMA journal_mode=DELETE").fetchone()
            if mode != "delete":
                return False
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                return False
            raise
    sync_folder(path.parent)
    _after_seal()
    return True


def _create(path: Path, max_bytes: int) -> sqlite3.Connection:
    """Create and open the file; a file that already has the name is left as it is."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        return _prepare(path, max_bytes)
    except BaseException:
        with suppress(OSError):
            remove_file(path)
        raise


def _prepare(path: Path, max_bytes: int) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=_LOCK_SECONDS)
    try:
        # The tables go into the database file itself: damage to the log cannot take them.
        db.execute("BEGIN IMMEDIATE")
        for statement in CREATE:
            db.execute(statement)
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.execute(f"PRAGMA max_page_count={(3 * max_bytes + 64 * MIB) // _PAGE_BYTES}")
        sync_folder(path.parent)
        _after_create()
    except BaseException:
        db.close()
        raise
    return db
