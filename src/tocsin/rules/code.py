"""Pieces of generated Python: expressions, and the local variables that they read."""

import linecache
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Literal

UNSET = object()
# Terms whose prices differ by less than this are as good as equally cheap.
BAND = 8

Junction = Literal["and", "or"]


@dataclass(frozen=True, slots=True)
class Code:
    """A boolean expression in Python, the variables it reads, and a rank of its cost."""

    text: str
    reads: frozenset[str] = frozenset()
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Binding:
    """A local variable: the expression that computes it, and the variables it reads.

    `weight` ranks what computing it costs, with all it reads. Without any it is as cheap to
    compute it again as to ask whether it is known. `then` is joined to `code` as a second
    step, so that what it reads is bound only if the first one leaves the outcome open;
    `depth` is how many such variables are within one another.
    """

    name: str
    code: str
    reads: tuple[str, ...]
    weight: int
    then: tuple[Junction, Code] | None = None
    depth: int = 0


def define(source: str, name: str, label: str, constants: dict[str, object]) -> object:
    """Run generated source with these globals, and return what it defines as `name`."""
    # linecache keeps the source, so that a traceback through generated code is readable.
    linecache.cache[label] = (len(source), None, source.splitlines(keepends=True), label)
    exec(compile(source, label, "exec"), constants)  # noqa: S102
    return constants[name]


class Variables:
    """The local variables of one generated function, in the order in which they can be bound."""

    def __init__(self) -> None:
        self._bindings: dict[str, Binding] = {}

    def bind(self, key: str, code: str, reads: tuple[str, ...] = (), weight: int = 0) -> str:
        """Return the variable for `code`, the same one whenever `key` is the same."""
        known = self._bindings.get(key)
        if known is None:
            weight += sum(binding.weight for binding in self.named(set(reads)))
            known = Binding(f"x{len(self._bindings)}", code, reads, weight)
            self._bindings[key] = known
        return known.name

    def bind_stepwise(self, first: Code, operator: Junction, rest: Code) -> str:
        """Return the variable for two terms joined, the second computed only if it matters."""
        key = f"{first.text} {operator} {rest.text}"
        if key not in self._bindings:
            self.bind(key, first.text, tuple(first.reads), self.price(rest) + 1)
            depth = self.depth(rest) + 1
            self._bindings[key] = replace(self._bindings[key], then=(operator, rest), depth=depth)
        return self._bindings[key].name

    def depth(self, term: Code) -> int:
        """Return how many variables computed in steps are within one another in a term."""
        return max((binding.depth for binding in self.named(term.reads)), default=0)

    def named(self, names: AbstractSet[str]) -> list[Binding]:
        """Return the bindings of these names, in the order in which they can be bound."""
        return [binding for binding in self._bindings.values() if binding.name in names]

    def price(self, term: Code) -> int:
        """Return a rank of what a term costs, with the variables it reads."""
        return term.cost + self.weight(term)

    def weight(self, term: Code) -> int:
        """Return a rank of what computing the variables costs that a term reads."""
        return sum(binding.weight for binding in self.named(term.reads))
