"""The reading side of one spool file: good rows from a good file, and from a damaged one.

SQLite notices some damage and keeps quiet about the rest, so nothing is believed here unless
its seal opens with the metadata of its own row. What answers to neither scan nor lookup is
for the caller to report.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tocsin.ingest.seal import Sealer, SealError, UnknownKeyError
from tocsin.ingest.spool.layout import SpoolFile, has_side_files
from tocsin.ingest.spool.post import PIECE_BYTES, LossReason, Post, PostMeta
from tocsin.ingest.spool.schema import (
    SELECT_PART,
    SELECT_POST,
    SQLITE_FAULTS,
    PostRow,
    decode_ids,
    part_context,
    post_context,
)
from tocsin.model.errors import TocsinError

_SCAN = f"{SELECT_POST} WHERE seq BETWEEN ? AND ? ORDER BY seq"
_FIND = f"{SELECT_POST} WHERE seq = ?"
_LAST = f"{SELECT_POST} ORDER BY seq DESC LIMIT 1"
_HEADS = "SELECT seq, received, cluster FROM post WHERE seq < ? ORDER BY seq DESC LIMIT ?"
_NO_LIMIT = (1 << 63) - 1
_ABOVE = "SELECT 1 FROM post WHERE seq > ? LIMIT 1"
_FIND_PART = f"{SELECT_PART} WHERE id = ?"
_SCAN_BYTES = 2 * PIECE_BYTES
_LOCK_SECONDS = 0.2

# Conditions of the moment; with any other error the file is as it will stay.
_BUSY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_IOERR,
    }
)
_BAD_SECTOR = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ})


class DamagedError(Exception):
    """SQLite cannot make sense of the file, or the disk cannot give it back."""


class FileBusyError(TocsinError):
    """A spool file cannot be read at this moment; nothing is known to be lost."""


class Head(NamedTuple):
    """What stands before a body, as it is in the file: not authenticated until the post is read.

    None where the file has something else than it should.
    """

    seq: int
    received: int | None
    cluster: str | None


class StoredFile:
    """One file, open for reading; `fault` is set when not even its tables can be read.

    `live`: the writer may still be at it. `recover`: SQLite may first roll back or forward
    what a crash left, which only the writer's process may allow.
    """

    def __init__(
        self, file: SpoolFile, sealer: Sealer, *, live: bool = False, recover: bool = False
    ) -> None:
        self._file = file
        self._sealer = sealer
        self.fault: LossReason | None = None
        mode = "mode=rw" if recover else "mode=ro"
        # Nobody writes a file that has a successor, so without a log it needs no locks.
        if not (live or recover) and not has_side_files(file.path):
            mode = "mode=ro&immutable=1"
        self._db = _connect(file.path, mode)
        try:
            for statement in (SELECT_POST, SELECT_PART):
                next(self._rows(f"{statement} LIMIT 0"), None)
        except DamagedError:
            self.fault = "damaged"
        except FileBusyError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def scan(self, first: int, last: int) -> tuple[dict[int, Post], int]:
        """Return the good posts from `first` on, and up to which number this looked.

        That is less than `last` when the bodies are large.
        """
        posts: dict[int, Post] = {}
        size = 0
        with suppress(DamagedError):
            for row in self._rows(_SCAN, first, last):
                post = self._open(row)
                if isinstance(post, Post):
                    posts[post.seq] = post
                    size += len(row[-1])
                    if size >= _SCAN_BYTES:
                        return posts, post.seq
        return posts, last

    def find(self, seq: int) -> Post | LossReason:
        """Look one post up by its number, or tell what stands in the way."""
        try:
            row = next(self._rows(_FIND, seq), None)
        except DamagedError:
            return "damaged"
        return "missing" if row is None else self._open(row)

    def heads(self, below: int | None, limit: int) -> list[Head]:
        """Return the heads of the last posts below a number, newest first; bodies stay unread.

        Raises:
            DamagedError: the file cannot be gone through.
        """
        rows = self._rows(_HEADS, _NO_LIMIT if below is None else below, limit)
        return [
            Head(
                seq,
                received if isinstance(received, int) else None,
                cluster if isinstance(cluster, str) else None,
            )
            for seq, received, cluster in rows
        ]

    def ends_at(self, seq: int) -> bool:
        """Tell whether the file certainly holds no post above `seq`."""
        try:
            return next(self._rows(_ABOVE, seq), None) is None
        except DamagedError:
            return False

    def last(self, known: int) -> int:
        """Return the number of the last good post, at least `known`."""
        row = None
        with suppress(DamagedError):
            row = next(self._rows(_LAST), None)
        post = self._open(row) if row else None
        if isinstance(post, Post):
            return max(known, post.seq)
        while isinstance(self.find(known + 1), Post):
            known += 1
        return known

    def part(self, part: int) -> bytes:
        """Return one piece of an upload, compressed; raise SealError when it is damaged."""
        row = None
        with suppress(DamagedError):
            row = next(self._rows(_FIND_PART, part), None)
        if row is None or not isinstance(row[0], bytes):
            message = f"{self._file.path.name}: part {part} is missing"
            raise SealError(message)
        return self._sealer.open(row[0], part_context(self._file.first, part))

    def _rows(self, statement: str, *values: int) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._db.execute(statement, values)
        except SQLITE_FAULTS as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
            if code & 0xFF in _BUSY and code not in _BAD_SECTOR:
                raise FileBusyError(str(error)) from error
            raise DamagedError(str(error)) from error

    def _open(self, row: tuple[object, ...]) -> Post | LossReason:
        try:
            seq, received, cluster, node, peer, source, parts, length, sealed = msgspec.convert(
                row, PostRow
            )
            meta = PostMeta(cluster, node, peer, source, received)
            body = self._sealer.open(sealed, post_context(seq, meta, parts, length))
            if parts == 1:
                return Post(seq, meta, length, 1, lambda: iter((body,)))
            ids = decode_ids(body)
            for part in ids:
                self.part(part)
        except UnknownKeyError:
            return "key"
        except (SealError, ValueError):
            return "damaged"
        return Post(seq, meta, length, parts, lambda: self._load(ids))

    def _load(self, parts: list[int]) -> Iterator[bytes]:
        # Opened for each piece: a slow consumer must not keep the file from being sealed.
        for part in parts:
            stored = StoredFile(self._file, self._sealer, live=True)
            try:
                yield stored.part(part)
            finally:
                stored.close()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{mode}"
    try:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_LOCK_SECONDS)
    except sqlite3.OperationalError as error:
        raise FileBusyError(str(error)) from error
    # A damaged length must not make SQLite allocate a gigabyte.
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4 * PIECE_BYTES)
    return db
