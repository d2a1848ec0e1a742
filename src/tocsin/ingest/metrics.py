"""What ingest counts. Label values come from the configuration, never from a request."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_ACK_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0)


class IngestMetrics:
    """The counters of the webhook and the file source; one object per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Create the families on `registry`."""
        self.posts = Counter(
            "tocsin_ingest_posts",
            "Posts of known senders, by what became of them.",
            ["cluster", "outcome"],
            registry=registry,
        )
        self.refused = Counter(
            "tocsin_ingest_refused",
            "Connections and requests that were not accepted, by reason.",
            ["reason"],
            registry=registry,
        )
        self.unauthenticated_posts = Counter(
            "tocsin_ingest_unauthenticated_posts",
            "Posts taken from senders that proved nothing.",
            registry=registry,
        )
        self.unauthenticated_networks = Gauge(
            "tocsin_ingest_unauthenticated_networks",
            "Networks whose senders are let in without a credential; 0 is as it should be.",
            registry=registry,
        )
        self.bytes = Counter(
            "tocsin_ingest_bytes",
            "Bytes that are durable in the spool, before compression.",
            ["cluster", "source"],
            registry=registry,
        )
        self.ack_seconds = Histogram(
            "tocsin_ingest_ack_seconds",
            "From the last byte of a post to its commit.",
            buckets=_ACK_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "tocsin_ingest_in_flight", "Posts being received or committed.", registry=registry
        )
        self.file_gaps = Counter(
            "tocsin_ingest_file_gaps",
            "Times a followed log file was gone or cut before it was read to its end.",
            ["cluster"],
            registry=registry,
        )
