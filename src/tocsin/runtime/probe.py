"""Ask one cluster's API server once a minute: the canary, and its own count of lost events."""

import logging
import threading
import time
from collections import deque

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from tocsin.lifeline import canary
from tocsin.lifeline.losses import Losses, after_reading
from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoreUnavailable
from tocsin.runtime.apiserver import ApiServer
from tocsin.runtime.config import ApiAccess
from tocsin.store.sqlite.sources import SqliteSources

INTERVAL_SECONDS = 60.0
# While it cannot be asked.
RETRY_SECONDS = 10.0
_KEPT_CANARIES = 64
_OK = 200
_UNAUTHORIZED = 401
_STARTED = "process_start_time_seconds"
_ERRORS = "apiserver_audit_error_total"

log = logging.getLogger(__name__)


class Probe:
    """The requests to one cluster, from a thread of its own, and what came of them.

    Attributes:
        cluster: the cluster.
        sent: when canaries were sent that were answered, oldest first; epoch seconds.
        failing_since: since when the API server cannot be asked; 0 when it can.
        error: why it cannot.
        losses: what the API servers say they lost.
    """

    def __init__(
        self, cluster: str, access: ApiAccess, spool_key: bytes, sources: SqliteSources
    ) -> None:
        self.cluster = cluster
        self.sent: deque[float] = deque(maxlen=_KEPT_CANARIES)
        self.failing_since = 0.0
        self.error = ""
        self._access = access
        self._key = canary.canary_key(spool_key)
        self._sources = sources
        self._refused = False
        stored = sources.probe(cluster)
        self.losses = msgspec.json.decode(stored, type=Losses) if stored else Losses()

    def run(self, stopping: threading.Event) -> None:
        """Ask once a minute until told to stop."""
        while not stopping.is_set():
            try:
                self.ask(ApiServer.from_kubeconfig(self._access.kubeconfig_path), time.time())
            except TocsinError as error:
                self._fail(str(error))
            except StoreUnavailable as error:
                log.warning(
                    "what the API server of %s lost is asked again: %s", self.cluster, error
                )
            stopping.wait(RETRY_SECONDS if self.failing_since else INTERVAL_SECONDS)

    def ask(self, server: ApiServer, now: float) -> None:
        """Send the canary and read the counters.

        Raises:
            TocsinError: the API server cannot be asked.
            StoreUnavailable: what it said cannot be kept now.
        """
        audit_id = canary.canary_id(self._key, self.cluster, now) if self._access.canary else None
        answer = server.get(canary.PATH if audit_id else "/version", audit_id)
        if answer.status == _UNAUTHORIZED:
            message = f"{server.url} does not accept the credential in {self._access.kubeconfig}"
            raise TocsinError(message)
        if audit_id:
            self.sent.append(now)
        self.failing_since = 0.0
        self.error = ""
        self._read_counters(server, now)

    def _fail(self, error: str) -> None:
        if error != self.error:
            log.warning("the API server of %s cannot be asked: %s", self.cluster, error)
        self.failing_since = self.failing_since or time.time()
        self.error = error

    def _read_counters(self, server: ApiServer, now: float) -> None:
        answer = server.get("/metrics")
        if answer.status != _OK:
            if not self._refused:
                log.warning(
                    "%s does not show its metrics to Tocsin (HTTP %d), so what it drops itself is "
                    "not seen; allow the user in %s to get the non-resource URL /metrics",
                    server.url,
                    answer.status,
                    self._access.kubeconfig,
                )
            self._refused = True
            return
        self._refused = False
        start, totals = read_losses(answer.body)
        losses = after_reading(self.losses, start, totals, now)
        if losses != self.losses:
            self._sources.keep_probe(self.cluster, msgspec.json.encode(losses).decode(), now)
            self.losses = losses


def read_losses(page: bytes) -> tuple[str, dict[str, int]]:
    """Return when an API server was started, and its lost events by plugin, from its metrics.

    Such a page has megabytes; all but a few lines are left unread.
    """
    wanted = (_STARTED.encode(), _ERRORS.encode())
    lines = [line for line in page.splitlines() if line.startswith(wanted)]
    text = b"\n".join(lines).decode("utf-8", "replace") + "\n"
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    start = next((repr(one.value) for one in samples if one.name == _STARTED), "")
    losses = {
        one.labels.get("plugin", ""): int(one.value) for one in samples if one.name == _ERRORS
    }
    return start, losses
