"""Runs the grouping of alerts over the store: a reader of its own, behind the recording.

What it wrote and how far it read are committed together. Grouping never holds detection up:
when it fails, that is a finding, and alerts go on being recorded and told.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from tocsin.incidents.case import Case, incident_of
from tocsin.incidents.group import place
from tocsin.incidents.identities import Shared
from tocsin.incidents.memory import Span
from tocsin.incidents.summary import Summary
from tocsin.model.ports import StoredAlert, StoreUnavailable
from tocsin.store.sqlite import SqliteStore
from tocsin.store.sqlite.grouping import GroupingBatch

BATCH = 200
FACT_SECONDS = 3 * 86400.0

_FINDING = ("incidents", "grouping")
_CONTROLLERS = "system:serviceaccount:kube-system:"

log = logging.getLogger(__name__)


class GroupingMetrics:
    """What is counted of incidents."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.open = Gauge(
            "tocsin_incidents_open",
            "Incidents that are not closed, by severity.",
            ["severity"],
            registry=registry,
        )
        self.grouped = Counter(
            "tocsin_incidents_alerts", "Alerts looked at to find their incident.", registry=registry
        )
        self.failed = Counter(
            "tocsin_incidents_failed",
            "Alerts whose incident could not be found for a fault of Tocsin.",
            registry=registry,
        )
        self.lag = Gauge(
            "tocsin_incidents_lag_alerts", "Alerts not looked at yet.", registry=registry
        )


def shared_identities(sets: Mapping[str, Sequence[str]]) -> Shared:
    """Return the identities that do not tie alerts together, from the named sets."""
    accounts = sets["controller_service_accounts"]
    return Shared([*sets["shared_identities"], *(_CONTROLLERS + name for name in accounts)])


class Grouping:
    """Puts recorded alerts into incidents, a batch at a time."""

    def __init__(
        self, store: SqliteStore, shared: Shared, metrics: GroupingMetrics | None = None
    ) -> None:
        self._store = store
        self._shared = shared
        self._metrics = metrics or GroupingMetrics(CollectorRegistry())

    def step(self, now: float) -> bool:
        """Group a batch of alerts; return whether there were any.

        Raises:
            StoreUnavailable: nothing was changed.
        """
        waiting = self._store.incidents.grouping.waiting()
        self._metrics.lag.set(waiting)
        if not waiting:
            return False
        try:
            self._group(BATCH, now)
        except StoreUnavailable:
            raise
        except Exception:  # a fault of ours must cost one alert its incident, not all of them
            log.exception("alerts could not be grouped together")
            self._one_by_one(now)
        return True

    def tend(self, now: float) -> None:
        """Refresh the metrics, and forget what is not needed any more."""
        for severity, count in self._store.incidents.open_by_severity().items():
            self._metrics.open.labels(severity).set(count)
        self._store.incidents.grouping.forget_facts(now - FACT_SECONDS)

    def _one_by_one(self, now: float) -> None:
        for _ in range(BATCH):
            try:
                if not self._group(1, now):
                    return
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - told in full by _skip
                self._skip(error, now)

    def _skip(self, fault: Exception, now: float) -> None:
        """Leave the next alert without an incident, and say so."""
        with self._store.incidents.grouping.batch(1) as batch:
            left = [stored.alert.id for stored in batch.alerts]
        log.error("alert without an incident: %s", left, exc_info=fault)
        self._metrics.failed.inc()
        message = (
            f"an alert could not be put into an incident ({type(fault).__name__}): "
            f"{', '.join(left)}; it is recorded and told all the same"
        )
        self._store.health.report(*_FINDING, message, now)

    def _group(self, limit: int, now: float) -> int:
        with self._store.incidents.grouping.batch(limit) as batch:
            memory = _Memory(batch, now)
            for stored in batch.alerts:
                place(stored, self._shared, memory, now)
            memory.save()
        self._metrics.grouped.inc(len(batch.alerts))
        return len(batch.alerts)


class _Memory:
    """`tocsin.incidents.memory.Memory` on the open transaction; cases are written at its end."""

    def __init__(self, batch: GroupingBatch, now: float) -> None:
        self._batch = batch
        self._now = now
        self._cases: dict[str, Case] = {}
        self._changed: set[str] = set()

    def case(self, incident_id: str) -> Case:
        """Return an incident to be changed; what is changed is kept."""
        found = self._cases.get(incident_id) or self._load(incident_id)
        if found is None:
            message = f"incident {incident_id} has links but is not there"
            raise LookupError(message)
        return found

    def open(self, case: Case) -> Case:
        """Keep a new incident and return it; if there is one of this id, return that."""
        found = self._cases.get(case.id) or self._load(case.id)
        return found or self._cases.setdefault(case.id, case)

    def join(self, case: Case, stored: StoredAlert) -> bool:
        """Put an alert into an incident; return False if it was there."""
        joined = self._batch.join(case.id, stored)
        if joined:
            self._changed.add(case.id)
        return joined

    def move(self, source: Case, target: Case) -> int:
        """Move all that is known of one incident to another, and end it."""
        self._cases.pop(source.id)
        self._changed.discard(source.id)
        self._changed.add(target.id)
        return self._batch.move(source.id, target.id)

    def spans(self, link: bytes, first: float, last: float) -> list[Span]:
        """Return the spans of a link that touch a time."""
        return [Span(*row) for row in self._batch.spans(link, first, last)]

    def widen(
        self, link: bytes, case: Case, first: float, last: float, old: Iterable[Span]
    ) -> None:
        """Put one span in the place of others."""
        self._batch.replace_spans([span.row for span in old], link, case.id, first, last)

    def facts(self, link: bytes, first: float, last: float) -> list[StoredAlert]:
        """Return the facts that have a link, of a time that includes its borders."""
        return self._batch.facts(link, first, last)

    def remember(self, links: Sequence[bytes], time: float, stored: StoredAlert) -> None:
        """Keep the links of a fact."""
        self._batch.remember(links, time, stored)

    def save(self) -> None:
        """Write what was changed."""
        for incident_id in sorted(self._changed):
            case = self._cases[incident_id]
            summary = msgspec.json.encode(case.summary)
            self._batch.save(incident_of(case, self._now), summary, case.entries)

    def _load(self, incident_id: str) -> Case | None:
        found = self._batch.load(incident_id)
        if found is None:
            return None
        incident, summary = found
        case = Case(
            id=incident.id,
            cluster=incident.cluster,
            opened=incident.opened,
            summary=msgspec.json.decode(summary, type=Summary),
            state=incident.state,
            verdict=incident.verdict,
            owner=incident.owner,
            pinned=incident.pinned,
        )
        self._cases[incident_id] = case
        return case
