"""The notifier process: tells people what is in the outbox, at least once.

Apart from the detector, so that a slow chat server delays nobody's detection.
"""

import asyncio
import contextlib
import time

from prometheus_client import CollectorRegistry

from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoreUnavailable
from tocsin.notify import Sender, make_notifier
from tocsin.runtime.child import Link
from tocsin.runtime.config import Config
from tocsin.runtime.metrics import exposition
from tocsin.runtime.report import Report
from tocsin.store.sqlite import SqliteStore, join_store

POLL_SECONDS = 0.2
# How long the detector may take to make or mend the store.
STORE_SECONDS = 60.0


def notify(link: Link, config: Config) -> None:
    """Deliver notifications until told to stop."""
    registry = CollectorRegistry()
    link.report_regularly(lambda: Report(ready=True, reason="", metrics=exposition(registry)))
    store = _join_store(link, config)
    if store is None:
        return
    with store:
        notifiers = [make_notifier(name, settings) for name, settings in config.notify.items()]
        sender = Sender(notifiers, store.outbox, registry)
        asyncio.run(_deliver(link, sender))


async def _deliver(link: Link, sender: Sender) -> None:
    sending = asyncio.create_task(sender.run())
    stopping = asyncio.create_task(asyncio.to_thread(link.stopping.wait))
    await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending


def _join_store(link: Link, config: Config) -> SqliteStore | None:
    """Open the store as soon as the detector has it ready; None when told to stop before."""
    deadline = time.monotonic() + STORE_SECONDS
    while not link.stopping.is_set():
        try:
            return join_store(config.store_path)
        except (TocsinError, StoreUnavailable):
            if time.monotonic() > deadline:
                raise
            link.stopping.wait(POLL_SECONDS)
    return None
