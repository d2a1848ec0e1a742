"""A control plane under a steady load, whose own log says what Tocsin must have received."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.e2e.controlplane.harness import ControlPlane
from tests.e2e.tocsin import Pair, Tocsin, audit_log, flags

REQUESTS_PER_SECOND: Final = 50
NEEDED: Final = ("--audit-policy-file=", "--audit-webhook-config-file=", "--audit-log-path=")


class Load:
    """Harmless requests at a steady rate for the length of a `with` block."""

    def __init__(self, cluster: ControlPlane) -> None:
        self._cluster = cluster
        self._pause = 1 / REQUESTS_PER_SECOND
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self.requests = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        with self._cluster.api() as http:
            while not self._stopping.wait(max(0.0, due - time.monotonic())):
                http.get(f"/api/v1/namespaces/default/configmaps/load-{self.requests}")
                self.requests += 1
                due += self._pause


def audited(log: Path) -> dict[Pair, str]:
    """Return Audit-ID and stage of each event in an audit log, and its stageTimestamp."""
    lines = log.read_bytes().splitlines(keepends=True)
    events = (json.loads(line) for line in lines if line.endswith(b"\n"))
    return {(event["auditID"], event["stage"]): event["stageTimestamp"] for event in events}


@dataclass(frozen=True, slots=True)
class Watched:
    """A control plane, its Tocsin, and the API server's own log to compare with."""

    cluster: ControlPlane
    tocsin: Tocsin
    log: Path

    def missing(self, logged: Mapping[Pair, str]) -> list[str]:
        """Return the times of events that Tocsin has not evaluated, in order."""
        received = self.tocsin.received()
        return sorted(when for pair, when in logged.items() if pair not in received)


@contextmanager
def watched(
    folder: Path,
    cache: Path,
    *more_flags: str,
    credential: str = "certificate",
    settle_after: float = 300,
) -> Iterator[Watched]:
    """Run an API server whose owner left at its default what is not in `more_flags`."""
    tocsin = Tocsin(folder / "tocsin", cache, watch={"settle_after": settle_after})
    audit_flags = flags(tocsin.connect(credential=credential))
    used = [flag for flag in audit_flags if flag.startswith(NEEDED)]
    with tocsin, ControlPlane(folder / "cluster", [*used, *more_flags]) as cluster:
        yield Watched(cluster, tocsin, audit_log(audit_flags))
