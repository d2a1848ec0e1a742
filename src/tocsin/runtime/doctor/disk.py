"""Room on the disks that events pass: Tocsin's own, and the node's for the audit log."""

import os
from pathlib import Path

from tocsin.ingest.spool.retention import free_bytes
from tocsin.runtime.config import Config
from tocsin.runtime.doctor.finding import Finding, fault, ok, warning

CHECK = "disk"

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


def examine_data(config: Config) -> list[Finding]:
    """Look at the disk of the data folder."""
    folder = config.spool_folder if config.spool_folder.exists() else config.folder
    return [judge_spool(folder, free_bytes(folder), config.spool.min_free_bytes)]


def judge_spool(folder: Path, free: int, least: int) -> Finding:
    """Judge the free bytes on the spool's disk; below `least` events are refused."""
    what = f"{in_units(free)} free at {folder}, of which {in_units(least)} are kept free"
    mend = f"make room on the disk of {folder}, or lower spool.retain_bytes: du -sh {folder}/*"
    if free < least:
        why = (
            "Tocsin refuses events (503); the API servers hold them for some minutes and then "
            "drop them"
        )
        return fault(CHECK, what, why, mend)
    if free < 2 * least:
        return warning(CHECK, what, "with less, Tocsin refuses events", mend)
    return ok(CHECK, what)


def examine_log(folder: Path, largest: int) -> list[Finding]:
    """Look at the disk of an audit log that may grow to `largest` bytes in all."""
    used = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    disk = os.statvfs(folder)
    return [judge_log(folder, disk.f_bavail * disk.f_frsize, max(0, largest - used))]


def judge_log(folder: Path, free: int, growth: int) -> Finding:
    """Judge the free bytes on the disk of an audit log that still may grow."""
    if free > growth:
        return ok(CHECK, f"{in_units(free)} free at {folder}, enough for the audit log")
    return warning(
        CHECK,
        f"{in_units(free)} free at {folder}, and the audit log may grow by {in_units(growth)}",
        "a full disk of a control-plane node stops more than the audit log: etcd may lie on it",
        "make room, or lower --audit-log-maxsize or --audit-log-maxbackup",
    )


def in_units(number: float) -> str:
    """Return a number of bytes as people write it."""
    for unit in _UNITS[:-1]:
        if abs(number) < _STEP:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= _STEP
    return f"{number:.1f} {_UNITS[-1]}"
