"""The spool's writer as the receiver sees it: hand a body over, wait for its future.

Bodies are compressed in the threads that bring them. One thread takes whatever is waiting,
commits it as a group and resolves the futures, so a commit is never delayed to gather more.
"""

import fcntl
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool.committer import Committer
from tocsin.ingest.spool.post import PIECE_BYTES, PostMeta
from tocsin.ingest.spool.schema import SQLITE_FAULTS
from tocsin.ingest.spool.settings import SpoolSettings, SpoolStats, SpoolUnavailable
from tocsin.ingest.spool.stored import FileBusyError
from tocsin.ingest.spool.upload import Job, T, Upload, post_job
from tocsin.model.errors import TocsinError

_log = logging.getLogger(__name__)


class SpoolWriter:
    """Stores posts durably and numbers them.

    A future that resolves to a number is an acknowledgement: the post is on disk. One that
    raises SpoolUnavailable means that it was not acknowledged and must be sent again (it may
    still turn up, so readers see each post at least once).
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
        self._settings = settings or SpoolSettings()
        self._guard = threading.Lock()
        self._closed = False
        self._queue: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._lock_file = _lock(directory)
        try:
            self._committer = Committer(directory, sealer, self._settings, self.stats, clock)
        except (*SQLITE_FAULTS, OSError, FileBusyError) as error:
            os.close(self._lock_file)
            message = f"{directory}: the spool cannot be opened: {error}"
            raise SpoolUnavailable(message) from error
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._thread.start()

    def append(self, meta: PostMeta, body: bytes) -> Future[int]:
        """Store one body; the future resolves to its number once it is durable."""
        if len(body) > PIECE_BYTES:
            upload = self.upload(meta)
            upload.write(body)
            return upload.commit()
        return self._submit(post_job(meta, body))

    def upload(self, meta: PostMeta) -> Upload:
        """Begin a body that arrives in pieces."""
        return Upload(meta, self._submit)

    def close(self) -> None:
        """Commit what was handed over, seal the file, release the spool."""
        with self._guard:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _submit(self, job: Job[T]) -> Future[T]:
        with self._guard:
            reason = self._admit(job)
            if reason is None:
                self.stats.pending += 1
                self.stats.pending_bytes += job.size
                self._queue.put(job)
        if reason is not None:
            self._refuse(job, reason)
        return job.future

    def _admit(self, job: Job[Any]) -> str | None:
        if self._closed:
            return "the spool is closed"
        waiting = self.stats.pending_bytes
        if waiting and waiting + job.size > self._settings.max_pending_bytes:
            return f"{waiting} bytes are already waiting to be stored"
        return None

    def _refuse(self, job: Job[Any], reason: str) -> None:
        if job.length is not None:
            with self._guard:
                self.stats.refused += 1
        job.future.set_exception(SpoolUnavailable(reason))

    def _run(self) -> None:
        going_on = True
        while going_on:
            batch, going_on = self._take()
            if batch:
                self._store(batch)
            self._committer.maintain()
        self._finish()

    def _take(self) -> tuple[list[Job[Any]], bool]:
        """Wait for the next jobs; also return False once the spool is closed."""
        batch: list[Job[Any]] = []
        try:
            job = self._queue.get(timeout=self._settings.tick_seconds)
            size = 0
            deadline = time.monotonic() + self._settings.commit_interval_ms / 1000
            while job is not None:
                batch.append(job)
                size += job.size
                if size >= self._settings.commit_bytes or time.monotonic() >= deadline:
                    return batch, True
                job = self._queue.get_nowait()
        except queue.Empty:
            return batch, True
        return batch, False

    def _store(self, batch: list[Job[Any]]) -> None:
        try:
            results = self._committer.store(batch)
        except SpoolUnavailable as refusal:
            results = [refusal] * len(batch)
        for job, result in zip(batch, results, strict=True):
            self._settle(job, result)

    def _settle(self, job: Job[Any], result: object) -> None:
        with self._guard:
            self.stats.pending -= 1
            self.stats.pending_bytes -= job.size
        if isinstance(result, SpoolUnavailable):
            self._refuse(job, result.reason)
            return
        self.stats.stored_bytes += job.size
        if job.length is not None:
            self.stats.posts += 1
            self.stats.raw_bytes += job.length
        job.future.set_result(result)

    def _finish(self) -> None:
        try:
            self._committer.finish()
        except OSError as error:
            _log.warning("spool: not closed in good order: %s", error)
        finally:
            os.close(self._lock_file)


def _lock(directory: Path) -> int:
    """Take the spool for this process; a second writer would break its numbering."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"{directory}: the spool cannot be opened: {error}"
        raise SpoolUnavailable(message) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        message = f"{directory}: another process writes this spool"
        raise TocsinError(message) from error
    return descriptor
