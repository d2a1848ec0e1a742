"""Follow an audit log as it is written and rotated, into the spool.

The checkpoint moves only when the spool has the lines on disk, so a kill at any point repeats
lines (alerts are digests: harmless) and loses none. It starts at the beginning of the log, or
where its checkpoint says, and reads every rotated file that it had not finished first.
"""

import contextlib
import logging
import os
import threading
import time
from pathlib import Path

import msgspec

from tocsin.failpoint import Failpoint
from tocsin.ingest.logfile import Identity, LogFile, locate, rotated_files
from tocsin.ingest.metrics import IngestMetrics
from tocsin.ingest.spool import PostMeta, SpoolUnavailable, SpoolWriter

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 3
_after_commit = Failpoint("file.after_commit")


class FileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log to follow, whose events it holds, and where to keep the position in it."""

    path: str
    checkpoint: str
    cluster: str
    node: str | None = None
    poll_seconds: float = 0.5


class Checkpoint(msgspec.Struct, frozen=True):
    """Up to where which file is in the spool."""

    path: str
    inode: int
    head: str
    offset: int


def follow(
    settings: FileSettings, spool: SpoolWriter, metrics: IngestMetrics, stop: threading.Event
) -> None:
    """Follow the log until `stop` is set. Blocks: give it a thread of its own."""
    with contextlib.closing(Follower(settings, spool, metrics)) as follower:
        while not stop.is_set():
            try:
                if not follower.step():
                    stop.wait(settings.poll_seconds)
            except (OSError, SpoolUnavailable) as error:
                _log.warning("following %s, trying again: %s", settings.path, error)
                stop.wait(_RETRY_SECONDS)


class Follower:
    """The state of following one log; not for several threads."""

    def __init__(self, settings: FileSettings, spool: SpoolWriter, metrics: IngestMetrics) -> None:
        """Begin at the checkpoint, if there is one."""
        self._settings = settings
        self._path = Path(settings.path)
        self._spool = spool
        self._metrics = metrics
        self._log: LogFile | None = None

    def close(self) -> None:
        """Close the file; the checkpoint stands."""
        if self._log is not None:
            self._log.close()

    def step(self) -> bool:
        """Store one batch or go on to the next file; False when there is nothing to do now.

        After an OSError or SpoolUnavailable the same step can be tried again.
        """
        if self._log is None:
            return self._resume()
        batch = self._log.batch()
        if self._log.was_cut():
            return self._read_copy(self._log)
        if batch:
            self._store(batch)
            _after_commit()
            self._log.advance(len(batch))
            self._save(self._log)
            return True
        if self._log.ended:
            return self._read_next(self._log)
        self._log.ended = self._is_rotated(self._log)
        # If it has ended, its writer gets one more pause to write what it still has.
        return False

    def _resume(self) -> bool:
        """Open the file that the checkpoint names, wherever it is now."""
        checkpoint = _load(Path(self._settings.checkpoint))
        if checkpoint is None:
            return self._start(self._path)
        files = [*rotated_files(self._path), self._path, Path(checkpoint.path)]
        found = locate(Identity(checkpoint.inode, checkpoint.head), files)
        if found is not None:
            return self._start(files[found], checkpoint.offset)
        if checkpoint.head:
            self._report_gap("is gone; reading all that is left")
        return self._start(files[0])

    def _read_next(self, done: LogFile) -> bool:
        """Go on to the file that was written after `done`."""
        files = [*rotated_files(self._path), self._path]
        found = locate(done.identity, files)
        # A file that is nowhere was the oldest, and pruned: all others are newer.
        newer = files if found is None else files[found + 1 :]
        if not newer:
            return False
        if done.damaged:
            self._report_gap("is damaged; its rest is not read")
        return self._start(newer[0])

    def _read_copy(self, cut: LogFile) -> bool:
        """Finish a truncated file in the copy that was made of it, then start it anew."""
        copies = rotated_files(self._path)
        found = locate(cut.identity, copies) if cut.identity.head else None
        if found is not None:
            return self._start(copies[found], cut.offset)
        rest = cut.unsent()
        if rest:
            self._store(rest)
        self._report_gap("was truncated, and no copy of it is found")
        return self._start(self._path)

    def _start(self, path: Path, offset: int = 0) -> bool:
        try:
            opened = LogFile(path, offset)
        except FileNotFoundError:
            return False
        self.close()
        self._log = opened
        self._save(opened)
        return True

    def _is_rotated(self, current: LogFile) -> bool:
        try:
            return not current.is_at(self._path)
        except FileNotFoundError:
            return False

    def _store(self, lines: bytes) -> None:
        meta = PostMeta(
            cluster=self._settings.cluster,
            node=self._settings.node,
            peer=None,
            source="file",
            received=time.time_ns() // 1000,
        )
        self._spool.append(meta, lines).result()
        self._metrics.bytes.labels(meta.cluster, meta.source).inc(len(lines))

    def _save(self, current: LogFile) -> None:
        """Replace the checkpoint, so that a crash leaves the old one or the new one."""
        path = Path(self._settings.checkpoint)
        inode, head = current.identity
        if not head and path.exists():
            # Without a first line it could not be found again; the end of the last file can.
            return
        checkpoint = Checkpoint(str(current.path), inode, head, current.offset)
        aside = path.with_name(f".{path.name}.new")
        with aside.open("wb") as file:
            file.write(msgspec.json.encode(checkpoint))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)

    def _report_gap(self, what: str) -> None:
        self._metrics.file_gaps.labels(self._settings.cluster).inc()
        _log.error("%s: the file read last %s", self._path, what)


def _load(path: Path) -> Checkpoint | None:
    """Return the checkpoint; None if there is none. A damaged one finds no file: read all."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        return Checkpoint("", 0, "damaged", 0)
