"""The durable spool between the receiver and the engine: bytes in, numbered, never lost silently.

One writer process stores every POST before it is acknowledged; readers in other processes
follow by number. Nothing is parsed here. `SpoolWriter` states what an acknowledgement means,
`SpoolReader` what a reader is told when a disk lost something.
"""

from tocsin.ingest.spool.history import Look, SpoolHistory
from tocsin.ingest.spool.post import Lost, Post, PostMeta, Source
from tocsin.ingest.spool.reader import Lag, SpoolReader
from tocsin.ingest.spool.settings import SpoolSettings, SpoolStats, SpoolUnavailable
from tocsin.ingest.spool.stored import FileBusyError, Head
from tocsin.ingest.spool.upload import Upload
from tocsin.ingest.spool.writer import SpoolWriter

__all__ = [
    "FileBusyError",
    "Head",
    "Lag",
    "Look",
    "Lost",
    "Post",
    "PostMeta",
    "Source",
    "SpoolHistory",
    "SpoolReader",
    "SpoolSettings",
    "SpoolStats",
    "SpoolUnavailable",
    "SpoolWriter",
    "Upload",
]
