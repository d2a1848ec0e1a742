"""The one writer of the spool: group commit, rotation, and what to do when the disk fails.

Requests compress in their own threads and wait on a future; one thread owns the only writing
connection, takes whatever is waiting, commits it at once and resolves the futures. A file
whose commit failed is never written again: the kernel may have dropped its pages, and a
second fsync would report success.
"""

import fcntl
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from tocsin.ingest.failpoint import Failpoint
from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool.layout import HighWater, is_sealed, remove_file, spool_files
from tocsin.ingest.spool.post import PIECE_BYTES, PostMeta
from tocsin.ingest.spool.recovery import resume
from tocsin.ingest.spool.retention import delete_expired, free_bytes
from tocsin.ingest.spool.segment import Segment, seal_file
from tocsin.ingest.spool.settings import SpoolSettings, SpoolStats, SpoolUnavailable
from tocsin.ingest.spool.upload import Job, T, Upload, post_job
from tocsin.model.errors import TocsinError

_RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)
_after_mark = Failpoint("spool.after_mark")
_after_rotate = Failpoint("spool.after_rotate")


class SpoolWriter:
    """Stores posts durably and numbers them.

    A future that resolves to a number is an acknowledgement: the post is on disk. One that
    raises SpoolUnavailable means that the post was not acknowledged and must be sent again
    (it may still turn up, so readers see it at least once).
    """

    def __init__(
        self,
        directory: Path,
        sealer: Sealer,
        settings: SpoolSettings | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.stats = SpoolStats()
        self._directory = directory
        self._sealer = sealer
        self._settings = settings or SpoolSettings()
        self._clock = clock
        self._segment: Segment | None = None
        self._retry_at = 0.0
        self._checkpointed_at = self._tended_at = time.monotonic()
        self._unsealable: set[Path] = set()
        self._lock_file = _lock(directory)
        try:
            self._mark = HighWater(directory)
            self._first, self._previous = resume(directory, sealer)
            self._mark.set(self._previous)
        except Exception as error:
            os.close(self._lock_file)
            message = f"{directory}: the spool cannot be opened: {error}"
            raise SpoolUnavailable(message) from error
        self._guard = threading.Lock()
        self._closed = False
        self._queue: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._thread.start()
