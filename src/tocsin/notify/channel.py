"""Delivers what waits for one channel, in rounds of a few at a time.

A receiver that fails is left alone for longer and longer, up to a minute, and each message has
its own growing pause besides. Nothing is given up for an error, however final it looks, before
`GIVE_UP_SECONDS` have passed since it should have been sent: a wrong token is often put right
within the hour.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter

from tocsin.model.outbox import Outbox
from tocsin.notify.base import Notifier, Outcome
from tocsin.notify.planner import ChannelFacts, Incidents, Planned, Planner
from tocsin.notify.timing import longest_wait

GIVE_UP_SECONDS = 24 * 3600.0
_CHANNEL_PAUSE_MOST = 60.0
_DELIVERY_PAUSE_MOST = 300.0
_DOUBLINGS_MOST = 16

_R = TypeVar("_R")


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


class Tally:
    """What is counted of all channels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "tocsin_notify_sent",
            "Messages by channel and what came of the try",
            ["channel", "outcome"],
            registry=registry,
        )
        self.alerts = Counter(
            "tocsin_notify_alerts",
            "Alerts that people were told of",
            ["channel"],
            registry=registry,
        )
        self.together = Counter(
            "tocsin_notify_throttled",
            "Incidents and single alerts told together with others, because there were too many",
            ["channel"],
            registry=registry,
        )

    def count(self, channel: str, planned: Planned, label: str) -> None:
        """Count a message that was tried."""
        self.messages.labels(channel, label).inc()
        if label == "sent":
            self.alerts.labels(channel).inc(sum(planned.taken.counts.values()))
            if planned.message.reason == "storm":
                self.together.labels(channel).inc(len(planned.told))


class Channel(Generic[_R]):
    """The messages of one notifier."""

    def __init__(
        self,
        notifier: Notifier[_R],
        post: Callable[[_R, float], Awaitable[Outcome]],
        outbox: Outbox,
        incidents: Incidents,
        pacing: Pacing,
        tally: Tally,
    ) -> None:
        self.name = notifier.name
        self._notifier = notifier
        self._post = post
        self._outbox = outbox
        self._pacing = pacing
        self._tally = tally
        facts = ChannelFacts(notifier.name, notifier.info, notifier.settings)
        self._planner = Planner(facts, outbox, incidents)
        self._patience = GIVE_UP_SECONDS + longest_wait(notifier.settings)
        self._unsettled: deque[tuple[Planned, Outcome]] = deque()
        self._failed_rounds = 0

    async def round(self) -> float:
        """Send some of what is due, and return the seconds to wait before the next round.

        Raises:
            StoreUnavailable: the outbox cannot be used now. What was sent is remembered and
                settled first in the next round, so that it is not sent again.
        """
        await self._settle()
        planned = await asyncio.to_thread(self._planner.plan, self._pacing.clock())
        if not planned:
            return self._pacing.idle_seconds
        outcomes = await asyncio.gather(*(self._deliver(one) for one in planned))
        self._unsettled.extend(zip(planned, outcomes, strict=True))
        await self._settle()
        return self._pause(outcomes)

    async def _deliver(self, planned: Planned) -> Outcome:
        try:
            request = self._notifier.request(planned.message)
        except Exception as error:  # noqa: BLE001 - one alert's text must not stop the channel
            return Outcome(ok=False, detail=f"the message cannot be built: {error!r}")
        return await self._post(request, planned.message.now)

    async def _settle(self) -> None:
        while self._unsettled:
            planned, outcome = self._unsettled[0]
            label = await asyncio.to_thread(self._record, planned, outcome)
            self._unsettled.popleft()
            self._tally.count(self.name, planned, label)

    def _record(self, planned: Planned, outcome: Outcome) -> str:
        now = self._pacing.clock()
        taken = planned.taken
        if outcome.ok:
            self._outbox.sent(self.name, taken.rows, planned.told)
            return "sent"
        if now - taken.oldest >= self._patience:
            self._outbox.dead(self.name, taken.rows, outcome.detail, now)
            return "dead"
        pause = self._pacing.backoff(taken.attempts + 1, _DELIVERY_PAUSE_MOST)
        self._outbox.failed(taken.rows, outcome.detail, now + max(pause, outcome.retry_after))
        return "failed"

    def _pause(self, outcomes: Sequence[Outcome]) -> float:
        asked = max(outcome.retry_after for outcome in outcomes)
        if any(outcome.ok for outcome in outcomes):
            self._failed_rounds = 0
            return asked
        self._failed_rounds += 1
        return max(asked, self._pacing.backoff(self._failed_rounds, _CHANNEL_PAUSE_MOST))
