"""Alerts for tests of grouping, and a store to group them in."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.unit.store.samples import make_alert
from tocsin.incidents.identities import Shared
from tocsin.model.alert import Actor, Alert, EventRef, RuleRef, Severity, Target, Technique
from tocsin.model.incident import Incident, IncidentFilter
from tocsin.runtime.grouping import Grouping
from tocsin.store.sqlite import SqliteStore, own_store

SHARED = Shared(["system:anonymous", "system:node:*", "system:kube-controller-manager"])
EVERYTHING = IncidentFilter()
START = datetime(2026, 11, 23, 10, tzinfo=UTC)


def alert(  # noqa: PLR0913 - what tests vary
    name: str,
    minute: float = 0,
    user: str | None = "alice",
    did: str = "did something odd",
    severity: Severity = "medium",
    *,
    target: Target | None = None,
    address: str = "203.0.113.9",
    credential: str | None = None,
    attack: tuple[Technique, ...] = (),
    rule: str = "rule",
    cluster: str = "prod",
    fields: Mapping[str, object] | None = None,
) -> Alert:
    """Return an alert so many minutes after the start."""
    stamp = (START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return make_alert(
        name,
        time=stamp,
        cluster=cluster,
        rule=RuleRef(rule, rule.capitalize(), "sigma", severity, severity, attack=attack),
        description=f"{user} {did}" if user else did,
        actor=Actor(user, source_ips=(address,), credential=credential),
        target=target or Target(),
        event=EventRef(f"request-{name}"),
        fields=dict(fields or {}),
        evidence=[f"digest-{name}"],
    )


def pod(namespace: str, name: str, verb: str = "create") -> Target:
    return Target(verb, "", "pods", None, namespace, name)


@contextmanager
def new_store() -> Iterator[SqliteStore]:
    with TemporaryDirectory() as folder, own_store(Path(folder) / "t.db", {}, 1000.0) as store:
        yield store


def group(store: SqliteStore, *alerts: Alert, unproven: Iterable[Alert] = ()) -> list[Incident]:
    """Record alerts, group them, and return all incidents, latest activity first."""
    store.record(alerts, {}, 1000.0, unauthenticated=list(unproven))
    grouping = Grouping(store, SHARED)
    while grouping.step(1000.0):
        pass
    return store.incidents.incidents(EVERYTHING, 1000)


def members(store: SqliteStore, incident: Incident) -> set[str]:
    return {stored.alert.id for stored in store.incidents.alerts_of(incident.id, 1000)}


def partition(store: SqliteStore) -> set[frozenset[str]]:
    found = store.incidents.incidents(EVERYTHING, 1000)
    return {frozenset(members(store, incident)) for incident in found}
