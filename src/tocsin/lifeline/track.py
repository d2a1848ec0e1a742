"""Which seconds of a stretch of time had events."""

from itertools import accumulate

import msgspec

# Finer than this many steps a stretch is not looked at.
MAX_STEPS = 3600


class Track(msgspec.Struct):
    """A row of steps, each 1 if an event's time lies in it; times in epoch seconds.

    `step` is a step's length in seconds. A step says "at least one event", so that a longer
    one hides shorter pauses, and nothing else.
    """

    origin: int
    step: int
    seen: bytearray

    @classmethod
    def over(cls, start: int, end: int) -> "Track":
        """Return an empty track from `start` up to `end`, as fine as its size allows."""
        length = max(1, end - start)
        step = -(-length // MAX_STEPS)
        return cls(start, step, bytearray(-(-length // step)))

    @property
    def end(self) -> int:
        """The first second that lies behind the track."""
        return self.origin + self.step * len(self.seen)

    def mark(self, second: int) -> None:
        """Note an event; one outside of the track is none of its business."""
        if self.origin <= second < self.end:
            self.seen[(second - self.origin) // self.step] = 1

    def move_to(self, second: int) -> None:
        """Drop the oldest steps, so that the track ends with `second`."""
        steps = (second - self.end) // self.step + 1
        if steps > 0:
            length = len(self.seen)
            self.seen = (self.seen + bytes(min(steps, length)))[-length:]
            self.origin += steps * self.step

    def first(self) -> int | None:
        """Return the time of the first step with an event."""
        index = self.seen.find(1)
        return None if index < 0 else self.origin + index * self.step

    def last_before(self, second: int) -> int | None:
        """Return the time of the last step with an event before `second`."""
        index = self.seen.rfind(1, 0, max(0, (second - self.origin) // self.step))
        return None if index < 0 else self.origin + index * self.step

    def pauses(self) -> list[tuple[int, int]]:
        """Return the stretches without any event, each as its start and its end."""
        lengths = [len(run) for run in self.seen.split(b"\1")]
        # Between two runs lies one step with an event.
        starts = accumulate([length + 1 for length in lengths], initial=0)
        return [
            (self.origin + start * self.step, self.origin + (start + length) * self.step)
            for start, length in zip(starts, lengths, strict=False)
            if length
        ]

    def longest_pause(self, before: int) -> int:
        """Return the longest stretch between two events before a time, in seconds."""
        first, last = self.first(), self.last_before(before)
        if first is None or last is None:
            return 0
        inner = [end - start for start, end in self.pauses() if first < start and end <= last]
        return max(inner, default=0)
