"""The watcher process: is the line alive, and who is told when it is not.

It reads what the detector stores of the line and asks API servers where it may. Apart from the
detector, so that it notices as well when that one stops.
"""

import logging
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain

from prometheus_client import CollectorRegistry

from tocsin.connect.clusters import load_clusters
from tocsin.ingest.seal import load_or_create_key
from tocsin.lifeline import conditions, health
from tocsin.lifeline.health import Condition
from tocsin.lifeline.presence import decode_node
from tocsin.model.alert import Alert
from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoreUnavailable
from tocsin.runtime.child import Link
from tocsin.runtime.config import Config
from tocsin.runtime.expiry import expiring_certificates
from tocsin.runtime.hiding import silenced
from tocsin.runtime.joining import join_when_ready
from tocsin.runtime.metrics import exposition
from tocsin.runtime.probe import Probe
from tocsin.runtime.report import Report
from tocsin.runtime.watchmetrics import WatchMetrics
from tocsin.store.sqlite import SqliteStore

LOOK_SECONDS = 2.0
# Certificates end once a year.
EXPIRY_SECONDS = 600.0
_DISK_FACTOR = 2

log = logging.getLogger(__name__)


class Watcher:
    """Looks at the line again and again, and keeps findings and alerts in step with it."""

    def __init__(self, config: Config, store: SqliteStore, metrics: WatchMetrics) -> None:
        self._config = config
        self._store = store
        self._metrics = metrics
        self._started = time.time()
        key = load_or_create_key(config.key_path)
        self.probes = [
            Probe(cluster, access, key, store.sources)
            for cluster, access in config.api_servers.items()
        ]
        self._told: set[str] = set()
        self._expiring: list[Condition] = []
        self._next_expiry = 0.0

    def look(self, now: float) -> None:
        """Look once: report, alert and clear.

        Raises:
            StoreUnavailable: the store cannot be read or written now.
        """
        findings = self._store.health.findings()
        ours = {one.key: one for one in findings if one.kind == health.KIND}
        standing = {key: one.since for key, one in ours.items()}
        revoked = self._revoked()
        found = {
            one.key: one
            for one in self._conditions(now, standing)
            # Nobody expects to hear of a cluster that is refused.
            if not (one.cluster in revoked and one.key.startswith(health.SILENT))
        }
        for key, condition in found.items():
            if key not in ours or ours[key].message != condition.message:
                self._store.health.report(health.KIND, key, condition.message, now)
        begun = [
            health.alert_of(condition, standing.get(key, now))
            for key, condition in found.items()
            if condition.alert
        ]
        ended = [one for key, one in ours.items() if key not in found]
        others = [health.alert_of_finding(one) for one in findings]
        recovered = [
            alert
            for one in ended
            if (alert := health.recovery_of(one, now)) and alert.cluster not in revoked
        ]
        self._tell([one for one in chain(begun, others, recovered) if one], now)
        for finding in ended:
            self._store.health.clear(health.KIND, finding.key)

    def _tell(self, alerts: list[Alert], now: float) -> None:
        """Record the alerts that are new; one that stands already is known by its id."""
        fresh = [alert for alert in alerts if alert.id not in self._told]
        if fresh and self._config.watch.alerts:
            hidden = silenced(self._store, fresh, now)
            for alert in self._store.record(fresh, {}, now, hidden=hidden):
                log.warning("%s", alert.description)
        self._told = {alert.id for alert in alerts}

    def _conditions(self, now: float, standing: Mapping[str, float]) -> Iterator[Condition]:
        watch = self._config.watch
        sources = self._store.sources.sources()
        stored = self._store.sources.nodes()
        nodes = {key: decode_node(state) for key, state in stored.items()}
        heard = {one.cluster: one for one in self._store.sources.canaries()}
        yield from conditions.silent_sources(
            sources, now, self._started, watch.silent_after, standing
        )
        yield from conditions.outages(nodes, now, watch.settle_after)
        yield from conditions.wrong_clocks(sources, now)
        yield from conditions.stale_posts(sources, now)
        for probe in self.probes:
            last = heard[probe.cluster].sent if probe.cluster in heard else 0.0
            yield from conditions.silent_canary(
                probe.cluster, list(probe.sent), last, now, standing
            )
            yield from conditions.unsent_canary(
                probe.cluster, probe.failing_since, probe.error, now
            )
            yield from conditions.dropped_events(probe.cluster, probe.losses, now)
        yield from self._full_disk()
        yield from self._ending_certificates(now)
        self._metrics.show(sources, nodes, heard.values(), self.probes, now)

    def _revoked(self) -> set[str]:
        try:
            known = load_clusters(self._config.folder).clusters
        except TocsinError as error:
            log.warning("the list of clusters cannot be read: %s", error)
            return set()
        return {name for name, cluster in known.items() if cluster.revoked}

    def _full_disk(self) -> Iterator[Condition]:
        least = self._config.spool.min_free_bytes
        if shutil.disk_usage(self._config.folder).free < _DISK_FACTOR * least:
            yield Condition(
                f"{health.DISK} {self._config.folder}",
                f"less than {_DISK_FACTOR * least >> 20} MiB are free where "
                f"{self._config.folder.resolve()} lies; below {least >> 20} MiB events are refused",
            )

    def _ending_certificates(self, now: float) -> list[Condition]:
        if now >= self._next_expiry:
            self._next_expiry = now + EXPIRY_SECONDS
            try:
                found = expiring_certificates(self._config, datetime.fromtimestamp(now, UTC))
            except TocsinError as error:
                log.warning("certificates cannot be looked at: %s", error)
                return self._expiring
            self._expiring = [
                Condition(
                    f"{health.EXPIRING} {one.what}",
                    f"{one.what} expires on {one.expires:%Y-%m-%d}: {one.mend}",
                    one.cluster or "",
                    alert=one.state != "warning",
                )
                for one in found
            ]
        return self._expiring


def watch(link: Link, config: Config) -> None:
    """Watch until told to stop."""
    registry = CollectorRegistry()
    metrics = WatchMetrics(registry)
    problem: list[str] = []
    link.report_regularly(
        lambda: Report(ready=not problem, reason="".join(problem), metrics=exposition(registry))
    )
    store = join_when_ready(link, config.store_path, config.lowest_severities, config.routes)
    if store is None:
        return
    with store:
        watcher = Watcher(config, store, metrics)
        threads = [
            threading.Thread(target=probe.run, args=(link.stopping,), daemon=True)
            for probe in watcher.probes
        ]
        for thread in threads:
            thread.start()
        while not link.stopping.is_set():
            try:
                watcher.look(time.time())
                problem.clear()
            except (StoreUnavailable, OSError) as error:
                problem[:] = [f"the line is not watched: {error}"]
                log.warning("%s; trying again", problem[0])
            link.stopping.wait(LOOK_SECONDS)
