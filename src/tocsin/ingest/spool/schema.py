"""The tables of one spool file, and the row metadata that each sealed blob is bound to.

A body up to 8 MiB is the blob of its post row. A larger one has its pieces in `part`, and the
post row, written last, holds their ids: pieces without it are invisible and die with the file.
"""

import sqlite3

import msgspec

from tocsin.ingest.spool.post import PostMeta, Source

CREATE = (
    "CREATE TABLE post(seq INTEGER PRIMARY KEY, received INTEGER NOT NULL,"
    " cluster TEXT NOT NULL, node TEXT, peer TEXT, source TEXT NOT NULL,"
    " parts INTEGER NOT NULL, length INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE TABLE part(id INTEGER PRIMARY KEY, body BLOB NOT NULL)",
)
INSERT_POST = "INSERT INTO post VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_PART = "INSERT INTO part VALUES (?, ?)"
SELECT_POST = "SELECT seq, received, cluster, node, peer, source, parts, length, body FROM post"
SELECT_PART = "SELECT body FROM part"

SQLITE_FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; the second when its message quotes damaged text."""

PostRow = tuple[int, int, str, str | None, str | None, Source, int, int, bytes]

_encode = msgspec.json.Encoder().encode


def post_context(seq: int, meta: PostMeta, parts: int, length: int) -> bytes:
    """Return the metadata of a post row as the bytes its body is bound to."""
    origin = (meta.received, meta.cluster, meta.node, meta.peer, meta.source)
    return _encode((seq, *origin, parts, length))


def part_context(first: int, part: int) -> bytes:
    """Return what a piece is bound to: its file, by first number, and its id there."""
    return _encode((first, part))


def encode_ids(parts: list[int]) -> bytes:
    """Return the body of a post whose pieces are stored as parts."""
    return _encode(parts)


def decode_ids(body: bytes) -> list[int]:
    """Return the ids that `encode_ids` was given."""
    return msgspec.json.decode(body, type=list[int])
