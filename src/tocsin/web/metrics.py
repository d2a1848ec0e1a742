"""What is counted of the dashboard."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class WebMetrics:
    """The web process's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "tocsin_web_requests", "Requests answered, by status.", ["status"], registry=registry
        )
        self.streams = Gauge(
            "tocsin_web_streams", "Pages that wait to be told of changes.", registry=registry
        )
        self.rendered = Counter(
            "tocsin_web_rendered", "Pages rendered; each is shown to many.", registry=registry
        )
