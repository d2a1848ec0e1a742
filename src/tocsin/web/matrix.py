"""The ATT&CK matrix: which tactics and techniques stand where, and what is counted in each cell.

Columns are the tactics of the data file in its order; nothing here names one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log

from tocsin.attack.catalog import Catalog

# Of the shades that cells have, the darkest.
HOTTEST = 5


@dataclass(frozen=True, slots=True)
class Counts:
    """What is known of one technique."""

    alerts: int = 0
    rules: int = 0
    firing: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """Return both together."""
        return Counts(
            self.alerts + other.alerts, self.rules + other.rules, self.firing + other.firing
        )


@dataclass(frozen=True, slots=True)
class Cell:
    """A technique below a tactic; `counts` of a technique include those of its sub-techniques."""

    id: str
    name: str
    counts: Counts
    parts: tuple["Cell", ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A tactic with its techniques."""

    short: str
    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The columns with something in them, and the names of the tactics without anything.

    `unknown` are technique ids that rules or alerts name and this release does not know.
    """

    columns: tuple[Column, ...]
    empty: tuple[str, ...]
    unknown: tuple[str, ...]


def count(
    alerts: Mapping[str, int], rules: Iterable[Sequence[str]], firing: Iterable[Sequence[str]]
) -> dict[str, Counts]:
    """Return the counts of each technique.

    Args:
        alerts: how many alerts name each technique.
        rules: the techniques of each rule.
        firing: the techniques of each rule that can fire.
    """
    of_rules = Counter(name for names in rules for name in set(names))
    of_firing = Counter(name for names in firing for name in set(names))
    return {
        name: Counts(alerts.get(name, 0), of_rules[name], of_firing[name])
        for name in {*alerts, *of_rules}
    }


def arrange(catalog: Catalog, counts: Mapping[str, Counts], platform: str | None) -> Matrix:
    """Return the matrix of a platform's techniques, or of all.

    A technique that something is counted for is there whatever its platforms are.
    """
    shown = {
        name
        for name, technique in catalog.techniques.items()
        if platform is None or platform in technique.platforms or name in counts
    }
    # A sub-technique needs the cell of its technique to stand in.
    shown |= {name.partition(".")[0] for name in shown}
    columns = tuple(
        Column(tactic.short, tactic.name, _cells(catalog, counts, shown, tactic.short))
        for tactic in catalog.tactics
    )
    return Matrix(
        columns=tuple(column for column in columns if column.cells),
        empty=tuple(column.name for column in columns if not column.cells),
        unknown=tuple(sorted(name for name in counts if name not in catalog.techniques)),
    )


def _cells(
    catalog: Catalog, counts: Mapping[str, Counts], shown: set[str], tactic: str
) -> tuple[Cell, ...]:
    names = [name for name in shown if tactic in catalog.techniques[name].tactics]
    parts: dict[str, list[Cell]] = {}
    for name in sorted(names):
        parent, dot, _ = name.partition(".")
        if dot:
            known = counts.get(name, Counts())
            parts.setdefault(parent, []).append(Cell(name, catalog.techniques[name].name, known))
    cells = []
    for name in {name.partition(".")[0] for name in names}:
        below = tuple(parts.get(name, ()))
        total = sum((cell.counts for cell in below), counts.get(name, Counts()))
        cells.append(Cell(name, catalog.techniques[name].name, total, below))
    return tuple(sorted(cells, key=lambda cell: cell.name))


def heat(value: int, top: int) -> int:
    """Return the shade of a value, 0 for none up to `HOTTEST`, by its order of magnitude."""
    if value <= 0:
        return 0
    if top <= 1:
        return 1
    return max(1, min(HOTTEST, ceil(log(value + 1) / log(top + 1) * HOTTEST)))
