"""The recordings that ship with Tocsin: real API servers under real attacks.

`content/demo/*.jsonl.zst`, one posted body (an EventList) per line, recorded from
kube-apiserver 1.36 under two audit policies; `*.labels.jsonl` tells what happened when.
"""

import msgspec
import zstandard

from tocsin.runtime.rules import content_folder

NAMES = ("seed-policy", "full-policy")


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
