"""The recordings that ship with Tocsin: real API servers under real attacks.

`content/demo/*.jsonl.zst`, one posted body (an EventList) per line, recorded from
kube-apiserver 1.36 under two audit policies; `*.labels.jsonl` tells what happened when.
"""

import zstandard

from tocsin.runtime.rules import content_folder

NAMES = ("seed-policy", "full-policy")


def bodies(name: str) -> list[bytes]:
    """Return the posted bodies of a recording, in order."""
    packed = (content_folder() / "demo" / f"{name}.jsonl.zst").read_bytes()
    with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        return stream.read().splitlines()
