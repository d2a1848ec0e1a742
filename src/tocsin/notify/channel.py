"""Delivers what waits for one channel, in rounds of a few at a time.

A receiver that fails is left alone for longer and longer, up to a minute, and each delivery has
its own growing pause besides. Nothing is given up for an error, however final it looks, before
`GIVE_UP_SECONDS` have passed: a wrong token is often put right within the hour.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import Counter

from tocsin.model.ports import Delivery, Outbox
from tocsin.notify.base import HttpRequest, Message, Notifier, Outcome

GIVE_UP_SECONDS = 24 * 3600.0
_AT_ONCE = 4
_CHANNEL_PAUSE_MOST = 60.0
_DELIVERY_PAUSE_MOST = 300.0
_DOUBLINGS_MOST = 16

Post = Callable[[HttpRequest, float], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Pacing:
    """When a channel acts.

    Attributes:
        clock: seconds since the epoch.
        jitter: a number between 0 and 1, another one each time.
        idle_seconds: the pause when nothing waits.
        first_seconds: the longest pause after the first failure.
    """

    clock: Callable[[], float]
    jitter: Callable[[], float]
    idle_seconds: float = 1.0
    first_seconds: float = 2.0

    def backoff(self, failures: int, most: float) -> float:
        """Return the pause after so many failures in a row, half of it left to chance."""
        pause = min(self.first_seconds * (1 << min(failures - 1, _DOUBLINGS_MOST)), most)
        return pause * (1 + self.jitter()) / 2


class Channel:
    """The deliveries of one notifier."""

    def __init__(
        self, notifier: Notifier, post: Post, outbox: Outbox, pacing: Pacing, outcomes: Counter
    ) -> None:
        self.name = notifier.name
        self._notifier = notifier
        self._post = post
        self._outbox = outbox
        self._pacing = pacing
        self._outcomes = outcomes
        self._unsettled: deque[tuple[Delivery, Outcome]] = deque()
        self._failed_rounds = 0

    async def round(self) -> float:
        """Send some of what is due, and return the seconds to wait before the next round.

        Raises:
            StoreUnavailable: the outbox cannot be used now. What was sent is remembered and
                settled first in the next round, so that it is not sent again.
        """
        await self._settle()
        due = await asyncio.to_thread(self._outbox.due, self.name, self._pacing.clock(), _AT_ONCE)
        if not due:
            return self._pacing.idle_seconds
        outcomes = await asyncio.gather(*(self._deliver(delivery) for delivery in due))
        self._unsettled.extend(zip(due, outcomes, strict=True))
        await self._settle()
        return self._pause(outcomes)

    async def _deliver(self, delivery: Delivery) -> Outcome:
        now = self._pacing.clock()
        message = Message(f"{self.name}-{delivery.alert.id}", delivery.alert, now)
        try:
            request = self._notifier.request(message)
        except Exception as error:  # noqa: BLE001 - one alert's text must not stop the channel
            return Outcome(ok=False, detail=f"the message cannot be built: {error!r}")
        return await self._post(request, now)

    async def _settle(self) -> None:
        while self._unsettled:
            label = await asyncio.to_thread(self._record, *self._unsettled[0])
            self._unsettled.popleft()
            self._outcomes.labels(self.name, label).inc()

    def _record(self, delivery: Delivery, outcome: Outcome) -> str:
        now = self._pacing.clock()
        if outcome.ok:
            self._outbox.sent(delivery.id)
            return "sent"
        if now - delivery.created >= GIVE_UP_SECONDS:
            self._outbox.dead(delivery.id, outcome.detail, now)
            return "dead"
        pause = self._pacing.backoff(delivery.attempts + 1, _DELIVERY_PAUSE_MOST)
        self._outbox.failed(delivery.id, outcome.detail, now + max(pause, outcome.retry_after))
        return "failed"

    def _pause(self, outcomes: list[Outcome]) -> float:
        asked = max(outcome.retry_after for outcome in outcomes)
        if any(outcome.ok for outcome in outcomes):
            self._failed_rounds = 0
            return asked
        self._failed_rounds += 1
        return max(asked, self._pacing.backoff(self._failed_rounds, _CHANNEL_PAUSE_MOST))
