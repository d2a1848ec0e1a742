"""Charts: numbers in, geometry out. Templates draw it as SVG, and each bar is a link.

All lengths are in the units of the drawing, whose origin is its upper left corner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeVar

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_STEPS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=10),
    timedelta(minutes=15),
    timedelta(minutes=30),
    _HOUR,
    2 * _HOUR,
    3 * _HOUR,
    6 * _HOUR,
    12 * _HOUR,
    _DAY,
    2 * _DAY,
    7 * _DAY,
    14 * _DAY,
    28 * _DAY,
    91 * _DAY,
)
_MAX_X_TICKS = 7

_Key = TypeVar("_Key", bound=str)
_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)  # A Monday: weeks begin with it.


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a drawing, and the room at its edges for the axes."""

    width: float = 800
    height: float = 150
    left: float = 44
    right: float = 8
    top: float = 14
    bottom: float = 20

    @property
    def floor(self) -> float:
        """Where the bars stand."""
        return self.height - self.bottom


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar: what it counts, how many, and where it is."""

    key: str
    count: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: its time from `start` until `end`, what it counts, its place, its parts upwards."""

    start: datetime
    end: datetime
    x: float
    width: float
    counts: Mapping[str, int]
    segments: tuple[Segment, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over time with their axes."""

    frame: Frame
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    keys: tuple[str, ...]
    total: int


def stacked(
    starts: Sequence[datetime],
    counts: Sequence[Mapping[_Key, int]],
    end: datetime,
    keys: Sequence[_Key],
    frame: Frame | None = None,
) -> Chart:
    """Return a chart of stacked bars.

    Args:
        starts: when each bar's time starts, in order.
        counts: what each bar counts, by key; absent keys are none.
        end: when the last bar's time ends.
        keys: the keys from the bottom up.
        frame: the size.
    """
    frame = frame or Frame()
    totals = [sum(one.get(key, 0) for key in keys) for one in counts]
    top = _ceiling(max(totals, default=0))
    edges = [*starts, end]
    span = (end - edges[0]) / timedelta(seconds=1) or 1.0
    scale = (frame.width - frame.left - frame.right) / span

    def place(moment: datetime) -> float:
        return round(frame.left + (moment - edges[0]) / timedelta(seconds=1) * scale, 2)

    bars = []
    for (start, stop), one, total in zip(pairwise(edges), counts, totals, strict=True):
        x = place(start)
        width = round(max(place(stop) - x - 1, 0.5), 2)
        there = {str(key): one.get(key, 0) for key in keys}
        bars.append(Bar(start, stop, x, width, there, _segments(one, keys, top, frame), total))
    return Chart(
        frame,
        tuple(bars),
        tuple(Tick(place(at), label) for at, label in _moments(edges[0], end)),
        tuple(Tick(_height(value, top, frame), _short(value)) for value in (0, top // 2, top)),
        tuple(keys),
        sum(totals),
    )


def sparkline(values: Sequence[float], width: float = 120, height: float = 24) -> str:
    """Return the points of a line through the values, for an SVG `polyline`."""
    top = max(values, default=0) or 1
    step = width / max(1, len(values) - 1)
    return " ".join(
        f"{round(index * step, 1)},{round(height - 1 - value / top * (height - 2), 1)}"
        for index, value in enumerate(values)
    )


def _segments(
    counts: Mapping[_Key, int], keys: Sequence[_Key], top: int, frame: Frame
) -> tuple[Segment, ...]:
    found = []
    below = 0
    for key in keys:
        count = counts.get(key, 0)
        if count:
            upper, lower = _height(below + count, top, frame), _height(below, top, frame)
            # What happened once among thousands must still be seen.
            height = max(lower - upper, 2.0)
            found.append(Segment(key, count, round(lower - height, 2), round(height, 2)))
            below += count
    return tuple(found)


def _height(value: float, top: int, frame: Frame) -> float:
    return round(frame.floor - value / top * (frame.floor - frame.top), 2)


def _ceiling(value: int) -> int:
    """Return the next even round number: 2, 4, 10, 20, 40, 100, ..."""
    power = 1
    while True:
        for factor in (2, 4, 10):
            if factor * power >= value:
                return factor * power
        power *= 10


def _short(value: int) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return str(value)


def _moments(start: datetime, end: datetime) -> list[tuple[datetime, str]]:
    """Return round moments between the two, at most seven, with their labels."""
    step = next((one for one in _STEPS if (end - start) / one <= _MAX_X_TICKS), 364 * _DAY)
    first = _EPOCH + -((_EPOCH - start) // step) * step
    moments = []
    at = first if first >= start else first + step
    while at < end:
        moments.append((at, _label(at, step)))
        at += step
    return moments


def _label(at: datetime, step: timedelta) -> str:
    if step >= _DAY or (at.hour, at.minute) == (0, 0):
        return f"{at:%d %b}"
    return f"{at:%H:%M}"
