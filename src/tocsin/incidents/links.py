"""What ties alerts together: who acted, on what, with which credential.

A link is something that two alerts share. Most are mutual: both leave it behind and look for
it. A few go one way, from the alert that hands something out (a token, an identity) to those
that use it afterwards.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from tocsin.incidents.identities import Shared
from tocsin.incidents.timing import HANDED_SECONDS, SLACK_SECONDS, WINDOW_SECONDS
from tocsin.model.alert import Alert, Target

_ANONYMOUS = "system:anonymous"
_WORKLOADS = frozenset(
    {
        "cronjobs",
        "daemonsets",
        "deployments",
        "jobs",
        "replicasets",
        "replicationcontrollers",
        "statefulsets",
    }
)
# What a controller makes for its owner is named after it, with a suffix.
_MADE_BY_ANOTHER = frozenset({"ReplicaSet", "Job"})

Link = bytes


@dataclass(frozen=True, slots=True)
class Search:
    """A link to look for, from so many seconds before an alert until so many after it."""

    link: Link
    before: float = WINDOW_SECONDS
    after: float = WINDOW_SECONDS


@dataclass(frozen=True, slots=True)
class Links:
    """The links of one alert.

    Attributes:
        mutual: what it shares with alerts before and after it.
        left: what only others look for.
        sought: what it looks for only.
    """

    mutual: tuple[Link, ...]
    left: tuple[Link, ...] = ()
    sought: tuple[Search, ...] = ()


def is_fact(alert: Alert) -> bool:
    """Return whether an alert only notes what happens every day: it opens no incident."""
    return alert.rule.severity == "info"


def links_of(alert: Alert, shared: Shared, *, authenticated: bool) -> Links:
    """Return the links of an alert.

    Alerts of senders that proved nothing are linked among themselves only: who can forge
    events must not be able to bring the true ones into disorder. Facts hand out nothing, and
    of their identity only a credential says enough.
    """
    scope = (alert.cluster, "proven" if authenticated else "unproven")
    by_object = list(dict.fromkeys(_objects(alert)))
    mutual = [*_actors(alert, shared), *by_object]
    # One incident for what repeats itself, where nothing else tells what it belongs to.
    mutual = mutual or [("rule", alert.source, alert.rule.id, alert.actor.user or "")]
    handed, used = list(dict.fromkeys(_handed(alert))), list(_used(alert))
    if is_fact(alert):
        handed, used = [], [parts for parts in used if parts[0] == "credential"]
    return Links(
        tuple(_link(*scope, *parts) for parts in mutual),
        tuple(
            _link(*scope, way, *parts)
            for way, several in (("handed", handed), ("used", used))
            for parts in several
        ),
        tuple(_searches(scope, handed, used)),
    )


def _searches(
    scope: tuple[str, str], handed: Iterable[tuple[str, ...]], used: Iterable[tuple[str, ...]]
) -> Iterator[Search]:
    for parts in handed:
        yield Search(_link(*scope, "used", *parts), SLACK_SECONDS, HANDED_SECONDS)
    for parts in used:
        yield Search(_link(*scope, "handed", *parts), HANDED_SECONDS, SLACK_SECONDS)


def _actors(alert: Alert, shared: Shared) -> Iterator[tuple[str, ...]]:
    """Yield who acted, where that tells one from another."""
    user = alert.actor.user
    if user == _ANONYMOUS:
        for address in alert.actor.source_ips[:1]:
            yield ("address", address)
    elif user and user not in shared:
        yield ("actor", user)


def _objects(alert: Alert) -> Iterator[tuple[str, ...]]:
    """Yield the object that was touched, and the workload that it belongs to."""
    target = alert.target
    namespace = target.namespace or ""
    if target.resource and target.name:
        if target.resource in _WORKLOADS:
            yield ("workload", namespace, target.name)
        else:
            yield ("object", target.api_group or "", target.resource, namespace, target.name)
    kind, owner = _text(alert.fields.get("owner.kind")), _text(alert.fields.get("owner.name"))
    if kind and owner:
        yield ("workload", namespace, owner)
        if kind in _MADE_BY_ANOTHER and "-" in owner:
            yield ("workload", namespace, owner.rpartition("-")[0])


def _handed(alert: Alert) -> Iterator[tuple[str, ...]]:
    """Yield the credential and the identities that the request hands to somebody."""
    if issued := _text(alert.fields.get("credential.issued")):
        yield ("credential", issued)
    for user in (_token_owner(alert.target), *_named(alert)):
        if user and user != alert.actor.user:
            yield ("identity", user)


def _token_owner(target: Target) -> str | None:
    if (target.resource, target.subresource) != ("serviceaccounts", "token"):
        return None
    return _account(target.namespace or "", target.name or "")


def _named(alert: Alert) -> Iterator[str | None]:
    """Yield the identities that rights or a certificate are for, or that a new pod gets."""
    fields, namespace = alert.fields, alert.target.namespace or ""
    yield _text(fields.get("csr.subject.cn"))
    if account := _text(fields.get("podspec.serviceAccountName")):
        yield _account(namespace, account)
    if alert.target.resource == "serviceaccounts" and not alert.target.subresource:
        yield _account(namespace, alert.target.name or "")
    yield from _subjects(alert)


def _subjects(alert: Alert) -> Iterator[str]:
    """Yield the users and service accounts that a binding gives rights to."""
    kinds, names, namespaces = (
        _texts(alert.fields.get(f"requestObject.subjects.{key}"))
        for key in ("kind", "name", "namespace")
    )
    # Only service accounts have one.
    places = iter(namespaces)
    for kind, name in zip(kinds, names, strict=False):
        if kind == "User":
            yield name
        elif kind == "ServiceAccount":
            yield _account(next(places, alert.target.namespace or ""), name)


def _used(alert: Alert) -> Iterator[tuple[str, ...]]:
    if alert.actor.credential:
        yield ("credential", alert.actor.credential)
    if alert.actor.user:
        yield ("identity", alert.actor.user)


def _account(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> list[str]:
    """Return the texts of a field: an alert has a single one not as a list."""
    several = value if isinstance(value, list) else [value]
    return [text for text in several if isinstance(text, str)]


def _link(*parts: str) -> Link:
    return blake2b(msgspec.json.encode(parts), digest_size=16).digest()
