"""Compile rules into Python code: one function per kind of request.

A function takes an event and returns the indices of the rules that match it. Cheap tests
on typed metadata come first; bodies are decoded, and paths in them followed, only behind
them, at most once per event. The meaning is that of `interpret`.

Rule text enters the generated source only through `repr` of a string, or not at all: sets,
patterns and functions are handed over as constants in the function's globals. Index,
rather than rule, is what generated code knows, so this module is the injection boundary.
"""

import linecache
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
from typing_extensions import override

from tocsin.rules import ir
from tocsin.rules.extract import extractor
from tocsin.rules.interpret import EventView, related
from tocsin.rules.operators import text_test, texts_of
from tocsin.rules.paths import last_segment, split
from tocsin.rules.regex import searcher
from tocsin.rules.schema import Schema

Bucket = Callable[[msgspec.Struct], Sequence[int]]

_UNSET = object()

# What binding a variable costs, in about tenths of a microsecond.
_EXTRACT, _DERIVE, _DECODE = 8, 10, 100


def compile_bucket(rules: Iterable[tuple[int, ir.Expr]], schema: Schema, name: str) -> Bucket:
    """Return one function that evaluates the given conditions on an event.

    Args:
        rules: pairs of the index to report and the condition to hold.
        schema: how to read an event.
        name: what tracebacks and `explain` call the function.
    """
    scope = _EventScope(schema)
    emitted = [(index, _conjuncts(expr, scope)) for index, expr in rules]
    lines = ["def bucket(e):", "    hits = []", *scope.prologue()]
    for index, terms in emitted:
        lines.extend(scope.rule(index, terms))
    lines.append("    return hits")
    return _define("\n".join(lines) + "\n", "bucket", f"<rules {name!r}>", scope.constants)  # type: ignore[return-value]


def _define(source: str, name: str, label: str, constants: dict[str, object]) -> object:
    # linecache keeps the source, so that a traceback through generated code is readable.
    linecache.cache[label] = (len(source), None, source.splitlines(keepends=True), label)
    exec(compile(source, label, "exec"), constants)  # noqa: S102
    return constants[name]


@dataclass(frozen=True, slots=True)
class _Code:
    """A boolean expression in Python, the variables it reads, and a rank of its cost."""

    text: str
    reads: frozenset[str] = frozenset()
    cost: int = 0


@dataclass(frozen=True, slots=True)
class _Binding:
    """A local variable: the expression that computes it, and the variables it reads.

    `weight` ranks what computing it costs; without any, it is bound at the top.
    """

    name: str
    code: str
    reads: tuple[str, ...]
    weight: int

    @property
    def lazy(self) -> bool:
        return self.weight > 0


class _Scope:
    """Variables and constants of one generated function; the subclasses know its fields."""

    def __init__(self, constants: dict[str, object]) -> None:
        self.constants = constants
        self._bindings: dict[str, _Binding] = {}

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
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def bind(self, key: str, code: str, reads: tuple[str, ...] = (), weight: int = 0) -> str:
        """Return the variable for `code`, the same one whenever `key` is the same."""
        known = self._bindings.get(key)
        if known is None:
            weight += sum(b.weight for b in self._bindings.values() if b.name in reads)
            known = _Binding(f"x{len(self._bindings)}", code, reads, weight)
            self._bindings[key] = known
        return known.name

    def texts(self, path: str) -> str:
        leaves = self.leaves(path)
        return self.bind(f"texts {path}", f"{self.function(texts_of)}({leaves})", (leaves,))

    def folded(self, texts: str) -> str:
        """Return an expression for the texts in lower case."""
        return self.bind(f"folded {texts}", f"[t.lower() for t in {texts}]", (texts,))

    def function(self, value: object) -> str:
        """Return the name of a constant, the same one however often it is used."""
        for name, known in self.constants.items():
            if known is value:
                return name
        return self.constant(value)

    def bindings(self, names: frozenset[str]) -> list[_Binding]:
        """Return the bindings behind `names` and behind what they read, in order."""
        wanted = set(names)
        chosen = []
        for binding in reversed(self._bindings.values()):
            if binding.name in wanted:
                wanted.update(binding.reads)
                chosen.append(binding)
        return chosen[::-1]


