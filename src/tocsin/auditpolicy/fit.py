"""Does a record of a request hold what a rule reads?

A rule is held against what a full record (both bodies, every stage) would have told it: it is
starved where its condition becomes false, and short where a test that could have held cannot.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from tocsin.auditpolicy.assume import (
    BODIES,
    Assumed,
    Conditions,
    bodies,
    on_text,
    paths,
    when_missing,
)
from tocsin.auditpolicy.kinds import Kind
from tocsin.auditpolicy.policy import STAGES, Level, Stage
from tocsin.rules import ir
from tocsin.rules.schema import Schema
from tocsin.rules.simplify import FALSE, assume, simplify

# `starved`: cannot fire; `short`: can fire, but not on all that it could; `noisy`: fires on
# more than it should, because what it excludes cannot be seen.
Verdict = Literal["fed", "noisy", "short", "starved"]
Lack = Literal["record", "stage", "body", "readable patch"]

# ResponseComplete comes first: it holds most.
_BY_CONTENT: tuple[Stage, ...] = (
    "ResponseComplete",
    *(stage for stage in STAGES if stage != "ResponseComplete"),
)
_RESPONSE = BODIES[1]


class Fit(msgspec.Struct, frozen=True):
    """What a rule can make of the record of one kind of request.

    `lack` is why not all of it, and `lacking` the bodies whose absence is felt.
    """

    verdict: Verdict
    lack: Lack | None = None
    lacking: frozenset[str] = frozenset()


class Fitting:
    """One rule, held against records of all kinds of requests; what it finds it remembers."""

    def __init__(self, rule: ir.Rule, schema: Schema) -> None:
        self._schema = schema
        self._condition = simplify(rule.match)
        self._reads = _kind_fields(self._condition, schema)
        self._by_resource: dict[str | None, bool] = {}
        self._left: dict[tuple[object, ...], ir.Expr] = {}
        self._known: dict[tuple[object, ...], Fit | None] = {}

    def concerns(self, resource: str | None) -> bool:
        """Return whether requests for a resource (None: for URLs) can be what the rule is for.

        Most rules are about few resources, so this puts most kinds aside at once.
        """
        if resource not in self._by_resource:
            left = assume(self._condition, lambda test: _on_resource(test, resource))
            self._by_resource[resource] = left != FALSE
        return self._by_resource[resource]

    def fit(
        self, kind: Kind, level: Level, omitted: frozenset[Stage], conditions: Conditions
    ) -> Fit | None:
        """Return what becomes of the rule under a level; None where it could never fire.

        Args:
            kind: what the requests have in common.
            level: how they are recorded.
            omitted: the stages of which no event is made.
            conditions: what else holds for the requests that are so recorded.
        """
        signature = self._signature(kind)
        left = self._left.get(signature)
        if left is None:
            left = assume(self._condition, Assumed(self._schema, kind).outcome)
            self._left[signature] = left
        if left == FALSE:
            return None
        key = (*signature, level, omitted, conditions)
        if key not in self._known:
            subject = _Subject(self._schema, kind, left)
            self._known[key] = subject.fit(level, omitted, conditions)
        return self._known[key]

    def _signature(self, kind: Kind) -> tuple[object, ...]:
        """Return as much of a kind as the rule can tell apart."""
        reads = self._reads
        return (
            kind.verb if "verb" in reads else kind.verb == "patch",
            kind.resource if "objectRef.resource" in reads else kind.resource is None,
            kind.subresource if "objectRef.subresource" in reads else None,
            kind.api_group if "objectRef.apiGroup" in reads else None,
            kind.path if "requestURI" in reads else None,
        )


class _Subject(msgspec.Struct, frozen=True):
    """A rule's condition for one kind of request."""

    schema: Schema
    kind: Kind
    condition: ir.Expr

    def fit(self, level: Level, omitted: frozenset[Stage], conditions: Conditions) -> Fit | None:
        """Return what `Fitting.fit` does, of this kind."""
        wanted = (stage for stage in _BY_CONTENT if self._left(stage, conditions) != FALSE)
        first = next(wanted, None)
        if first is None:
            return None
        if level == "None":
            return Fit("starved", "record")
        if first not in omitted:
            fit = self._at_stage(first, level, conditions)
            if fit.verdict != "starved":
                return fit
        else:
            fit = Fit("starved", "stage")
        others = (self._at_stage(s, level, conditions) for s in wanted if s not in omitted)
        fires = any(other.verdict != "starved" for other in others)
        return msgspec.structs.replace(fit, verdict="short") if fires else fit

    def _at_stage(self, stage: Stage, level: Level, conditions: Conditions) -> Fit:
        ideal = self._left(stage, conditions)
        assumed = Assumed(self.schema, self.kind, level, stage, conditions)
        lost = frozenset(_absent(ideal, assumed.lacks))
        if assume(ideal, assumed.outcome) == FALSE:
            return Fit("starved", "body", self._missing(lost, assumed))
        if lost:
            return Fit("short", "body", self._missing(lost, assumed))
        if self.kind.verb == "patch" and level == "Request" and self._reads_response(ideal):
            return Fit("short", "readable patch")
        spurious = frozenset(_absent(ideal, assumed.lacks, lost=False))
        if spurious:
            return Fit("noisy", "body", self._missing(spurious, assumed))
        return Fit("fed")

    def _left(self, stage: Stage, conditions: Conditions) -> ir.Expr:
        """Return the condition under a full record."""
        full = Assumed(self.schema, self.kind, stage=stage, conditions=conditions)
        return assume(self.condition, full.outcome)

    def _missing(self, paths: frozenset[str], assumed: Assumed) -> frozenset[str]:
        needed = (bodies(path, self.schema) for path in paths)
        return frozenset().union(*needed) - assumed.present

    def _reads_response(self, ideal: ir.Expr) -> bool:
        """Return whether the rule needs a field that is best taken from the response."""
        return any(_absent(ideal, lambda test: _RESPONSE in bodies(test.path, self.schema)))


