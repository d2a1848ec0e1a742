"""Deleting spool files that every reader has done with."""

import os
from itertools import pairwise
from pathlib import Path

from tocsin.failpoint import Failpoint
from tocsin.ingest.spool.layout import (
    cursors,
    deleted_path,
    remove_file,
    spool_files,
    write_number,
)
from tocsin.ingest.spool.settings import SpoolSettings

_SECONDS_PER_HOUR = 3600

_before_unlink = Failpoint("spool.before_unlink")
_after_unlink = Failpoint("spool.after_unlink")


def free_bytes(directory: Path) -> int:
    """Return the space that is left on the spool's disk for this process."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize


def delete_expired(directory: Path, settings: SpoolSettings, now: float) -> int:
    """Delete whole files from the oldest on, and return how many.

    A post that any known reader has not released is never deleted, whatever the disk says:
    new posts are refused instead. Without a known reader nothing is deleted.
    """
    released = min(cursors(directory), default=0)
    files = spool_files(directory)
    total = sum(file.path.stat().st_size for file in files)
    low = free_bytes(directory) < settings.min_free_bytes
    oldest = now - settings.retain_hours * _SECONDS_PER_HOUR
    deleted = 0
    for file, following in pairwise(files):
        status = file.path.stat()
        expired = low or status.st_mtime < oldest or total > settings.retain_bytes
        if following.previous > released or not expired:
            break
        # The pointer first: a reader that comes later learns why the numbers are gone.
        write_number(deleted_path(directory), following.previous)
        _before_unlink()
        remove_file(file.path)
        _after_unlink()
        total -= status.st_size
        deleted += 1
    return deleted
