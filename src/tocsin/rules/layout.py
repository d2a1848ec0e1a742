"""Lay out the rules of one generated function, so that what many rules ask is asked once.

The terms of each rule are put in order, cheap ones first and of those the ones that most
rules share; rules with the same beginning become branches of one `if`. A variable is bound
where a term first reads it, and asked whether it is bound only where that can be unknown.
On creations of pods, where most rules meet, this halves the time of plain `if` after `if`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tocsin.rules.code import BAND, Binding, Code, Variables

# So many terms of a rule are reached one by one, the rest together: Python's parser takes no
# more than 100 levels of indentation.
_MAX_STEPS = 40

Rule = tuple[str, Sequence[Code]]


@dataclass(slots=True)
class _Branch:
    """What to do when the terms up to here hold: statements to run, further terms to ask."""

    term: Code
    statements: list[str] = field(default_factory=list)
    below: dict[str, "_Branch"] = field(default_factory=dict)


def lay_out(rules: Iterable[Rule], variables: Variables, pad: str) -> list[str]:
    """Return the lines that run each rule's statement if all of its terms hold.

    Args:
        rules: pairs of a statement and the terms that must hold for it.
        variables: the variables that the terms read.
        pad: the indentation of the lines.
    """
    tree = _tree(list(rules), variables)
    writer = _Writer(variables)
    lines = list(writer.block(tree, pad, set()))
    return [*(f"{pad}{name} = UNSET" for name in sorted(writer.guarded)), *lines]


def _tree(rules: Sequence[Rule], variables: Variables) -> _Branch:
    distinct = [(statement, {term.text: term for term in terms}) for statement, terms in rules]
    uses = Counter(text for _, terms in distinct for text in terms)

    def rank(term: Code) -> tuple[int, int, int]:
        price = variables.price(term)
        return price // BAND, -uses[term.text], price

    tree = _Branch(Code("True"))
    for statement, terms in distinct:
        branch = tree
        for term in _steps(sorted(terms.values(), key=rank)):
            branch = branch.below.setdefault(term.text, _Branch(term))
        branch.statements.append(statement)
    return tree


def _steps(terms: list[Code]) -> list[Code]:
    """Return the terms, what is too much for a branch each together in the last one."""
    if len(terms) <= _MAX_STEPS:
        return terms
    rest = terms[_MAX_STEPS:]
    reads = frozenset().union(*(term.reads for term in rest))
    return [*terms[:_MAX_STEPS], Code(" and ".join(term.text for term in rest), reads)]


class _Writer:
    """Writes branches as nested statements, and keeps book of what is bound where."""

    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        # Bound in some branch before, so perhaps bound; and those of them that are asked.
        self._perhaps: set[str] = set()
        self.guarded: set[str] = set()

    def block(self, branch: _Branch, pad: str, sure: set[str]) -> Iterator[str]:
        """Yield the statements behind a branch's term; `sure` is what is bound there."""
        for statement in branch.statements:
            yield pad + statement
        for child in branch.below.values():
            yield from self._branch(child, pad, sure)

    def _branch(self, branch: _Branch, pad: str, sure: set[str]) -> Iterator[str]:
        yield from self._bind(branch.term.reads, pad, sure)
        tests = [branch.term.text]
        while (only := _only(branch)) is not None and only.term.reads <= sure:
            branch = only
            tests.append(branch.term.text)
        yield f"{pad}if {' and '.join(tests)}:"
        inside = set(sure)
        yield from self.block(branch, pad + "    ", inside)
        self._perhaps |= inside

    def _bind(self, names: Iterable[str], pad: str, sure: set[str]) -> Iterator[str]:
        """Yield the statements behind which `names` are bound, and add them to `sure`."""
        for binding in self._variables.named(set(names) - sure):
            if binding.weight and binding.name in self._perhaps:
                self.guarded.add(binding.name)
                yield f"{pad}if {binding.name} is UNSET:"
                yield from self._compute(binding, pad + "    ", inside := set(sure))
                self._perhaps |= inside
            else:
                yield from self._compute(binding, pad, sure)
            sure.add(binding.name)

    def _compute(self, binding: Binding, pad: str, sure: set[str]) -> Iterator[str]:
        yield from self._bind(binding.reads, pad, sure)
        yield f"{pad}{binding.name} = {binding.code}"
        if binding.then is not None:
            operator, rest = binding.then
            yield f"{pad}if {'' if operator == 'and' else 'not '}{binding.name}:"
            yield from self._bind(rest.reads, pad + "    ", inside := set(sure))
            yield f"{pad}    {binding.name} = {rest.text}"
            self._perhaps |= inside


def _only(branch: _Branch) -> _Branch | None:
    """Return the one branch below, if there is nothing else to do."""
    if branch.statements or len(branch.below) != 1:
        return None
    return next(iter(branch.below.values()))
