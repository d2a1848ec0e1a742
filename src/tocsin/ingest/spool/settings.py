"""What an operator sets on the spool, what it counts, and how it refuses."""

from dataclasses import dataclass

import msgspec

from tocsin.model.errors import TocsinError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


class SpoolSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of the spool; the defaults suit one cluster.

    A file is deleted once every reader has released it and it is older than `retain_hours`,
    or all files together exceed `retain_bytes`, or the disk is down to `min_free_bytes`.
    """

    max_file_bytes: int = 256 * MIB
    retain_bytes: int = 2 * GIB
    retain_hours: float = 24
    min_free_bytes: int = 256 * MIB
    commit_interval_ms: float = 3
    commit_bytes: int = 8 * MIB
    checkpoint_bytes: int = 4 * MIB
    max_pending_bytes: int = 64 * MIB
    tick_seconds: float = 1.0


@dataclass(slots=True)
class SpoolStats:
    """Counters since start; `suspended` tells why posts are refused, None while all is well."""

    posts: int = 0
    raw_bytes: int = 0
    stored_bytes: int = 0
    commits: int = 0
    failed_commits: int = 0
    refused: int = 0
    rotations: int = 0
    deleted_files: int = 0
    pending: int = 0
    pending_bytes: int = 0
    suspended: str | None = None


class SpoolUnavailable(TocsinError):  # noqa: N818 - a state of the spool, not a mistake
    """The post was not stored: answer 503 with Retry-After, the sender keeps it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
