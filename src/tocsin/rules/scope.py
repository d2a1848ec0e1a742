"""The variables of a generated function: which there are, and when each is computed.

A bucket's function binds what several rules read at its top, if that is cheap, and else at
its first use; what one rule reads alone is bound within that rule, behind its cheaper tests.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from typing_extensions import override

from tocsin.rules.extract import extractor
from tocsin.rules.interpret import EventView
from tocsin.rules.operators import texts_of
from tocsin.rules.paths import split
from tocsin.rules.schema import Schema

_UNSET = object()
# So many costly tests of a rule are reached one by one, the rest together: Python's parser
# takes no more than 100 levels of indentation.
_MAX_STEPS = 50

# What binding a variable costs, in about tenths of a microsecond.
_EXTRACT, _DERIVE, _DECODE = 8, 10, 100


@dataclass(frozen=True, slots=True)
class Code:
    """A boolean expression in Python, the variables it reads, and a rank of its cost."""

    text: str
    reads: frozenset[str] = frozenset()
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Binding:
    """A local variable: the expression that computes it, and the variables it reads.

    `weight` ranks what computing it costs; without any, it is bound at the top.
    """

    name: str
    code: str
    reads: tuple[str, ...]
    weight: int

    @property
    def lazy(self) -> bool:
        """Whether it is computed at its first use only."""
        return self.weight > 0


class Scope:
    """Variables and constants of one generated function; the subclasses know its fields."""

    def __init__(self, constants: dict[str, object]) -> None:
        self.constants = constants
        self._bindings: dict[str, Binding] = {}

    def leaves(self, path: str) -> str:
        """Return the variable with the list of values at `path`."""
        raise NotImplementedError

    def scalar(self, path: str) -> tuple[str, str] | None:
        """Return the variable and kind (text, number) of a single-valued field, if it is one."""
        del path
        return None

    def everything(self) -> str:
        """Return the variable with the texts of all values of the event."""
        raise NotImplementedError

    def constant(self, value: object) -> str:
        """Return the name of a new constant of the function."""
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def bind(self, key: str, code: str, reads: tuple[str, ...] = (), weight: int = 0) -> str:
        """Return the variable for `code`, the same one whenever `key` is the same."""
        known = self._bindings.get(key)
        if known is None:
            weight += sum(b.weight for b in self._bindings.values() if b.name in reads)
            known = Binding(f"x{len(self._bindings)}", code, reads, weight)
            self._bindings[key] = known
        return known.name

    def texts(self, path: str) -> str:
        """Return the variable with the texts of the values at `path`."""
        leaves = self.leaves(path)
        return self.bind(f"texts {path}", f"{self.once(texts_of)}({leaves})", (leaves,))

    def folded(self, texts: str) -> str:
        """Return an expression for the texts in lower case."""
        return self.bind(f"folded {texts}", f"[t.lower() for t in {texts}]", (texts,))

    def once(self, value: object) -> str:
        """Return the name of a constant, the same one however often it is used."""
        for name, known in self.constants.items():
            if known is value:
                return name
        return self.constant(value)

    def bindings(self, names: frozenset[str]) -> list[Binding]:
        """Return the bindings behind `names` and behind what they read, in order."""
        wanted = set(names)
        chosen = []
        for binding in reversed(self._bindings.values()):
            if binding.name in wanted:
                wanted.update(binding.reads)
                chosen.append(binding)
        return chosen[::-1]


class EventScope(Scope):
    """The top of a bucket: fields of the event, bound early if typed, late if not."""

    def __init__(self, schema: Schema) -> None:
        super().__init__({"UNSET": _UNSET})
        self._schema = schema

    def function(self, rules: Sequence[tuple[int, list[Code]]]) -> str:
        """Return the source of the function that reports the rules whose terms all hold."""
        needed = [self._needs(term.reads for term in terms) for _, terms in rules]
        uses = Counter(name for names in needed for name in names)
        shared = {name for name, count in uses.items() if count > 1}
        lines = ["def bucket(e):", "    hits = []"]
        for binding in self._bindings.values():
            if binding.name in shared:
                code = "UNSET" if binding.lazy else binding.code
                lines.append(f"    {binding.name} = {code}")
        for index, terms in rules:
            lines.extend(self._rule(index, terms, shared))
        return "\n".join([*lines, "    return hits", ""])

    def _needs(self, reads: Iterable[frozenset[str]]) -> set[str]:
        return {binding.name for names in reads for binding in self.bindings(names)}

    def _rule(self, index: int, terms: list[Code], shared: set[str]) -> Iterator[str]:
        """Yield the statements of one rule: what it needs is bound as late as possible."""
        pad = "    "
        bound: set[str] = set()
        tests: list[str] = []
        steps = 0
        for term in sorted(terms, key=self._price):
            binds = [
                line
                for binding in self.bindings(term.reads)
                if binding.name not in bound
                for line in _bind(binding, shared)
            ]
            bound |= self._needs([term.reads])
            if binds and tests and steps < _MAX_STEPS:
                yield f"{pad}if {' and '.join(tests)}:"
                pad += "    "
                tests = []
                steps += 1
            yield from (pad + line for line in binds)
            tests.append(term.text)
        if tests:
            yield f"{pad}if {' and '.join(tests)}:"
            pad += "    "
        yield f"{pad}hits.append({index})"

    def _price(self, term: Code) -> int:
        return term.cost + sum(b.weight for b in self._bindings.values() if b.name in term.reads)

    @override
    def scalar(self, path: str) -> tuple[str, str] | None:
        derived = self._schema.derived.get(path)
        if derived is not None and derived.text:
            return self._root(path), "text"
        attribute = self._schema.attributes.get(path)
        if attribute is None or attribute.kind not in ("text", "number"):
            return None
        return self._attribute(path), attribute.kind

    @override
    def leaves(self, path: str) -> str:
        found = self._schema.locate(path)
        if found is None:
            return self.bind("nothing", "()")
        name, segments, extract_values = found
        scalar = self.scalar(name)
        if scalar is not None:
            variable = scalar[0]
            code = "()" if segments else f"({variable},) if {variable} is not None else ()"
            return self.bind(f"leaves {path}", code, (variable,))
        root = self._root(name)
        extract = self.once(extract_values)
        return self.bind(f"leaves {path}", f"{extract}({root})", (root,), _EXTRACT)

    @override
    def texts(self, path: str) -> str:
        attribute = self._schema.attributes.get(path)
        if attribute is None or attribute.kind != "texts":
            return super().texts(path)
        variable = self._attribute(path)
        return self.bind(f"texts {path}", f"{variable} or ()", (variable,))

    @override
    def folded(self, texts: str) -> str:
        # Few tests get as far as this one, so the list is made where it is looked at.
        lazy = any(b.name == texts and b.lazy for b in self._bindings.values())
        return super().folded(texts) if lazy else f"[t.lower() for t in {texts}]"

    @override
    def everything(self) -> str:
        schema = self._schema
        texts = self.constant(lambda event: texts_of(EventView(event, schema).everything()))
        return self.bind("everything", f"{texts}(e)", weight=_DECODE)

    def _root(self, name: str) -> str:
        attribute = self._schema.attributes.get(name)
        if attribute is None:
            derived = self._schema.derived[name]
            bodies = tuple(self._root(body) for body in derived.bodies)
            code = f"{self.once(derived.compute)}({', '.join(('e', *bodies))})"
            guards = {self._attribute(key): values for key, values in derived.only.items()}
            if guards:
                tests = (f"{key} in {self.constant(values)}" for key, values in guards.items())
                code = f"{code} if {' and '.join(tests)} else None"
            return self.bind(f"root {name}", code, (*guards, *bodies), _DERIVE)
        variable = self._attribute(name)
        if attribute.kind != "body":
            return variable
        decode = self.once(self._schema.decode)
        code = f"{decode}({variable}) if {variable} else None"
        return self.bind(f"root {name}", code, (variable,), _DECODE)

    def _attribute(self, name: str) -> str:
        *structs, last = self._schema.attributes[name].path
        owner = "e"
        for step in structs:
            default = self.once(self._schema.defaults[step])
            owner = self.bind(f"struct {step}", f"{owner}.{step} or {default}")
        return self.bind(f"attribute {name}", f"{owner}.{last}", () if owner == "e" else (owner,))


class ElementScope(Scope):
    """The body of a loop over list elements: paths start at the element."""

    @override
    def leaves(self, path: str) -> str:
        extract = self.constant(extractor(split(path)))
        return self.bind(f"leaves {path}", f"{extract}(item)")

    def lines(self) -> list[str]:
        """Return the statements that bind all variables, at the top of the loop."""
        return [f"        {b.name} = {b.code}" for b in self._bindings.values()]


def _bind(binding: Binding, shared: set[str]) -> Iterator[str]:
    """Yield the statements that bind a variable within a rule."""
    statement = f"{binding.name} = {binding.code}"
    if binding.name not in shared:
        yield statement
    elif binding.lazy:
        yield f"if {binding.name} is UNSET:"
        yield f"    {statement}"
