"""Spools as a crash leaves them, ways to damage them, and what must hold afterwards."""

import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.robustness.spool_scenario import KEY, META
from tocsin.ingest.seal import Sealer
from tocsin.ingest.spool import (
    Lost,
    Post,
    SpoolReader,
    SpoolSettings,
    SpoolWriter,
)

SEALER = Sealer(KEY)
PAGE = 4096
WAL_HEADER = 32
FRAME = 24 + PAGE
START_SECONDS = 5
# The checkpoint comes after the third of these bodies; what follows stays in the log.
SIZES = [700, 5_000, 300, 400, 4_500, 900]
QUIET = SpoolSettings(min_free_bytes=0, tick_seconds=60, checkpoint_bytes=6_600)

Damage = Callable[[Path], None]


@dataclass(frozen=True)
class Crashed:
    """A folder as a killed process leaves it, what it had acknowledged, and what it was sent."""

    folder: Path
    acked: dict[int, bytes]
    sent: dict[int, bytes]

    @property
    def database(self) -> str:
        """The name of its newest file."""
        return max(path.name for path in self.folder.glob("*.spool"))

    def size(self, name: str) -> int:
        """The size of one of its files."""
        return (self.folder / name).stat().st_size

    @property
    def log_end(self) -> int:
        """Where the frames of the log end; older ones may follow them."""
        log = (self.folder / f"{self.database}-wal").read_bytes()
        salt = log[16:24]
        frames = range(WAL_HEADER, len(log) - FRAME + 1, FRAME)
        return WAL_HEADER + FRAME * sum(log[at + 8 : at + 16] == salt for at in frames)


def crashed_spools(folder: Path) -> list[Crashed]:
    """Write posts, and after each keep what a crash at that moment would leave."""
    source = random.Random(1)
    live = folder / "live"
    writer = SpoolWriter(live, SEALER, QUIET)
    acked: dict[int, bytes] = {}
    states = []
    for index, size in enumerate(SIZES):
        body = source.randbytes(size)
        acked[writer.append(META, body).result()] = body
        time.sleep(0.02)  # the checkpoint, where one is due, comes after the acknowledgement
        kept = folder / f"crashed-{index}"
        shutil.copytree(live, kept)
        states.append(Crashed(kept, dict(acked), dict(acked)))
    writer.close()
    return states


def sealed_spool(folder: Path) -> Crashed:
    """Write three sealed files, three posts each."""
    source = random.Random(2)
    acked: dict[int, bytes] = {}
    for _ in range(3):
        writer = SpoolWriter(folder, SEALER, QUIET)
        for _ in range(3):
            body = source.randbytes(source.randint(300, 5_000))
            acked[writer.append(META, body).result()] = body
        writer.close()
    return Crashed(folder, acked, acked)


def read_all(folder: Path, after: int = 0) -> list[Post | Lost]:
    """Read to the end, two at a time, as an engine does."""
    reader = SpoolReader(folder, SEALER, "engine")
    items: list[Post | Lost] = []
    while found := reader.read(after, 2):
        items += found
        after = found[-1].seq if isinstance(found[-1], Post) else found[-1].last
    assert reader.stalled is None, reader.stalled
    return items


def assert_sound(items: list[Post | Lost], sent: dict[int, bytes]) -> set[int]:
    """Nothing wrong, nothing twice, in order; returns the numbers that were read."""
    last = 0
    read = set()
    for item in items:
        first, until = (item.seq, item.seq) if isinstance(item, Post) else (item.first, item.last)
        assert last < first <= until, items
        last = until
        if isinstance(item, Post):
            assert item.body() == sent.get(item.seq), f"post {item.seq} is wrong"
            assert item.meta == META
            read.add(item.seq)
    return read


def reported(items: list[Post | Lost]) -> set[int]:
    """The numbers reported as lost, as far as they were ever given."""
    lost = [item for item in items if isinstance(item, Lost)]
    return {seq for item in lost for seq in range(item.first, min(item.last, 10_000) + 1)}


def survive(crashed: Crashed, folder: Path, damage: Damage) -> tuple[set[int], set[int]]:
    """Damage a copy, read it, start a writer on it, write and read again.

    Asserts what holds after any damage at all. Returns the numbers read and those reported as
    lost; whether those are all that was acknowledged is for the caller to assert.
    """
    shutil.copytree(crashed.folder, folder)
    try:
        damage(folder)
        assert_sound(read_all(folder), crashed.sent)
        started = time.monotonic()
        writer = SpoolWriter(folder, SEALER, QUIET)
        assert time.monotonic() - started < START_SECONDS
        body = b"after the damage"
        seq = writer.append(META, body).result()
        assert seq not in crashed.acked, "a number was used twice"
        assert seq > max(crashed.acked)
        items = read_all(folder)
        writer.close()
        read = assert_sound(items, crashed.sent | {seq: body})
        assert seq in read
        again = assert_sound(read_all(folder), crashed.sent | {seq: body})
        assert again == read
    finally:
        shutil.rmtree(folder)
    return read - {seq}, reported(items)


def flip(name: str, bit: int) -> Damage:
    """Flip one bit of a file."""

    def damage(folder: Path) -> None:
        path = folder / name
        data = bytearray(path.read_bytes())
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)

    return damage


def cut(name: str, size: int) -> Damage:
    """Truncate a file."""

    def damage(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(size)

    return damage


def zero(name: str, start: int, size: int) -> Damage:
    """Overwrite a range of a file with zeros."""

    def damage(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.seek(start)
            file.write(bytes(size))

    return damage


def remove(*names: str) -> Damage:
    """Delete files."""

    def damage(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return damage
