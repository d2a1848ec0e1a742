"""The responder's metrics: what became of responses since the process started."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from tocsin.model.response import Entry


class RespondMetrics:
    """Counts the lines of the journal; labels are states and limits of ours, never event text."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._states = Counter(
            "tocsin_respond_states",
            "Times a response came into a state.",
            ["state"],
            registry=registry,
        )
        self._refused = Counter(
            "tocsin_respond_refused",
            "Refused responses, by the limit.",
            ["limit"],
            registry=registry,
        )
        self.waiting = Gauge(
            "tocsin_respond_waiting", "Responses that wait for approval.", registry=registry
        )
        self.undecided = Gauge(
            "tocsin_respond_undecided",
            "Responses of which nobody knows what they did.",
            registry=registry,
        )
        self.stopped = Gauge(
            "tocsin_respond_stopped", "Whether all responses are stopped.", registry=registry
        )

    def count(self, entry: Entry) -> None:
        """Count a line of the journal."""
        if entry.state is not None:
            self._states.labels(entry.state).inc()
        if entry.state == "refused":
            self._refused.labels(str(entry.data.get("limit", "other"))).inc()