def _absent(
    expr: ir.Expr,
    lacks: Callable[[ir.Test | ir.Each], bool],
    *,
    lost: bool = True,
    positive: bool = True,
) -> Iterator[str]:
    """Yield the fields whose absence keeps the rule from firing (`lost`), or makes it fire more.

    `positive` is whether the condition holds the more, the more of `expr` does. That a field
    is wanted to be absent costs nothing; only exceptions that cannot be seen make noise.
    """
    match expr:
        case ir.AllOf(terms) | ir.AnyOf(terms):
            for term in terms:
                yield from _absent(term, lacks, lost=lost, positive=positive)
        case ir.Not(term):
            yield from _absent(term, lacks, lost=lost, positive=not positive)
        case ir.Test() | ir.Each():
            helps = when_missing(expr) is positive
            if lacks(expr) and (not helps if lost else helps and not positive):
                yield expr.path
        case ir.Anywhere(_, at):
            # It searches the bodies, too.
            for body in BODIES:
                test = ir.Test(body, ir.Present(wanted=True), at)
                yield from _absent(test, lacks, lost=lost, positive=positive)


def _on_resource(test: ir.Test | ir.Each, resource: str | None) -> bool | None:
    if isinstance(test, ir.Each) or isinstance(test.op, ir.SameAs):
        return None
    return on_text(test.op, resource) if test.path == "objectRef.resource" else None


def _kind_fields(condition: ir.Expr, schema: Schema) -> frozenset[str]:
    """Return the fields that a condition reads, those included on which others depend."""
    found: set[str] = set()
    for path in paths(condition):
        located = schema.locate(path)
        if located is not None:
            found.add(located.name)
            derived = schema.derived.get(located.name)
            found.update(derived.only if derived else ())
    return frozenset(found)
