"""What each process counts, and how it comes to one page.

Every process has a registry of its own and names its metrics after its stage, so that the
supervisor can serve the pages one after the other. No label ever holds event text.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()  # type: ignore[no-untyped-call] # a time per counter nobody asks for


class DetectMetrics:
    """The detector's counters; one object per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "tocsin_detect_events", "Events evaluated by all rules.", registry=registry
        )
        self.posts = Counter("tocsin_detect_posts", "Posts read from the spool.", registry=registry)
        self.alerts = Counter(
            "tocsin_detect_alerts", "New alerts, by severity.", ["severity"], registry=registry
        )
        self.hidden = Counter(
            "tocsin_detect_hidden",
            "New alerts that nobody is told of, by rule and by what hides them.",
            ["rule", "by"],
            registry=registry,
        )
        self.suppress_keys = Gauge(
            "tocsin_detect_suppress_keys",
            "Combinations of values whose alerts suppression counts.",
            registry=registry,
        )
        self.suppress_evictions = Gauge(
            "tocsin_detect_suppress_evictions",
            "Combinations that suppression forgot for want of room: the next alert passes.",
            registry=registry,
        )
        self.quarantined = Counter(
            "tocsin_detect_quarantined",
            "Events, or parts of posts, that are no proper audit events.",
            registry=registry,
        )
        self.lost_posts = Counter(
            "tocsin_detect_lost_posts",
            "Posts whose stored bytes were damaged or missing.",
            registry=registry,
        )
        self.rule_faults = Gauge(
            "tocsin_detect_rule_faults",
            "Evaluations of compiled rules that failed and were repeated rule by rule.",
            registry=registry,
        )
        self.unevaluated = Counter(
            "tocsin_detect_unevaluated",
            "Rules given up on events, as it cost too much to search them.",
            registry=registry,
        )
        self.rules = Gauge("tocsin_detect_rules", "Rules in force.", registry=registry)
        self.bad_rule_files = Gauge(
            "tocsin_detect_rule_file_faults",
            "Faults in rule files, at the last load.",
            registry=registry,
        )
        self.state_keys = Gauge(
            "tocsin_detect_state_keys",
            "What detection remembers: windows of correlations, values seen, tokens.",
            ["kind"],
            registry=registry,
        )
        self.state_evictions = Gauge(
            "tocsin_detect_state_evictions",
            "What detection forgot for want of room since its start.",
            ["kind"],
            registry=registry,
        )
        self.late_hits = Gauge(
            "tocsin_detect_late_hits",
            "Hits that came too late to count for a correlation, since the start.",
            registry=registry,
        )
        self.buckets = Gauge(
            "tocsin_detect_buckets", "Kinds of request with compiled rules.", registry=registry
        )
        self.lag_posts = Gauge(
            "tocsin_detect_lag_posts", "Posts in the spool not evaluated yet.", registry=registry
        )
        self.health_findings = Gauge(
            "tocsin_detect_health_findings",
            "Findings about Tocsin itself that `/readyz` tells.",
            registry=registry,
        )
        self.untracked_posts = Gauge(
            "tocsin_detect_untracked_posts",
            "Posts of sources that are too many to be followed one by one.",
            registry=registry,
        )
        self.unobserved = Gauge(
            "tocsin_detect_unobserved",
            "Events of kinds that are too many to be counted by kind.",
            registry=registry,
        )
        self.store_errors = Counter(
            "tocsin_detect_store_errors",
            "Times the store could not take alerts and was tried again.",
            registry=registry,
        )


def exposition(registry: CollectorRegistry) -> bytes:
    """Return a registry's metrics in the Prometheus text format."""
    return generate_latest(registry)
