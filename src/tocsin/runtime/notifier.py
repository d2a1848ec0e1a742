"""The notifier process: tells people what is in the outbox, at least once.

Apart from the detector, so that a slow chat server delays nobody's detection.
"""

import asyncio
import contextlib

from prometheus_client import CollectorRegistry

from tocsin.notify import Sender, make_notifier
from tocsin.runtime.child import Link
from tocsin.runtime.config import Config
from tocsin.runtime.joining import join_when_ready
from tocsin.runtime.metrics import exposition
from tocsin.runtime.report import Report


def notify(link: Link, config: Config) -> None:
    """Deliver notifications until told to stop."""
    registry = CollectorRegistry()
    link.report_regularly(lambda: Report(ready=True, reason="", metrics=exposition(registry)))
    store = join_when_ready(link, config.store_path)
    if store is None:
        return
    with store:
        notifiers = [make_notifier(name, settings) for name, settings in config.channels.items()]
        sender = Sender(notifiers, store.outbox, store.incidents, registry, routes=config.routes)
        asyncio.run(_deliver(link, sender))


async def _deliver(link: Link, sender: Sender) -> None:
    sending = asyncio.create_task(sender.run())
    stopping = asyncio.create_task(asyncio.to_thread(link.stopping.wait))
    await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending
