"""First times: silent while learning, told once, forgotten when not met for long."""

from tocsin.detect.correlate.first import FirstTimes
from tocsin.rules.ir import FirstSeen

DAY = 86400.0
SETTINGS = FirstSeen(("user.username",), learning=7 * DAY, forget=30 * DAY)


def begun(max_keys: int = 100) -> FirstTimes:
    times = FirstTimes(max_keys)
    times.begin("prod", 0)
    return times


def met(times: FirstTimes, who: str, day: float, request: str = "r") -> bool:
    return times.is_new(("rule", "prod", who), SETTINGS, day * DAY, request)


def test_what_is_met_while_learning_is_not_news() -> None:
    times = begun()
    assert not met(times, "alice", 1)
    assert not met(times, "alice", 8)
    assert met(times, "bob", 8)
    assert not met(times, "bob", 9, "another")
    assert times.learned == 1


def test_the_same_request_again_has_the_same_answer() -> None:
    times = begun()
    assert met(times, "bob", 8)
    assert met(times, "bob", 8)


def test_what_was_not_met_for_long_is_news_again() -> None:
    times = begun()
    met(times, "alice", 1)
    assert not met(times, "alice", 31)
    assert met(times, "alice", 61.1)


def test_learning_begins_with_the_first_event_of_each_cluster() -> None:
    times = begun()
    times.begin("test", 100 * DAY)
    times.begin("prod", 100 * DAY)
    assert times.is_new(("rule", "prod", "alice"), SETTINGS, 101 * DAY, "r")
    assert not times.is_new(("rule", "test", "alice"), SETTINGS, 101 * DAY, "r")


def test_what_is_remembered_is_bounded_and_counted() -> None:
    times = begun(max_keys=2)
    for who in ("a", "b", "c"):
        met(times, who, 1)
    assert (len(times), times.evictions) == (2, 1)


def test_what_is_remembered_survives_a_restart() -> None:
    times, again = begun(), FirstTimes()
    met(times, "alice", 1)
    again.restore(times.save())
    assert not met(again, "alice", 8)
    assert met(again, "bob", 8)
