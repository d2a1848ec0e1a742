"""Join the store of this Tocsin from a process that does not own it."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tocsin.model.alert import Severity
from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoreUnavailable
from tocsin.model.routes import Route
from tocsin.runtime.child import Link
from tocsin.store.sqlite import SqliteStore, join_store

POLL_SECONDS = 0.2
# How long the detector may take to make or mend the store.
STORE_SECONDS = 60.0


def join_when_ready(
    link: Link,
    path: Path,
    channels: Mapping[str, Severity] | None = None,
    routes: Sequence[Route] = (),
) -> SqliteStore | None:
    """Open the store as soon as the detector has it ready; None when told to stop before.

    Raises:
        TocsinError, StoreUnavailable: it is not ready after a minute.
    """
    deadline = time.monotonic() + STORE_SECONDS
    while not link.stopping.is_set():
        try:
            return join_store(path, channels, routes)
        except (TocsinError, StoreUnavailable):
            if time.monotonic() > deadline:
                raise
            link.stopping.wait(POLL_SECONDS)
    return None
