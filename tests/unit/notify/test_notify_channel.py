"""When a channel tries again, and when it gives up: with a clock of our own and no network."""

import asyncio
from collections import deque

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter

from tests.unit.store.samples import make_alert
from tocsin.model.ports import Delivery, Outbox, StoreUnavailable
from tocsin.notify import Notifier, SlackSettings, make_notifier
from tocsin.notify.base import HttpRequest, Message, Outcome
from tocsin.notify.channel import GIVE_UP_SECONDS, Channel, Pacing

OK = Outcome(ok=True, detail="HTTP 200")
BAD = Outcome(ok=False, detail="HTTP 500")
NOW = 1_000_000.0


class FakeOutbox:
    """Hands out prepared deliveries and remembers how they were settled."""

    def __init__(self, *deliveries: Delivery) -> None:
        self.waiting = deque(deliveries)
        self.settled: list[tuple[object, ...]] = []
        self.unavailable = 0

    def due(self, channel: str, now: float, limit: int) -> list[Delivery]:
        assert (channel, now) == ("oncall", NOW)
        return [self.waiting.popleft() for _ in range(min(limit, len(self.waiting)))]

    def _settle(self, *how: object) -> None:
        if self.unavailable:
            self.unavailable -= 1
            message = "locked"
            raise StoreUnavailable(message)
        self.settled.append(how)

    def sent(self, delivery_id: int) -> None:
        self._settle("sent", delivery_id)

    def failed(self, delivery_id: int, error: str, retry_at: float) -> None:
        self._settle("failed", delivery_id, error, retry_at - NOW)

    def dead(self, delivery_id: int, error: str, now: float) -> None:
        assert now == NOW
        self._settle("dead", delivery_id, error)


class Rig:
    """A channel with a scripted receiver."""

    def __init__(self, *deliveries: Delivery, answers: list[Outcome], jitter: float = 1.0) -> None:
        self.outbox = FakeOutbox(*deliveries)
        self.posted: list[HttpRequest] = []
        self._answers = deque(answers)
        self.registry = CollectorRegistry()
        outcomes = Counter("sent", "-", ["channel", "outcome"], registry=self.registry)
        pacing = Pacing(lambda: NOW, lambda: jitter)
        outbox: Outbox = self.outbox  # type: ignore[assignment]
        self.notifier = notifier()
        self.channel = Channel(self.notifier, self.post, outbox, pacing, outcomes)

    async def post(self, request: HttpRequest, now: float) -> Outcome:
        assert now == NOW
        self.posted.append(request)
        return self._answers.popleft()

    def round(self) -> float:
        return asyncio.run(self.channel.round())

    def counted(self, outcome: str) -> float:
        labels = {"channel": "oncall", "outcome": outcome}
        return self.registry.get_sample_value("sent_total", labels) or 0.0


def notifier() -> Notifier:
    settings = msgspec.convert({"type": "slack", "url": "https://hooks.example/x"}, SlackSettings)
    return make_notifier("oncall", settings)


def delivery(number: int = 1, attempts: int = 0, age: float = 0.0) -> Delivery:
    return Delivery(number, "oncall", make_alert(f"a{number}"), attempts, NOW - age)


def test_nothing_to_do() -> None:
    assert Rig(answers=[]).round() == 1.0


def test_what_was_taken_is_settled_and_the_next_round_follows_at_once() -> None:
    rig = Rig(*(delivery(n) for n in range(6)), answers=[OK] * 6)
    assert [rig.round(), rig.round()] == [0.0, 0.0]
    assert rig.outbox.settled == [("sent", n) for n in range(6)]
    assert rig.counted("sent") == 6


@pytest.mark.parametrize(
    ("attempts", "jitter", "pause"),
    [
        (0, 1.0, 2.0),
        (0, 0.0, 1.0),
        (1, 1.0, 4.0),
        (5, 0.5, 48.0),
        (7, 1.0, 256.0),
        (8, 1.0, 300.0),
        (10_000, 1.0, 300.0),
    ],
)
def test_each_failure_doubles_the_pause(attempts: int, jitter: float, pause: float) -> None:
    rig = Rig(delivery(attempts=attempts), answers=[BAD], jitter=jitter)
    rig.round()
    assert rig.outbox.settled == [("failed", 1, "HTTP 500", pause)]
    assert rig.counted("failed") == 1


def test_a_failing_channel_is_left_alone_for_longer_until_it_recovers() -> None:
    rig = Rig(*(delivery(n) for n in range(40)), answers=[*[BAD] * 28, OK, *[BAD] * 7])
    pauses = [rig.round() for _ in range(9)]
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 0.0, 2.0]


def test_the_receiver_may_ask_for_more_patience() -> None:
    busy = Outcome(ok=False, detail="HTTP 429", retry_after=70.0)
    rig = Rig(delivery(1), delivery(2), answers=[OK, busy])
    assert rig.round() == 70.0
    assert rig.outbox.settled == [("sent", 1), ("failed", 2, "HTTP 429", 70.0)]


def test_nothing_is_given_up_before_a_day_and_nothing_without_a_try() -> None:
    day = GIVE_UP_SECONDS
    rig = Rig(
        delivery(1, attempts=99, age=day - 1),
        delivery(2, attempts=99, age=day),
        delivery(3, attempts=0, age=10 * day),
        answers=[BAD, BAD, OK],
    )
    rig.round()
    assert [how[:2] for how in rig.outbox.settled] == [("failed", 1), ("dead", 2), ("sent", 3)]
    assert rig.counted("dead") == 1


def test_what_was_sent_is_not_sent_again_while_the_store_is_locked() -> None:
    rig = Rig(delivery(1), delivery(2), answers=[OK, OK])
    rig.outbox.unavailable = 3
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            rig.round()
    rig.round()
    assert rig.outbox.settled == [("sent", 1), ("sent", 2)]
    assert len(rig.posted) == 2


def test_an_alert_that_cannot_be_told_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(delivery(1), delivery(2), answers=[OK])
    real = rig.notifier.request

    def request(message: Message) -> HttpRequest:
        if message.alert.id == "a1":
            raise ValueError(message.alert.id)
        return real(message)

    monkeypatch.setattr(rig.notifier, "request", request)
    rig.round()
    (failed, sent) = rig.outbox.settled
    assert failed[:3] == ("failed", 1, "the message cannot be built: ValueError('a1')")
    assert sent == ("sent", 2)
