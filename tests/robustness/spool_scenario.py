"""One life of a spool, from first start to close after a restart, and the check of its result.

Small files, pieces and pauses, so that a few dozen posts meet every step: create, commit,
checkpoint, rotate, seal, upload, release, delete.
"""

import os
import random
import time
from contextlib import suppress
from pathlib import Path

from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import (
    FileBusyError,
    Lost,
    Post,
    PostMeta,
    SpoolReader,
    SpoolSettings,
    SpoolUnavailable,
    SpoolWriter,
    committer,
    upload,
)
from tocsin.model.errors import TocsinError

KEY = bytes(range(32))
META = PostMeta("cluster", "node", None, "webhook", 1_700_000_000_000_000)
SETTINGS = SpoolSettings(
    max_file_bytes=20_000,
    retain_bytes=30_000,
    min_free_bytes=0,
    checkpoint_bytes=8_000,
    tick_seconds=0.002,
)
STARTS = 3
READS = 100


class Life:
    """What was sent, acknowledged and read, by number; `errors` is what must not happen."""

    def __init__(self, directory: Path, *, seed: int = 0, starts: int = STARTS) -> None:
        self.directory = directory
        self.sent: set[bytes] = set()
        self.acked: dict[int, bytes] = {}
        self.read: dict[int, bytes] = {}
        self.errors: list[str] = []
        self._random = random.Random(seed)
        self._starts = starts
        self._after = 0

    def run(self, posts: int = 24) -> None:
        """Write, read and release, with a restart in the middle."""
        for _ in range(2):
            writer = self._start()
            if writer is None:
                return
            for number in range(posts // 2):
                self._put(writer, in_pieces=number % 6 == 2)
                if number % 4 == 3:
                    self._follow()
            writer.close()

    def check(self) -> list[str]:
        """Read everything with a fresh reader, start again, and return what went wrong."""
        writer = self._start()
        if writer is None:
            return self.errors
        before = max([0, *self.acked, *self.read])
        self._put(writer)
        if max(self.acked, default=0) <= before:
            self.errors.append("the spool did not recover")
        reader = self._reader()
        for _ in range(READS):
            items = reader.read(self._after)
            self._take(items)
            if not items and not reader.stalled:
                break
            time.sleep(0.002 if reader.stalled else 0)
        else:
            self.errors.append(f"reader stalled: {reader.stalled}")
        writer.close()
        for seq, body in self.acked.items():
            if self.read.get(seq) != body:
                self.errors.append(f"post {seq} was acknowledged and is not readable")
        return self.errors

    def _start(self) -> SpoolWriter | None:
        for _ in range(self._starts):
            with suppress(TocsinError):
                return SpoolWriter(self.directory, Sealer(KEY), SETTINGS)
        self.errors.append("crash loop: no start succeeds")
        return None

    def _put(self, writer: SpoolWriter, *, in_pieces: bool = False) -> None:
        body = self._random.randbytes(self._random.randint(0, 4_000) + 3_000 * in_pieces)
        self.sent.add(body)
        try:
            if in_pieces:
                pieces = writer.upload(META)
                pieces.write(body).result()
                seq = pieces.commit().result()
            else:
                seq = writer.append(META, body).result()
        except SpoolUnavailable:
            time.sleep(0.003)
            return
        if seq in self.acked:
            self.errors.append(f"number {seq} was given twice")
        self.acked[seq] = body

    def _reader(self) -> SpoolReader:
        return SpoolReader(self.directory, Sealer(KEY), "engine")

    def _follow(self) -> None:
        reader = self._reader()
        self._take(reader.read(self._after, 8))
        with suppress(OSError):
            reader.release(self._after)

    def _take(self, items: list[Post | Lost]) -> None:
        for item in items:
            if isinstance(item, Lost):
                self.errors.append(f"a loss was reported: {item}")
                self._after = item.last
                continue
            try:
                body = item.body()
            except FileBusyError:
                return
            if item.seq <= self._after:
                self.errors.append(f"out of order: {item}")
            if body not in self.sent:
                self.errors.append(f"post {item.seq} has a body that nobody sent")
            self.read[item.seq] = body
            self._after = item.seq


def memory_folder(otherwise: Path) -> Path:
    """Where thousands of short lives are played: the disk's own pace is not what they test."""
    shared = Path("/dev/shm")  # noqa: S108 - a random folder is made in it
    return shared if os.access(shared, os.W_OK) else otherwise


def make_small() -> None:
    """Shrink what would make each life take seconds: pieces of uploads, pauses after failures."""
    vars(upload).update(PIECE_BYTES=2_000)
    committer._RETRY_SECONDS = 0.002
