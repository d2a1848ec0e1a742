"""When a channel is told: pure decisions over what waits."""

from typing import Any

import msgspec
import pytest

from tocsin.model.outbox import Told, Topic
from tocsin.notify import SlackSettings
from tocsin.notify.base import ChannelSettings
from tocsin.notify.timing import Room, choose, due_at

T0 = 1000.0


def settings(**changes: Any) -> ChannelSettings:
    values = {"url": "https://x", "group_wait": 5, "group_interval": 300, **changes}
    return msgspec.convert(values, SlackSettings)


def topic(key: str = "incident i1", **changes: Any) -> Topic:
    values: dict[str, Any] = {
        "news": frozenset({"alert"}),
        "alerts": 1,
        "severity": "high",
        "techniques": frozenset({"T1611"}),
        "oldest": T0,
        "next_try": T0,
    }
    return Topic(key=key, **values | changes)


def told(at: float, severity: Any = "high", *techniques: str) -> Told:
    return Told(at, severity, frozenset(techniques or ("T1611",)))


@pytest.mark.parametrize(
    ("waiting", "due"),
    [
        (topic(), T0 + 5),
        (topic(severity="critical"), T0),
        (topic("rule prod r1"), T0 + 5),
        (topic("alert a1"), T0),
        (topic(told=told(T0 - 10)), T0 - 10 + 300),
        (topic(told=told(T0 - 9999)), T0 + 5),
        (topic(told=told(T0 - 10, "medium")), T0),
        (topic(told=told(T0 - 10, "critical")), T0 + 290),
        (topic(told=told(T0 - 10, "high", "T1528")), T0),
        (topic(told=told(T0 - 10), techniques=frozenset()), T0 + 290),
        (topic(told=told(0.0)), T0 + 5),
        (topic(news=frozenset({"closed"}), told=told(T0 - 10)), T0),
        (topic(news=frozenset({"repeat"}), told=told(T0 - 10)), T0),
        (topic(news=frozenset({"worse"})), T0),
        (topic(next_try=T0 + 60), T0 + 60),
        (topic("alert a1", next_try=T0 + 60), T0 + 60),
    ],
)
def test_the_moment(waiting: Topic, due: float) -> None:
    assert due_at(waiting, settings()) == due


def test_a_digest_waits_for_its_time_whatever_comes() -> None:
    daily = settings(digest=86400)
    for waiting in (topic(), topic("alert a1"), topic(severity="critical", told=told(T0, "low"))):
        assert due_at(waiting, daily) == T0 + 86400
    both = [topic("incident i1"), topic("incident i2", oldest=T0 + 80000)]
    assert choose(both, daily, T0 + 86399, Room(10, 4)) == []
    (choice,) = choose(both, daily, T0 + 86400, Room(10, 4))
    assert (choice.together, len(choice.topics)) == ("digest", 2)


def test_a_digest_leaves_out_what_failed_a_moment_ago() -> None:
    both = [topic("incident i1"), topic("incident i2", next_try=T0 + 9999)]
    (choice,) = choose(both, settings(digest=60), T0 + 60, Room(10, 4))
    assert [one.key for one in choice.topics] == ["incident i1"]


def due_topics(count: int) -> list[Topic]:
    return [topic(f"incident i{number}", severity="critical") for number in range(count)]


def test_what_is_due_is_told_one_by_one_a_few_at_a_time() -> None:
    choices = choose([*due_topics(6), topic(next_try=1e9)], settings(), T0, Room(10, 4))
    assert [choice.topics[0].key for choice in choices] == [f"incident i{n}" for n in range(4)]
    assert not any(choice.together for choice in choices)


def test_a_storm_is_told_together_in_the_last_message_of_the_minute() -> None:
    waiting, rounds = due_topics(10_000), []
    room = 10
    while room:
        choices = choose(waiting, settings(), T0, Room(room, 4))
        rounds.append([(choice.together, len(choice.topics)) for choice in choices])
        room -= len(choices)
        gone = {one.key for choice in choices for one in choice.topics}
        waiting = [one for one in waiting if one.key not in gone]
    alone = (None, 1)
    assert rounds == [[alone] * 4, [alone] * 4, [alone], [("storm", 9991)]]
    assert not waiting


def test_what_fits_is_not_told_together() -> None:
    assert [choice.together for choice in choose(due_topics(1), settings(), T0, Room(1, 4))] == [
        None
    ]
    assert [choice.together for choice in choose(due_topics(2), settings(), T0, Room(1, 4))] == [
        "storm"
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"group_wait": -1},
        {"group_interval": 8 * 86400},
        {"max_per_minute": 0},
        {"digest": "daily"},
    ],
)
def test_wrong_pauses_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        settings(**wrong)


def test_machines_are_told_much_together_in_every_message() -> None:
    room = Room(10, 4, whole=True)
    assert [choice.together for choice in choose(due_topics(11), settings(), T0, room)] == ["storm"]
    assert len(choose(due_topics(10), settings(), T0, room)) == 4
