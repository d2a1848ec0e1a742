"""The way of an incident through the tactics of ATT&CK, as geometry for a drawing.

A lane for each tactic in the order it was first reached, a dot for each step from left to right
in order of time. Steps are evenly apart: seconds and hours would not fit into one picture. Steps
that no tactic is known of are not drawn; they are in the list.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from tocsin.model.alert import Severity
from tocsin.model.incident import Incident, Step

LANE_HEIGHT = 34.0
MARGIN_LEFT, MARGIN_RIGHT, WIDTH = 190.0, 24.0, 800.0
MAX_DOTS = 60


@dataclass(frozen=True, slots=True)
class Lane:
    """A tactic and where its line is."""

    tactic: str
    y: float


@dataclass(frozen=True, slots=True)
class Dot:
    """One step and where it is."""

    x: float
    y: float
    severity: Severity
    step: Step


@dataclass(frozen=True, slots=True)
class Lanes:
    """The drawing; `path` goes through the dots as the points of a `polyline`."""

    width: float
    height: float
    lanes: tuple[Lane, ...]
    dots: tuple[Dot, ...]
    path: str


def lanes(incident: Incident) -> Lanes | None:
    """Return the drawing, None for an incident that stays within one tactic."""
    tactic_of = {one.technique: one.tactics[0] for one in incident.techniques if one.tactics}
    placed = [(step, tactic_of.get(step.technique or "")) for step in incident.steps]
    steps = _turns([(step, tactic) for step, tactic in placed if tactic])[:MAX_DOTS]
    tactics = list(dict.fromkeys(tactic for _, tactic in steps))
    if len(tactics) < 2:  # noqa: PLR2004 - a path has two ends
        return None
    rows = {tactic: LANE_HEIGHT * (number + 0.5) for number, tactic in enumerate(tactics)}
    apart = (WIDTH - MARGIN_LEFT - MARGIN_RIGHT) / max(1, len(steps) - 1)
    dots = tuple(
        Dot(round(MARGIN_LEFT + apart * number, 1), rows[tactic], step.severity, step)
        for number, (step, tactic) in enumerate(steps)
    )
    return Lanes(
        WIDTH,
        LANE_HEIGHT * len(tactics),
        tuple(Lane(tactic, y) for tactic, y in rows.items()),
        dots,
        " ".join(f"{dot.x},{dot.y}" for dot in dots),
    )


def _turns(steps: Sequence[tuple[Step, str]]) -> list[tuple[Step, str]]:
    """Return the steps without those that repeat the one before; of too many, the turns only."""
    turns = _without_repeats(steps, lambda one: (one[0].technique, one[0].text))
    return turns if len(turns) <= MAX_DOTS else _without_repeats(turns, lambda one: one[1])


def _without_repeats(
    steps: Sequence[tuple[Step, str]], key: Callable[[tuple[Step, str]], object]
) -> list[tuple[Step, str]]:
    return [next(group) for _, group in groupby(steps, key)]
