"""The watcher's metrics: all of one look together, so that no sample comes and goes."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from tocsin.lifeline.outages import missing
from tocsin.lifeline.presence import Node, NodeKey
from tocsin.model.ports import CanaryState, SourceState
from tocsin.runtime.probe import Probe

_SOURCE = ("cluster", "node", "source")


class WatchMetrics(Collector):
    """Shows the last look. Labels are bounded: names of clusters and nodes that may post."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._families: list[Metric] = []
        registry.register(self)

    @override
    def collect(self) -> list[Metric]:
        """Return the samples of the last look."""
        return self._families

    def show(
        self,
        sources: Iterable[SourceState],
        nodes: Mapping[NodeKey, Node],
        canaries: Iterable[CanaryState],
        probes: Iterable[Probe],
        now: float,
    ) -> None:
        """Replace what is shown."""
        age = _gauge("source_age_seconds", "Since the last post of a source.", *_SOURCE)
        skew = _gauge("source_skew_seconds", "Our clock less that of the events.", *_SOURCE)
        for state in sources:
            labels = [state.cluster, state.node or "", state.source]
            age.add_metric(labels, now - state.last_received)
            skew.add_metric(labels, state.skew)
        lost = _gauge("missing_seconds", "Seconds of which events are missing.", "cluster", "node")
        for (cluster, node), known in nodes.items():
            seconds = sum(missing(outage).seconds for outage in known.outages)
            lost.add_metric([cluster, node or ""], seconds)
        delay = _gauge("canary_delay_seconds", "From canary to its evaluation.", "cluster")
        waited = _gauge("canary_age_seconds", "Since the last canary that came back.", "cluster")
        for canary in canaries:
            delay.add_metric([canary.cluster], canary.heard - canary.sent)
            waited.add_metric([canary.cluster], now - canary.sent)
        dropped = _gauge("dropped_events", "Events an API server gave up lately.", "cluster")
        asked = _gauge("api_server_up", "Whether an API server can be asked.", "cluster")
        for probe in probes:
            count = sum(probe.losses.lost.values()) if probe.losses.standing(now) else 0
            dropped.add_metric([probe.cluster], count)
            asked.add_metric([probe.cluster], float(not probe.failing_since))
        self._families = [age, skew, lost, delay, waited, dropped, asked]


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"tocsin_watch_{name}", text, labels=labels)
