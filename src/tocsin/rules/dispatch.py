"""Index a rule set by verb, resource and subresource, so that an event meets few rules.

For each kind of request seen, the tests on those three fields are decided once and the
rest is compiled. What an attacker may choose must not make this grow: a value that no rule
can tell from others counts as OTHER, and past a limit events share one function that tests
everything at run time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from tocsin.rules import ir
from tocsin.rules.compile import Bucket, Entry, Hits, Key, compile_bucket, compile_entry
from tocsin.rules.interpret import EventView, matches
from tocsin.rules.operators import text_test
from tocsin.rules.schema import Derived, Schema
from tocsin.rules.simplify import FALSE, assume, simplify

# Kinds of request with a function of their own; real clusters show some hundreds.
MAX_BUCKETS = 2048
MAX_KEYS = 8192
# No verb or resource is this long; such a request must not take up the index's memory.
MAX_KEY_TEXT = 1024

# Stands for all values that no rule tells apart; known by identity, its text means nothing.
OTHER = "*"


@dataclass(slots=True)
class DispatchStats:
    """What the index did, for metrics."""

    buckets: int = 0
    generic_calls: int = 0
    faults: int = 0


class RuleSet:
    """Compiled rules; `match_all` is the hot path of the whole product."""

    def __init__(self, rules: Sequence[ir.Rule], schema: Schema) -> None:
        self.rules = tuple(rules)
        self.schema = schema
        self.stats = DispatchStats()
        self.faulty: dict[str, int] = {}
        self._conditions = [simplify(rule.match) for rule in self.rules]
        self._fields = [
            _KeyField(
                [test for c in self._conditions for test in _tests(c, name)],
                [derived.only.get(name, frozenset()) for derived in schema.derived.values()],
            )
            for name in schema.key
        ]
        # One function for the rules that look at every event, shared by all kinds of request:
        # code that runs all the time stays in the processor's cache.
        self._everywhere, self._entry = self._compile_entry()
        self._functions: dict[Key, Bucket] = {}
        self._canonical: dict[Key, Bucket] = {}
        self._generic: Bucket | None = None

    def _compile_entry(self) -> tuple[frozenset[int], Entry]:
        """Return the indices of the rules for all kinds of request, and their function."""
        rules = [(i, c) for i, c in enumerate(self._conditions) if self._is_for_all(c)]
        try:
            return frozenset(i for i, _ in rules), compile_entry(rules, self.schema, "all")
        except Exception:  # noqa: BLE001 - then they are compiled with the others, or not at all
            return frozenset(), compile_entry([], self.schema, "all")

    def match(self, event: msgspec.Struct) -> list[int]:
        """Return the indices of the rules that match an event."""
        return [hit for _, hits in self.match_all([event]) for hit in hits]

    def match_all(self, events: Iterable[msgspec.Struct]) -> list[tuple[int, list[int]]]:
        """Return the index of each event that rules match, and the indices of these rules."""
        matched = []
        entry, functions = self._entry, self._functions
        for index, event in enumerate(events):
            hits: Sequence[int]
            try:
                hits, key = entry(event)
                function = functions.get(key)
                if function is None:
                    function = self._function(key)
                if function is not _no_rules:
                    hits += function(event)
            except Exception:  # noqa: BLE001 - a fault in one rule must not hide the others
                hits = self._match_slowly(event)
            if hits:
                matched.append((index, sorted(hits)))
        return matched

    def key(self, event: msgspec.Struct) -> Key:
        """Return what an event is indexed by."""
        return self._entry(event)[1]

    def candidates(self, key: Key) -> int:
        """Return how many rules are left to test on events with this key."""
        return len(self._everywhere) + len(self._residual(self._canonical_key(key)))

    def _function(self, key: Key) -> Bucket:
        if sum(len(part) for part in key if part) > MAX_KEY_TEXT:
            return self._generic_function()
        canonical = self._canonical_key(key)
        function = self._canonical.get(canonical)
        if function is None:
            function = self._build(canonical)
        if len(self._functions) < MAX_KEYS:
            self._functions[key] = function
        return function

    def _build(self, key: Key) -> Bucket:
        if len(self._canonical) >= MAX_BUCKETS:
            self.stats.generic_calls += 1
            return self._generic_function()
        residual = self._residual(key)
        name = "/".join(part or "-" for part in key)
        function = compile_bucket(residual, self.schema, name) if residual else _no_rules
        self._canonical[key] = function
        self.stats.buckets += 1
        return function

    def _residual(self, key: Key) -> list[tuple[int, ir.Expr]]:
        """Return what is left of each rule that can match events of this kind."""
        known = dict(zip(self.schema.key, key, strict=True))
        rests = (
            (index, assume(condition, lambda test: self._outcome(test, known)))
            for index, condition in self._indexed()
        )
        return [(index, rest) for index, rest in rests if rest != FALSE]

    def _indexed(self) -> Iterator[tuple[int, ir.Expr]]:
        """Yield the conditions that are not for all kinds of request alike."""
        return (
            (index, condition)
            for index, condition in enumerate(self._conditions)
            if index not in self._everywhere
        )

    def _is_for_all(self, condition: ir.Expr) -> bool:
        """Whether no kind of request can decide anything about a condition."""
        decided = False

        def look(test: ir.Test | ir.Each) -> None:
            nonlocal decided
            derived = self._derived(test.path)
            decided |= test.path in self.schema.key or (derived is not None and bool(derived.only))

        assume(condition, look)
        return not decided

    def _outcome(self, test: ir.Test | ir.Each, known: dict[str, str | None]) -> bool | None:
        """Return what a test comes to for all events of one kind, None if that depends."""
        if isinstance(test, ir.Test) and test.path in known:
            return _on_key(test.op, known[test.path])
        derived = self._derived(test.path)
        if derived is None or derived.possible(known):
            return None
        return isinstance(test, ir.Test) and test.op == ir.Present(wanted=False)

    def _derived(self, path: str) -> Derived | None:
        found = self.schema.locate(path)
        return self.schema.derived.get(found.name) if found else None

    def _canonical_key(self, key: Key) -> Key:
        return tuple(  # type: ignore[return-value]
            field.canonical(value) for field, value in zip(self._fields, key, strict=True)
        )

    def _generic_function(self) -> Bucket:
        if self._generic is None:
            self._generic = compile_bucket(self._indexed(), self.schema, "generic")
        return self._generic

    def _match_slowly(self, event: msgspec.Struct) -> list[int]:
        """Evaluate rule by rule; a rule that fails counts as faulty and does not match."""
        self.stats.faults += 1
        view = EventView(event, self.schema)
        hits = []
        for index, condition in enumerate(self._conditions):
            try:
                if matches(condition, view):
                    hits.append(index)
            except Exception:  # noqa: BLE001 - counted per rule
                rule = self.rules[index].id
                self.faulty[rule] = self.faulty.get(rule, 0) + 1
        return hits


def _no_rules(event: msgspec.Struct) -> Hits:
    del event
    return ()


class _KeyField:
    """Which values of one key field the rules can tell apart."""

    def __init__(self, tests: list[ir.Operator], special: Iterable[frozenset[str | None]]) -> None:
        self._literals: set[str] = {v for values in special for v in values if v is not None}
        self._others: list[Callable[[str], bool]] = []
        for op in tests:
            if isinstance(op, ir.TextIs) and op.how == "equals":
                self._literals.update(op.texts)
            elif not isinstance(op, ir.Present | ir.SameAs):
                self._others.append(text_test(op))

    def canonical(self, value: str | None) -> str | None:
        """Return the value itself if some rule treats it specially, else OTHER."""
        if value is None or value in self._literals or value.lower() in self._literals:
            return value
        return value if any(test(value) for test in self._others) else OTHER


def _tests(expr: ir.Expr, path: str) -> Iterator[ir.Operator]:
    match expr:
        case ir.AllOf(terms) | ir.AnyOf(terms):
            for term in terms:
                yield from _tests(term, path)
        case ir.Not(term):
            yield from _tests(term, path)
        case ir.Test():
            if expr.path == path:
                yield expr.op
        case ir.Each() | ir.Anywhere():
            return


def _on_key(op: ir.Operator, value: str | None) -> bool | None:
    """Return what a test on a key field comes to, None if it cannot be told yet."""
    if isinstance(op, ir.SameAs):
        return None
    if isinstance(op, ir.Present):
        return (value is not None) is op.wanted
    if value is None or value is OTHER:
        return False
    return text_test(op)(value)
