"""The two recordings of a control plane under attack, with their labels."""

from dataclasses import dataclass
from functools import cache

import msgspec

from tocsin.runtime.recording import bodies
from tocsin.runtime.rules import content_folder


class Window(msgspec.Struct, frozen=True):
    """What happened from `t0` to `t1`, in RFC 3339 as audit events have it."""

    step: str
    expect: tuple[str, ...]
    t0: str
    t1: str


@dataclass(frozen=True)
class Recording:
    bodies: tuple[bytes, ...]
    windows: tuple[Window, ...]

    def step(self, received: str) -> str:
        """Return what went on when a request was received."""
        if received < self.windows[0].t0:
            return "startup"
        return next((w.step for w in self.windows if w.t0 <= received <= w.t1), "between")


@cache
def recording(name: str) -> Recording:
    labels = (content_folder() / "demo" / f"{name}.labels.jsonl").read_bytes()
    windows = [msgspec.json.decode(line, type=Window) for line in labels.splitlines() if line]
    return Recording(tuple(bodies(name)), tuple(windows))