class _EventScope(_Scope):
    """The top of a bucket: fields of the event, bound early if typed, late if not."""

    def __init__(self, schema: Schema) -> None:
        super().__init__({"UNSET": _UNSET})
        self._schema = schema

    def prologue(self) -> list[str]:
        return [f"    {b.name} = {'UNSET' if b.lazy else b.code}" for b in self._bindings.values()]

    def rule(self, index: int, terms: list[_Code]) -> list[str]:
        """Return the statements that report `index` when all terms hold."""
        lazy = {b.name for b in self._bindings.values() if b.lazy}
        early = [term for term in terms if not term.reads & lazy]
        late = [term for term in terms if term.reads & lazy]
        lines, pad = [], "    "
        if early:
            lines.append(f"{pad}if {_join(early)}:")
            pad += "    "
        for term in sorted(late, key=self._price):
            for binding in self.bindings(term.reads):
                if binding.lazy:
                    lines.append(f"{pad}if {binding.name} is UNSET:")
                    lines.append(f"{pad}    {binding.name} = {binding.code}")
            lines.append(f"{pad}if {term.text}:")
            pad += "    "
        lines.append(f"{pad}hits.append({index})")
        return lines

    def _price(self, term: _Code) -> int:
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
        name, segments = found
        scalar = self.scalar(name)
        if scalar is not None:
            variable = scalar[0]
            code = "()" if segments else f"({variable},) if {variable} is not None else ()"
            return self.bind(f"leaves {path}", code, (variable,))
        root = self._root(name)
        extract = self.constant(extractor(segments, last_segment(name)))
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
            code = f"{self.function(derived.compute)}({', '.join(('e', *bodies))})"
            guards = {self._attribute(key): values for key, values in derived.only.items()}
            if guards:
                tests = (f"{key} in {self.constant(values)}" for key, values in guards.items())
                code = f"{code} if {' and '.join(tests)} else None"
            return self.bind(f"root {name}", code, (*guards, *bodies), _DERIVE)
        variable = self._attribute(name)
        if attribute.kind != "body":
            return variable
        decode = self.function(self._schema.decode)
        code = f"{decode}({variable}) if {variable} else None"
        return self.bind(f"root {name}", code, (variable,), _DECODE)

    def _attribute(self, name: str) -> str:
        *structs, last = self._schema.attributes[name].path
        owner = "e"
        for step in structs:
            default = self.function(self._schema.defaults[step])
            owner = self.bind(f"struct {step}", f"{owner}.{step} or {default}")
        return self.bind(f"attribute {name}", f"{owner}.{last}", () if owner == "e" else (owner,))


class _ElementScope(_Scope):
    """The body of a loop over list elements: paths start at the element."""

    @override
    def leaves(self, path: str) -> str:
        extract = self.constant(extractor(split(path)))
        return self.bind(f"leaves {path}", f"{extract}(item)")

    def lines(self) -> list[str]:
        return [f"        {b.name} = {b.code}" for b in self._bindings.values()]


def _join(terms: list[_Code]) -> str:
    return " and ".join(term.text for term in sorted(terms, key=lambda term: term.cost))


def _conjuncts(expr: ir.Expr, scope: _Scope) -> list[_Code]:
    terms = expr.terms if isinstance(expr, ir.AllOf) else (expr,)
    return [_emit(term, scope) for term in terms]


def _emit(expr: ir.Expr, scope: _Scope) -> _Code:
    match expr:
        case ir.AllOf(terms):
            return _combine([_emit(term, scope) for term in terms], " and ", "True")
        case ir.AnyOf(terms):
            return _combine([_emit(term, scope) for term in terms], " or ", "False")
        case ir.Not(term):
            inner = _emit(term, scope)
            return _Code(f"not ({inner.text})", inner.reads, inner.cost + 1)
        case ir.Test(path, op):
            return _test(path, op, scope)
        case ir.Anywhere(op):
            return _any_text(scope.everything(), op, scope)
        case ir.Each(path, term):
            return _each(path, term, scope)


