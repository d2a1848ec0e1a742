"""Runs all channels side by side, and shows what they have not been told.

A channel shares no connection, queue or pause with another, so a slow or dead one delays
nobody else.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from prometheus_client import CollectorRegistry, Counter, Gauge

from tocsin.model.ports import Backlog, Outbox, StoreUnavailable
from tocsin.notify.base import Message, Notifier, Outcome
from tocsin.notify.channel import Channel, Pacing
from tocsin.notify.http import Poster
from tocsin.notify.sample import sample_alert

_REVIEW_SECONDS = 15.0
_log = logging.getLogger(__name__)


class Sender:
    """Delivers the outbox for as long as `run` runs; cancel it to stop.

    What is being sent at that moment counts as not sent, and is sent again after the start.
    """

    def __init__(
        self,
        notifiers: Sequence[Notifier],
        outbox: Outbox,
        registry: CollectorRegistry,
        pacing: Pacing | None = None,
    ) -> None:
        self._notifiers = notifiers
        self._outbox = outbox
        self._pacing = pacing or Pacing(time.time, random.random)
        self._outcomes = Counter(
            "tocsin_notify_sent",
            "Notifications by channel and what came of the try",
            ["channel", "outcome"],
            registry=registry,
        )
        self._pending = Gauge(
            "tocsin_notify_pending",
            "Notifications that wait to be sent",
            ["channel"],
            registry=registry,
        )
        self._oldest = Gauge(
            "tocsin_notify_oldest_pending_seconds",
            "Age of the oldest notification that waits",
            ["channel"],
            registry=registry,
        )

    async def run(self) -> None:
        """Deliver until cancelled.

        Raises:
            TocsinError: a channel's settings name a file that cannot be used.
        """
        with ExitStack() as posters:
            channels = [self._channel(notifier, posters) for notifier in self._notifiers]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._repeat("outbox", self._review))
                for channel in channels:
                    tasks.create_task(self._repeat(channel.name, channel.round))

    def _channel(self, notifier: Notifier, posters: ExitStack) -> Channel:
        poster = posters.enter_context(Poster(notifier.name, notifier.settings))
        return Channel(notifier, poster.post, self._outbox, self._pacing, self._outcomes)

    async def _repeat(self, name: str, step: Callable[[], Awaitable[float]]) -> None:
        while True:
            try:
                pause = await step()
            except StoreUnavailable as error:
                _log.warning("notifications of %s wait: %s", name, error)
                pause = self._pacing.idle_seconds
            await asyncio.sleep(pause)

    async def _review(self) -> float:
        """Give up what no channel will ever take, and measure what waits."""
        names = [notifier.name for notifier in self._notifiers]
        now = self._pacing.clock()
        await asyncio.to_thread(self._outbox.abandon, names, now)
        backlog = await asyncio.to_thread(self._outbox.backlog)
        for name in names:
            state = backlog.get(name, Backlog())
            self._pending.labels(name).set(state.pending)
            self._oldest.labels(name).set(0.0 if state.oldest is None else now - state.oldest)
        return _REVIEW_SECONDS


async def deliver_test(notifier: Notifier, now: float) -> Outcome:
    """Send a marked test alert through the channel, and say what came of it."""
    alert = sample_alert(now)
    request = notifier.request(Message(f"{notifier.name}-{alert.id}", alert, now))
    with Poster(notifier.name, notifier.settings) as poster:
        start = time.perf_counter()
        outcome = await poster.post(request, now)
        milliseconds = (time.perf_counter() - start) * 1000
    return replace(outcome, detail=f"{outcome.detail} (after {milliseconds:.0f} ms)")
