"""Who may do what: the roles and bindings of a cluster, read as the API server reads them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from typing_extensions import override

from tocsin.model.manifest import Manifest, items_at, text_at, value_at

_ALL = "*"


class Question(NamedTuple):
    """A request: may it be made?

    Attributes:
        verb: as in RBAC, such as `get`.
        resource: `pods`, or `pods/exec` with its subresource.
        group: the API group, empty for the core group.
        namespace: where; None for all namespaces or objects that lie in none.
        name: of one object; None for any.
    """

    verb: str
    resource: str
    group: str = ""
    namespace: str | None = None
    name: str | None = None


class Subject(NamedTuple):
    """Who: `User`, `Group` or `ServiceAccount`, the last with its namespace."""

    kind: str
    name: str
    namespace: str | None = None

    @override
    def __str__(self) -> str:
        """Return it as people write it."""
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


class Holder(NamedTuple):
    """Somebody who may, by which binding of which role; a namespace if only there."""

    subject: Subject
    binding: str
    role: str
    namespace: str | None


@dataclass(frozen=True, slots=True)
class Rights:
    """The RBAC objects of one cluster; the lists are as the API server answers them."""

    roles: Sequence[Manifest] = ()
    cluster_roles: Sequence[Manifest] = ()
    role_bindings: Sequence[Manifest] = ()
    cluster_role_bindings: Sequence[Manifest] = ()
    _rules: dict[tuple[str | None, str], list[Manifest]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find roles by namespace and name; cluster roles have no namespace."""
        for role in (*self.roles, *self.cluster_roles):
            place = text_at(role, "metadata", "namespace")
            name = text_at(role, "metadata", "name") or ""
            self._rules[place, name] = items_at(role, "rules")

    def who_can(self, question: Question) -> list[Holder]:
        """Return everybody who may make the request, each binding once, in order."""
        found = [*self._by(self.cluster_role_bindings, question, None)]
        for binding in self.role_bindings:
            place = text_at(binding, "metadata", "namespace")
            if question.namespace is not None and place == question.namespace:
                found += self._by([binding], question, place)
        return sorted(found, key=lambda one: (one.subject.kind, str(one.subject), one.binding))

    def _by(
        self, bindings: Iterable[Manifest], question: Question, place: str | None
    ) -> Iterator[Holder]:
        for binding in bindings:
            kind = text_at(binding, "roleRef", "kind") or ""
            role = text_at(binding, "roleRef", "name") or ""
            rules = self._rules.get((place if kind == "Role" else None, role), [])
            if any(grants(rule, question) for rule in rules):
                name = text_at(binding, "metadata", "name") or ""
                for subject in items_at(binding, "subjects"):
                    yield Holder(_subject(subject), name, f"{kind}/{role}", place)


def grants(rule: Manifest, question: Question) -> bool:
    """Return whether one rule of a role allows the request."""
    names = _texts(rule, "resourceNames")
    return (
        _covers(_texts(rule, "verbs"), question.verb)
        and _covers(_texts(rule, "apiGroups"), question.group)
        and _covers_resource(_texts(rule, "resources"), question.resource)
        and (not names or question.name in names)
    )


def _covers(allowed: Sequence[str], wanted: str) -> bool:
    return _ALL in allowed or wanted in allowed


def _covers_resource(allowed: Sequence[str], wanted: str) -> bool:
    """Return whether resources cover one; `*/scale` is a subresource of all, `pods/*` is none."""
    _, slash, subresource = wanted.partition("/")
    return _covers(allowed, wanted) or (bool(slash) and f"*/{subresource}" in allowed)


def _texts(rule: Mapping[str, object], key: str) -> list[str]:
    found = value_at(rule, key)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _subject(subject: Manifest) -> Subject:
    return Subject(
        text_at(subject, "kind") or "",
        text_at(subject, "name") or "",
        text_at(subject, "namespace"),
    )
