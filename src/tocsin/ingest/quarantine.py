"""Set aside what is no proper audit event, with the reason, for a person to look at.

One file per day, JSON lines. The bytes may hold secrets, so they are sealed like the spool.
A post full of garbage must not fill the disk: of each post a limited number is kept, and of
each day a limited size; what is beyond is counted only.
"""

import base64
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from tocsin.ingest.seal import Sealer

MAX_PER_POST = 100
MAX_RAW_BYTES = 1024 * 1024
MAX_DAY_BYTES = 64 * 1024 * 1024
KEEP_DAYS = 14

_CONTEXT = b"tocsin quarantine"
_MAX_REASON = 500


class Quarantined(msgspec.Struct, frozen=True):
    """One thing that was set aside; `sealed` is its bytes, cut to 1 MiB, encrypted."""

    time: str
    cluster: str
    seq: int
    reason: str
    length: int
    sealed: str


class Quarantine:
    """The folder of quarantined events; one process writes."""

    def __init__(self, folder: Path, sealer: Sealer) -> None:
        self._folder = folder
        self._sealer = sealer

    def add(self, cluster: str, seq: int, rejects: Sequence[tuple[str, bytes]], now: float) -> None:
        """Keep the rejects of one post, pairs of reason and bytes.

        Adding those of the same post again, after a crash, repeats them: nothing is lost.
        """
        if not rejects:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        moment = datetime.fromtimestamp(now, UTC)
        path = self._folder / f"{moment:%Y-%m-%d}.jsonl"
        time = moment.isoformat()
        lines = (
            msgspec.json.encode(self._record(time, cluster, seq, reason, raw)) + b"\n"
            for reason, raw in rejects[:MAX_PER_POST]
        )
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(path, flags, 0o600), "a+b") as file:  # noqa: PTH123 - from a descriptor
            _end_torn_line(file)
            for line in lines:
                if file.tell() + len(line) <= MAX_DAY_BYTES:
                    file.write(line)
        self._forget_old(moment)

    def records(self) -> Iterator[Quarantined]:
        """Yield what is quarantined, oldest first; torn lines of a crash are skipped."""
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                for line in file:
                    try:
                        yield msgspec.json.decode(line, type=Quarantined)
                    except msgspec.DecodeError:
                        continue

    def raw(self, record: Quarantined) -> bytes:
        """Return the bytes of a record.

        Raises:
            SealError: they were sealed with another key, or are damaged.
        """
        return self._sealer.open(base64.b64decode(record.sealed), _CONTEXT)

    def _record(self, time: str, cluster: str, seq: int, reason: str, raw: bytes) -> Quarantined:
        sealed = self._sealer.seal(raw[:MAX_RAW_BYTES], _CONTEXT)
        return Quarantined(
            time=time,
            cluster=cluster,
            seq=seq,
            reason=reason[:_MAX_REASON],
            length=len(raw),
            sealed=base64.b64encode(sealed).decode(),
        )

    def _forget_old(self, now: datetime) -> None:
        for path in self._folder.glob("*.jsonl"):
            try:
                day = datetime.strptime(path.stem, "%Y-%m-%d").replace(tzinfo=UTC)
            except ValueError:
                continue
            if (now - day).days > KEEP_DAYS:
                path.unlink(missing_ok=True)


def _end_torn_line(file: BinaryIO) -> None:
    """Keep what a crash left of a line apart from the next record."""
    end = file.seek(0, os.SEEK_END)
    if end:
        file.seek(end - 1)
        if file.read(1) != b"\n":
            file.write(b"\n")
