"""What is left of a rule's condition once something is known of the request and its record.

A test is decided only where it comes out the same for every such event, so a condition that
becomes false can truly not hold.
"""

from collections.abc import Iterable, Iterator

import msgspec

from tocsin.auditpolicy.kinds import OTHER, Kind
from tocsin.auditpolicy.policy import Level, Stage
from tocsin.rules import ir
from tocsin.rules.operators import text_test
from tocsin.rules.schema import Schema

BODIES = ("requestObject", "responseObject")

# Which bodies an event of a level, and of a stage, can hold.
_OF_LEVEL: dict[Level, frozenset[str]] = {
    "None": frozenset(),
    "Metadata": frozenset(),
    "Request": frozenset(BODIES[:1]),
    "RequestResponse": frozenset(BODIES),
}
_OF_STAGE: dict[Stage, frozenset[str]] = {
    "RequestReceived": frozenset(),
    "ResponseStarted": _OF_LEVEL["Request"],
    "ResponseComplete": _OF_LEVEL["RequestResponse"],
    "Panic": _OF_LEVEL["RequestResponse"],
}
_OF_RESPONSE = ("outcome", "responseStatus")


class Conditions(msgspec.Struct, frozen=True):
    """What a policy rule asks of a request besides its kind; an empty tuple asks nothing.

    The user is one of `users` and in one of `groups`; "" in `namespaces` is none.
    """

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything is asked."""
        return self != Conditions()


class Assumed(msgspec.Struct, frozen=True):
    """What is known of an event: the kind of its request, and how it was recorded.

    Without a level or a stage, it may be the one that holds most.
    """

    schema: Schema
    kind: Kind
    level: Level | None = None
    stage: Stage | None = None
    conditions: Conditions = Conditions()

    def outcome(self, test: ir.Test | ir.Each) -> bool | None:
        """Return what a test comes to, None if that depends on more than is known."""
        if self.lacks(test):
            return when_missing(test)
        if isinstance(test, ir.Each) or isinstance(test.op, ir.SameAs):
            return None
        return self._of_field(test.path, test.op)

    def lacks(self, test: ir.Test | ir.Each) -> bool:
        """Return whether no such event has a value that the test needs."""
        paths = [test.path]
        if isinstance(test, ir.Test) and isinstance(test.op, ir.SameAs):
            paths.append(test.op.path)
        return any(self._is_missing(path) for path in paths)

    def _is_missing(self, path: str) -> bool:
        found = self.schema.locate(path)
        if found is None:
            return True
        if self.stage == "RequestReceived" and found.name.startswith(_OF_RESPONSE):
            return True
        if self.kind.resource is None and found.name.startswith("objectRef"):
            return True
        derived = self.schema.derived.get(found.name)
        if derived is not None and not derived.possible(self._key()):
            return True
        needed = bodies(path, self.schema)
        return bool(needed) and needed.isdisjoint(self.present)

    @property
    def present(self) -> frozenset[str]:
        """The bodies that such an event can hold."""
        level, stage = self.level or "RequestResponse", self.stage or "ResponseComplete"
        return _OF_LEVEL[level] & _OF_STAGE[stage]

    def _key(self) -> dict[str, str | None]:
        kind = self.kind
        values = (kind.verb, kind.resource, kind.subresource)
        return dict(zip(self.schema.key, values, strict=True))

    def _of_field(self, path: str, op: ir.Operator) -> bool | None:
        single = {
            "verb": self.kind.verb,
            "objectRef.apiGroup": self.kind.api_group or None,
            "objectRef.resource": self.kind.resource,
            "objectRef.subresource": self.kind.subresource,
        }
        if path in single:
            return on_text(op, single[path])
        recorded = {"level": self.level, "stage": self.stage}
        if (text := recorded.get(path)) is not None:
            return on_text(op, text)
        if path == "requestURI":
            return _on_uri(op, self.kind.path)
        return self._of_condition(path, op)

    def _of_condition(self, path: str, op: ir.Operator) -> bool | None:
        asked = self.conditions
        match path:
            case "user.username":
                return _agreed(op, asked.users)
            case "objectRef.namespace":
                return _agreed(op, asked.namespaces)
            case "objectRef.name":
                return _agreed(op, asked.names)
            case "user.groups":
                # Whoever is in one of them may be in others, which a test may look for.
                return _agreed(op, asked.groups) or None
            case _:
                return None


def on_text(op: ir.Operator, value: str | None) -> bool | None:
    """Return what a test of a single text comes to; OTHER is any text that nobody names."""
    if isinstance(op, ir.Present):
        return (value is not None) is op.wanted
    if value is None:
        return False
    if value == OTHER:
        return False if isinstance(op, ir.TextIs) and op.how == "equals" else None
    return text_test(op)(value)


def _agreed(op: ir.Operator, values: Iterable[str]) -> bool | None:
    """Return what a test comes to if it is the same for all values."""
    outcomes = {on_text(op, value or None) for value in values}
    return outcomes.pop() if len(outcomes) == 1 else None


def _on_uri(op: ir.Operator, path: str | None) -> bool | None:
    """Return what a test of the URI comes to, of which the part before `?` may be known."""
    if not isinstance(op, ir.TextIs) or op.how not in ("equals", "startswith"):
        return None
    if path is None:
        return None if any(map(_may_begin_a_resource, op.texts)) else False
    if path.endswith("*"):
        return False if op.how == "equals" else None
    path = path.lower() if op.fold else path
    if any(text.partition("?")[0] == path for text in op.texts):
        return None
    return op.how == "startswith" and path.startswith(op.texts)


def _may_begin_a_resource(text: str) -> bool:
    """Return whether the URI of a resource can begin so: `/api`, however it is written."""
    bare = text.lstrip("/")
    return "%" in bare or bare.startswith("api") or "api".startswith(bare)


def when_missing(test: ir.Test | ir.Each) -> bool:
    """Return what a test comes to without a value."""
    return isinstance(test, ir.Test) and test.op == ir.Present(wanted=False)


def bodies(path: str, schema: Schema) -> frozenset[str]:
    """Return the bodies from any one of which the value at a path comes; none for metadata."""
    found = schema.locate(path)
    if found is None:
        return frozenset()
    attribute = schema.attributes.get(found.name)
    if attribute is not None:
        return frozenset({found.name} if attribute.kind == "body" else ())
    return frozenset(schema.derived[found.name].bodies)


def paths(expr: ir.Expr) -> Iterator[str]:
    """Yield the fields that a condition reads; those of list elements stand below their list."""
    match expr:
        case ir.AllOf(terms) | ir.AnyOf(terms):
            for term in terms:
                yield from paths(term)
        case ir.Not(term):
            yield from paths(term)
        case ir.Test(path, ir.SameAs(other)):
            yield from (path, other)
        case ir.Test(path) | ir.Each(path):
            yield path
        case ir.Anywhere():
            return


def texts(expr: ir.Expr, path: str) -> frozenset[str]:
    """Return the texts that a condition compares a field with, in whole or its start."""
    match expr:
        case ir.AllOf(terms) | ir.AnyOf(terms):
            return frozenset().union(*(texts(term, path) for term in terms))
        case ir.Not(term):
            return texts(term, path)
        case ir.Test(tested, ir.TextIs(how, found)):
            named = tested == path and how in ("equals", "startswith")
            return frozenset(found) if named else frozenset()
        case _:
            return frozenset()
