"""The receiver process: webhook and followed files into the spool.

It is the spool's only writer and does nothing else, so that nothing can delay an
acknowledgement.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Sequence

import uvloop
from prometheus_client import CollectorRegistry, Gauge

from tocsin.connect.clusters import load_clusters
from tocsin.ingest.follow import follow
from tocsin.ingest.metrics import IngestMetrics
from tocsin.ingest.networks import banner
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.senders import Cluster, Senders
from tocsin.ingest.server import serve_webhook
from tocsin.ingest.spool import SpoolWriter
from tocsin.ingest.webhook import Webhook
from tocsin.model.errors import TocsinError
from tocsin.runtime.child import Link
from tocsin.runtime.config import Config
from tocsin.runtime.metrics import exposition
from tocsin.runtime.report import Report
from tocsin.runtime.watch import FileWatch

POLL_SECONDS = 0.2

log = logging.getLogger(__name__)


def load_senders(config: Config) -> Senders:
    """Return who may send, from the list of clusters that `tocsin setup` writes."""
    known = load_clusters(config.folder).clusters
    refused = {
        credential.identity: credential.refused_from
        for cluster in known.values()
        for credential in cluster.credentials
        if credential.refused_from is not None
    }
    return Senders(
        [
            Cluster(name, tuple(token.sha256 for token in cluster.tokens))
            for name, cluster in known.items()
        ],
        refused=refused,
        revoked=[name for name, cluster in known.items() if cluster.revoked is not None],
    )


class Receiver:
    """Everything that takes events in."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._registry = CollectorRegistry()
        self._metrics = IngestMetrics(self._registry)
        sealer = Sealer(load_or_create_key(config.key_path))
        self._spool = SpoolWriter(config.spool_folder, sealer, config.spool)
        self._clusters = FileWatch([config.folder / "clusters.yaml"])
        self._webhook = Webhook(self._spool, load_senders(config), config.webhook, self._metrics)
        self._count_spool()

    def run(self, link: Link, sockets: Sequence[socket.socket]) -> None:
        """Receive until the link says stop; then finish what is in flight and commit."""
        threads = [
            threading.Thread(
                target=follow, args=(file, self._spool, self._metrics, link.stopping), daemon=True
            )
            for file in self._config.files
        ]
        for thread in threads:
            thread.start()
        uvloop.run(self._serve(link, sockets))
        for thread in threads:
            thread.join()
        self._spool.close()

    async def _serve(self, link: Link, sockets: Sequence[socket.socket]) -> None:
        server = serve_webhook(self._webhook, sockets)
        serving = asyncio.create_task(server.serve())
        link.report_regularly(self._report)
        while not link.stopping.is_set() and not serving.done():
            self._reload_senders()
            await asyncio.sleep(POLL_SECONDS)
        server.should_exit = True
        await serving

    def _reload_senders(self) -> None:
        if not self._clusters.changed():
            return
        try:
            self._webhook.senders = load_senders(self._config)
        except TocsinError as error:
            log.error("the list of clusters is not reloaded: %s", error)  # noqa: TRY400
        else:
            log.info("clusters: %s", ", ".join(sorted(self._webhook.senders.names)) or "none")

    def _report(self) -> Report:
        reason = self._spool.stats.suspended
        return Report(
            ready=reason is None,
            reason=f"events are refused: {reason}" if reason else "",
            findings=self._findings(),
            metrics=exposition(self._registry),
        )

    def _findings(self) -> tuple[str, ...]:
        warning = banner(self._config.webhook.allow_unauthenticated_from)
        if not warning:
            return ()
        count = self._registry.get_sample_value("tocsin_ingest_unauthenticated_posts_total")
        return (f"{warning}. Posts that came in this way since the start: {count or 0:.0f}",)

    def _count_spool(self) -> None:
        """Export the spool's own counters."""
        stats = self._spool.stats
        for name, text in {
            "commits": "Commits of the spool, each durable before its posts were answered.",
            "failed_commits": "Commits that failed; their posts were refused.",
            "refused": "Posts that the spool could not take; their senders keep them.",
            "rotations": "Files of the spool that were completed.",
            "deleted_files": "Files of the spool that were deleted by retention.",
            "pending_bytes": "Bytes that wait to be committed.",
        }.items():
            gauge = Gauge(f"tocsin_ingest_spool_{name}", text, registry=self._registry)
            gauge.set_function(lambda name=name: float(getattr(stats, name)))  # type: ignore[misc]


def receive(link: Link, config: Config, sockets: Sequence[socket.socket]) -> None:
    """Run the receiver until told to stop."""
    Receiver(config).run(link, sockets)
