"""What the writer's thread does: commit, rotate, seal, delete, and survive a failing disk.

A file whose commit failed is never written again: the kernel may have dropped its pages, and
a second fsync would report success. The next batch begins a new file.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tocsin.failpoint import Failpoint
from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool.layout import (
    HighWater,
    SpoolFile,
    is_sealed,
    remove_file,
    spool_files,
)
from tocsin.ingest.spool.recovery import resume
from tocsin.ingest.spool.retention import delete_expired, free_bytes
from tocsin.ingest.spool.schema import SQLITE_FAULTS
from tocsin.ingest.spool.segment import Segment, seal_file
from tocsin.ingest.spool.settings import SpoolSettings, SpoolStats, SpoolUnavailable
from tocsin.ingest.spool.upload import Job

_RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)
_after_mark = Failpoint("spool.after_mark")
_after_rotate = Failpoint("spool.after_rotate")


class Committer:
    """Owns the file being written; used by one thread after it is made."""

    def __init__(
        self,
        directory: Path,
        sealer: Sealer,
        settings: SpoolSettings,
        stats: SpoolStats,
        clock: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._sealer = sealer
        self._settings = settings
        self._stats = stats
        self._clock = clock
        self._segment: Segment | None = None
        self._failure: str | None = None
        self._retry_at = 0.0
        self._checkpointed_at = self._tended_at = time.monotonic()
        self._sealed: set[Path] = set()
        self._reported: set[str] = set()
        self._first, self._previous = resume(directory, sealer)
        self._mark = HighWater(directory, self._previous)

    def store(self, batch: list[Job[Any]]) -> list[Any]:
        """Commit a batch and return each job's result, or the SpoolUnavailable of that job.

        Raises SpoolUnavailable when nothing of the batch may be acknowledged.
        """
        low = self._low_disk()
        self._stats.suspended = low or self._failure
        if self._stats.suspended and (low or time.monotonic() < self._retry_at):
            raise SpoolUnavailable(self._stats.suspended)
        try:
            segment = self._segment or self._create()
            results = [_attempt(job, segment) for job in batch]
            segment.commit()
            self._mark.set(segment.last)
            _after_mark()
        except Exception as error:
            reason = f"the spool could not store: {error!r}"
            self._set_aside(reason)
            raise SpoolUnavailable(reason) from error
        segment.acked = segment.last
        self._failure = self._stats.suspended = None
        self._stats.commits += 1
        return results

    def maintain(self) -> None:
        """Keep the log short, end a full file; once a tick, tend the files before it."""
        now = time.monotonic()
        tick = self._settings.tick_seconds
        if self._segment is not None:
            try:
                self._checkpoint(self._segment, now)
                if self._segment.full:
                    self._rotate(self._segment)
            except (*SQLITE_FAULTS, OSError) as error:
                self._set_aside(f"the spool could not checkpoint: {error!r}")
        if now - self._tended_at >= tick:
            self._tended_at = now
            self._stats.suspended = self._low_disk() or self._failure
            self._tend()

    def finish(self) -> None:
        """Leave complete, sealed files behind."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        self._seal(spool_files(self._directory))
        try:
            self._mark.sync()
        finally:
            self._mark.close()

    def _low_disk(self) -> str | None:
        try:
            free = free_bytes(self._directory)
        except OSError as error:
            return f"the spool's disk does not answer: {error}"
        if free < self._settings.min_free_bytes:
            return f"disk nearly full: {free} bytes free, {self._settings.min_free_bytes} kept free"
        return None

    def _create(self) -> Segment:
        limit = self._settings.max_file_bytes
        segment = Segment(self._directory, self._first, self._previous, self._sealer, limit)
        self._segment = segment
        return segment

    def _checkpoint(self, segment: Segment, now: float) -> None:
        much = segment.unchecked >= self._settings.checkpoint_bytes
        old = now - self._checkpointed_at >= self._settings.tick_seconds
        if much or (old and segment.unchecked):
            segment.checkpoint(truncate=not much)
            self._mark.sync()
            self._checkpointed_at = now

    def _rotate(self, segment: Segment) -> None:
        self._leave(segment)
        self._stats.rotations += 1
        _after_rotate()

    def _leave(self, segment: Segment) -> None:
        self._segment = None
        # Never the same name twice, also when the file has pieces of uploads but no post.
        self._first = max(segment.next, segment.first + 1)
        self._previous = segment.acked
        segment.close()

    def _set_aside(self, reason: str) -> None:
        """Give up the current file; readers still read what was committed to it."""
        _log.error("%s", reason)
        self._stats.failed_commits += 1
        segment = self._segment
        if segment is None:
            # The name may be taken by what could not be removed.
            self._first += 1
            self._pause(reason)
            return
        self._leave(segment)
        if segment.acked == segment.previous:
            with suppress(OSError):
                remove_file(segment.path)
            self._pause(reason)

    def _pause(self, reason: str) -> None:
        """Not one good commit in the last file: do not make a file for each try."""
        self._failure = reason
        self._retry_at = time.monotonic() + _RETRY_SECONDS

    def _tend(self) -> None:
        try:
            self._seal(spool_files(self._directory)[:-1])
            deleted = delete_expired(self._directory, self._settings, self._clock())
            self._stats.deleted_files += deleted
        except OSError as error:
            self._report(f"old files cannot be tended: {error}")

    def _seal(self, files: list[SpoolFile]) -> None:
        for file in files:
            if file.path in self._sealed:
                continue
            try:
                if is_sealed(file.path) or seal_file(file.path):
                    self._sealed.add(file.path)
            except (*SQLITE_FAULTS, OSError) as error:
                self._report(f"{file.path} cannot be sealed, readers take it as it is: {error}")

    def _report(self, trouble: str) -> None:
        """Log what is tried again at each tick, once."""
        if trouble not in self._reported:
            self._reported.add(trouble)
            _log.warning("spool: %s", trouble)


def _attempt(job: Job[Any], segment: Segment) -> Any:  # noqa: ANN401 - as the job returns
    try:
        return job.insert(segment)
    except SpoolUnavailable as refusal:
        return refusal