def _combine(terms: list[_Code], operator: str, empty: str) -> _Code:
    if not terms:
        return _Code(empty)
    ordered = sorted(terms, key=lambda term: term.cost)
    reads = frozenset().union(*(term.reads for term in terms))
    return _Code(
        f"({operator.join(term.text for term in ordered)})",
        reads,
        max(term.cost for term in terms) + 1,
    )


def _each(path: str, term: ir.Expr, scope: _Scope) -> _Code:
    items = scope.leaves(path)
    inner = _ElementScope(scope.constants)
    condition = _emit(term, inner)
    name = f"each{len(scope.constants)}"
    source = "\n".join(
        [
            f"def {name}(items):",
            "    for item in items:",
            *inner.lines(),
            f"        if {condition.text}:",
            "            return True",
            "    return False",
            "",
        ]
    )
    _define(source, name, f"<{name} {path!r}>", scope.constants)
    return _Code(f"{name}({items})", frozenset({items}), 9)


def _test(path: str, op: ir.Operator, scope: _Scope) -> _Code:
    if isinstance(op, ir.SameAs):
        left, right = scope.leaves(path), scope.leaves(op.path)
        call = f"{scope.function(related)}({left}, {right}, {op.how!r})"
        return _Code(call, frozenset({left, right}), 8)
    scalar = scope.scalar(path)
    if scalar is not None:
        return _scalar_test(scalar, op, scope)
    if isinstance(op, ir.Present):
        leaves = scope.leaves(path)
        return _Code(leaves if op.wanted else f"not {leaves}", frozenset({leaves}), 5)
    return _any_text(scope.texts(path), op, scope)


def _scalar_test(scalar: tuple[str, str], op: ir.Operator, scope: _Scope) -> _Code:
    variable, kind = scalar
    if isinstance(op, ir.Present):
        return _Code(f"{variable} is {'not ' if op.wanted else ''}None", frozenset({variable}))
    if kind == "number":
        text = f"str({variable}) if {variable} is not None else ''"
    elif isinstance(op, ir.TextIs) and op.fold:
        text = f"{variable}.lower() if {variable} else ''"
    else:
        text = f"{variable} or ''"
    bound = scope.bind(text, text, (variable,))
    test = _text_code(bound, op, scope)
    if text_test(op)(""):
        # The empty text satisfies the operator, a missing field does not.
        return _Code(f"({variable} is not None and {test.text})", test.reads | {variable}, 2)
    return test


def _any_text(texts: str, op: ir.Operator, scope: _Scope) -> _Code:
    """Return the test whether some text of a list satisfies `op`."""
    source = scope.folded(texts) if isinstance(op, ir.TextIs) and op.fold else texts
    reads = frozenset({source if source.isidentifier() else texts})
    if isinstance(op, ir.TextIs) and op.how == "equals":
        wanted = scope.constant(frozenset(op.texts))
        return _Code(f"not {wanted}.isdisjoint({source})", reads, 5)
    if isinstance(op, ir.TextIs | ir.Pattern):
        one = _text_code("t", op, scope)
        return _Code(f"any([{one.text} for t in {source}])", reads, one.cost + 5)
    test = scope.constant(text_test(op))
    return _Code(f"any(map({test}, {source}))", reads, 9)


def _text_code(variable: str, op: ir.Operator, scope: _Scope) -> _Code:
    """Return the test of one text; with `fold`, the variable's text is in lower case already."""
    reads = frozenset({variable})
    match op:
        case ir.TextIs("equals", (only,)):
            return _Code(f"{variable} == {only!r}", reads)
        case ir.TextIs("equals", texts):
            return _Code(f"{variable} in {scope.constant(frozenset(texts))}", reads)
        case ir.TextIs("contains", texts):
            found = " or ".join(f"{text!r} in {variable}" for text in texts)
            return _Code(f"({found})", reads, 2)
        case ir.TextIs(how, texts):
            return _Code(f"{variable}.{how}({texts!r})", reads, 1)
        case ir.Pattern(regex):
            search = scope.constant(searcher(regex))
            return _Code(f"{search}({variable}) is not None", reads, 4)
        case _:
            return _Code(f"{scope.constant(text_test(op))}({variable})", reads, 4)
