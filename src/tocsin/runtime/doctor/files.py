"""The second leg: audit logs that Tocsin follows on the node itself."""

import os
from pathlib import Path

import msgspec

from tocsin.ingest.follow import Checkpoint, FileSettings
from tocsin.runtime.config import Config
from tocsin.runtime.doctor.disk import in_units
from tocsin.runtime.doctor.finding import Finding, fault, ok, warning

CHECK = "files"

# Further behind than a log that is written quickly ever is.
_MUCH_BEHIND = 64 * 1024 * 1024
_NOT_READ = "what the API server writes there is not evaluated"


def examine(config: Config) -> list[Finding]:
    """Look at each log that is followed."""
    return [_examine(file) for file in config.files]


def _examine(file: FileSettings) -> Finding:
    path = Path(file.path)
    try:
        with path.open("rb") as log:
            status = os.fstat(log.fileno())
    except OSError as error:
        mend = f"see that the API server has --audit-log-path={path}, and that Tocsin may read it"
        what = f"{path} cannot be read: {error.strerror}"
        return fault(CHECK, what, _NOT_READ, mend)
    try:
        checkpoint = msgspec.json.decode(Path(file.checkpoint).read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        checkpoint = None
    except msgspec.DecodeError:
        what = f"the checkpoint {file.checkpoint} is damaged"
        why = "the log is read again from its beginning, which is slow and loses nothing"
        return warning(CHECK, what, why, f"see that it changes: cat {file.checkpoint}")
    return judge(path, status.st_ino, status.st_size, checkpoint)


def judge(path: Path, inode: int, size: int, checkpoint: Checkpoint | None) -> Finding:
    """Judge how far a log has been read, by its present file and the checkpoint."""
    if checkpoint is None:
        mend = "see that `tocsin serve` runs with this configuration, and its log"
        return fault(CHECK, f"{path} has never been read", _NOT_READ, mend)
    if checkpoint.inode != inode:
        why = "what was written since then is not evaluated yet"
        what = f"{path} was rotated, and Tocsin still reads what it was before"
        return warning(CHECK, what, why, "look again in a minute; then at the log of Tocsin")
    behind = size - checkpoint.offset
    if behind > _MUCH_BEHIND:
        why = "alerts of the file's events come late"
        what = f"{path}: {in_units(behind)} are not read yet"
        return warning(CHECK, what, why, "look again in a minute; if it grows: tocsin bench")
    return ok(CHECK, f"{path} is read up to {in_units(max(0, behind))} before its end")
