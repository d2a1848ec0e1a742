"""The recordings that ship with Tocsin: real API servers under real attacks.

`content/demo/*.jsonl.zst`, one posted body (an EventList) per line, recorded from
kube-apiserver 1.36 under two audit policies; `*.labels.jsonl` tells what happened when.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import zstandard

from tocsin.runtime.rules import content_folder

NAMES = ("seed-policy", "full-policy")

# A quote within a text is escaped, so this is found nowhere but at an event's own fields.
_TIME = re.compile(rb'"(requestReceivedTimestamp|stageTimestamp)":"([^"]+)"')


class _EventList(msgspec.Struct):
    items: list[msgspec.Raw]


def bodies(name: str) -> list[bytes]:
    """Return the posted bodies of a recording, in order."""
    packed = (content_folder() / "demo" / f"{name}.jsonl.zst").read_bytes()
    with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        return stream.read().splitlines()


def events(body: bytes) -> list[bytes]:
    """Return the events of a posted body, each as it was sent."""
    return [bytes(item) for item in msgspec.json.decode(body, type=_EventList).items]


def as_if_ending(recorded: Sequence[bytes], end: datetime) -> list[bytes]:
    """Return posted bodies as if the last of their events had happened at `end`.

    All times move by the same, so what belongs together still does.
    """
    times = [match[2].decode() for body in recorded for match in _TIME.finditer(body)]
    move = end - max(map(datetime.fromisoformat, times))

    def moved(match: re.Match[bytes]) -> bytes:
        at = datetime.fromisoformat(match[2].decode()) + move
        return b'"%s":"%s"' % (match[1], f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}".encode())

    return [_TIME.sub(moved, body) for body in recorded]
