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
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from tocsin.model.outbox import Follow, Outbox
from tocsin.model.ports import Backlog, StoreUnavailable
from tocsin.model.routes import Route, route
from tocsin.notify.base import Notifier, Outcome
from tocsin.notify.channel import Channel, Pacing, Tally
from tocsin.notify.planner import Incidents
from tocsin.notify.sample import sample_message

_REVIEW_SECONDS = 15.0
_FOLLOW_SECONDS = 2.0
# What rose while nobody was there to tell is told after the start, within reason.
_LOOK_BACK_SECONDS = 86400.0
# How long a message may be on its way while its incident changes.
_OVERLAP_SECONDS = 120.0
_log = logging.getLogger(__name__)

AnyNotifier = Notifier[Any]


class Sender:
    """Delivers the outbox for as long as `run` runs; cancel it to stop.

    What is being sent at that moment counts as not sent, and is sent again after the start.

    Args:
        notifiers: the channels.
        outbox: what waits for them.
        incidents: the incidents.
        registry: for the metrics.
        routes: who is told what, for incidents that become worse than their alerts.
        pacing: when to act.
    """

    def __init__(
        self,
        notifiers: Sequence[AnyNotifier],
        outbox: Outbox,
        incidents: Incidents,
        registry: CollectorRegistry,
        *,
        routes: Sequence[Route] = (),
        pacing: Pacing | None = None,
    ) -> None:
        self._notifiers = notifiers
        self._outbox = outbox
        self._incidents = incidents
        self._routes = routes
        self._pacing = pacing or Pacing(time.time, random.random)
        self._looked = 0.0
        self._tally = Tally(registry)
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
        with ExitStack() as transports:
            channels = [self._channel(notifier, transports) for notifier in self._notifiers]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._repeat("outbox", self._review))
                tasks.create_task(self._repeat("incidents", self._follow))
                for channel in channels:
                    tasks.create_task(self._repeat(channel.name, channel.round))

    def _channel(self, notifier: AnyNotifier, transports: ExitStack) -> Channel[Any]:
        transport = transports.enter_context(notifier.transport())
        return Channel(
            notifier, transport.post, self._outbox, self._incidents, self._pacing, self._tally
        )

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

    async def _follow(self) -> float:
        """Queue what became of incidents without a new alert that brings it."""
        await asyncio.to_thread(self._follow_now, self._pacing.clock())
        return _FOLLOW_SECONDS

    def _follow_now(self, now: float) -> None:
        for notifier in self._notifiers:
            repeat = notifier.settings.repeat_interval
            follow = Follow(since=self._looked, ends=notifier.info.ends, repeat_seconds=repeat)
            self._outbox.follow(notifier.name, follow, now)
        lowest = {one.name: one.settings.min_severity for one in self._notifiers}
        for risen in self._outbox.risen(max(self._looked, now - _LOOK_BACK_SECONDS)):
            routed = route(risen.alert, lowest, self._routes, risen.severity)
            self._outbox.queue_incident(routed.channels, risen.incident, risen.severity, now)
        self._looked = now - _OVERLAP_SECONDS


async def deliver_test(notifier: AnyNotifier, now: float) -> Outcome:
    """Send a marked test alert through the channel, and say what came of it."""
    request = notifier.request(sample_message(notifier.name, now))
    with notifier.transport() as transport:
        start = time.perf_counter()
        outcome = await transport.post(request, now)
        milliseconds = (time.perf_counter() - start) * 1000
    return replace(outcome, detail=f"{outcome.detail} (after {milliseconds:.0f} ms)")
