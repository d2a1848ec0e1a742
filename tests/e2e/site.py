"""A control plane and the Tocsin that it reports to, and what tests ask of the two."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.controlplane.harness import ControlPlane
from tests.e2e.tocsin import MARKER, MARKER_RULE, Tocsin
from tocsin.model.alert import SEVERITIES, Alert, Severity
from tocsin.model.ports import StoredAlert

# How long an alert is waited for: what comes late is told from what never comes.
PATIENCE_SECONDS: Final = 15.0


@dataclass(slots=True)
class Site:
    """A control plane and the Tocsin that it reports to, where the cluster is called `name`."""

    policy: str
    name: str
    cluster: ControlPlane
    tocsin: Tocsin
    at_startup: list[Alert] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def settle(self) -> int:
        """Wait until all requests so far are evaluated; return the last alert's number."""
        name = f"{MARKER}{next(self._numbers)}"
        with self.cluster.api() as http:
            http.get(f"/api/v1/namespaces/default/configmaps/{name}")
        self.wait_for(lambda alert: alert.target.name == name)
        return max(stored.seq for stored in self.tocsin.alerts())

    def wait_for(
        self, fits: Callable[[Alert], bool], after: int = 0, timeout: float = PATIENCE_SECONDS
    ) -> StoredAlert:
        """Wait for an alert; TimeoutError tells what came instead."""
        with self.tocsin.store() as store:

            def found() -> StoredAlert | None:
                known = store.follow(after, 100_000)
                return next((stored for stored in known if fits(stored.alert)), None)

            try:
                return self.cluster.wait(found, "an alert", timeout)
            except TimeoutError as error:
                error.add_note(f"instead: {shown(self.alerts(after)) or 'none'}")
                error.add_note(self.tocsin.last_words)
                raise

    def alerts(self, after: int = 0) -> list[Alert]:
        """Return the alerts after a number, without those of markers."""
        stored = (one.alert for one in self.tocsin.alerts(after))
        return [alert for alert in stored if alert.rule.id != MARKER_RULE["id"]]


def undelivered(cluster: ControlPlane) -> list[str]:
    """Return the API server's own count of events that it gave up."""
    with cluster.api() as http:
        samples = http.get("/metrics").raise_for_status().text.splitlines()
    return [
        sample
        for sample in samples
        if sample.startswith("apiserver_audit_error_total") and not sample.endswith(" 0")
    ]


def at_least(severity: Severity, alert: Alert) -> bool:
    return SEVERITIES.index(alert.rule.severity) >= SEVERITIES.index(severity)


def shown(alerts: Iterable[Alert]) -> str:
    """Return severity and rule of alerts, and how often each came."""
    found = Counter(
        f"{alert.rule.severity} {Path(alert.rule.source).stem}"
        for alert in sorted(alerts, key=lambda alert: -SEVERITIES.index(alert.rule.severity))
    )
    return ", ".join(f"{text} x{count}" if count > 1 else text for text, count in found.items())


def loud(alerts: Iterable[Alert]) -> list[tuple[str, str | None, str]]:
    """Return what an operator would have looked at."""
    return [
        (shown([alert]), alert.actor.user, alert.description)
        for alert in alerts
        if at_least("medium", alert)
    ]
