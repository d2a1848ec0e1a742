"""Suppression: what passes and what is marked, compared with a plain reading of its rule."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.store.samples import make_alert
from tocsin.detect.suppress import Suppression
from tocsin.model.alert import Alert
from tocsin.rules.ir import Suppress

RULE = "5c1b"
START = datetime(2026, 11, 23, 10, tzinfo=UTC)
BY_USER = Suppress(("user.username",), 60.0)


def at(seconds: float, alert_id: str = "", user: str | None = "alice", **changes: Any) -> Alert:
    """Return an alert of an event so many seconds after the start."""
    alert = make_alert(alert_id or f"{user}-{seconds}", **changes)
    return msgspec.structs.replace(
        alert,
        time=(START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        actor=msgspec.structs.replace(alert.actor, user=user),
    )


def test_after_so_many_the_rest_of_the_window_is_hidden() -> None:
    suppression = Suppression({RULE: Suppress(("user.username",), 60.0, 2)})
    times = (0, 10, 20, 59, 60, 65, 71, 80)
    hidden = [suppression.hides(at(time)) for time in times]
    assert hidden == [False, False, True, True, False, True, False, True]


def test_other_values_clusters_and_rules_are_apart() -> None:
    suppression = Suppression({RULE: BY_USER})
    alert = at(0)
    assert not suppression.hides(alert)
    assert suppression.hides(at(1))
    assert not suppression.hides(at(1, user="bob"))
    assert not suppression.hides(at(1, "c", cluster="test"))
    other = msgspec.structs.replace(alert.rule, id="other")
    assert not suppression.hides(at(1, "d", rule=other))
    assert not suppression.hides(at(2, "e", rule=other))


def test_forged_events_do_not_use_up_what_passes() -> None:
    suppression = Suppression({RULE: BY_USER})
    assert not suppression.hides(at(0), authenticated=False)
    assert suppression.hides(at(1), authenticated=False)
    assert not suppression.hides(at(2))


def test_the_same_alert_again_has_the_same_answer() -> None:
    suppression = Suppression({RULE: BY_USER})
    first, second = at(0), at(1)
    for _ in range(3):
        assert not suppression.hides(first)
        assert suppression.hides(second)


def test_an_alert_without_any_of_the_values_passes() -> None:
    suppression = Suppression({RULE: Suppress(("user.username", "nope"), 60.0)})
    assert [suppression.hides(at(time, user=None)) for time in range(3)] == [False] * 3
    assert len(suppression) == 0


def test_fields_that_the_alert_carries_count() -> None:
    suppression = Suppression({RULE: Suppress(("pod",), 60.0)})
    assert not suppression.hides(at(0, "a", fields={"pod": "web"}))
    assert not suppression.hides(at(1, "b", fields={"pod": ["web"]}))
    assert suppression.hides(at(2, "c", fields={"pod": "web"}))


def test_memory_is_bounded_and_what_is_forgotten_is_counted() -> None:
    suppression = Suppression({RULE: BY_USER}, max_keys=2)
    for user in ("a", "b", "a", "c"):
        suppression.hides(at(0, user=user))
    assert (len(suppression), suppression.evictions) == (2, 1)
    assert suppression.hides(at(1, user="a"))
    assert not suppression.hides(at(1, user="b"))


def test_changed_rules_begin_anew_and_others_go_on() -> None:
    suppression = Suppression({RULE: BY_USER, "gone": BY_USER})
    suppression.hides(at(0))
    suppression.replace({RULE: BY_USER})
    assert suppression.hides(at(1))
    suppression.replace({RULE: Suppress(("user.username",), 30.0)})
    assert not suppression.hides(at(2))


ALERTS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(-9, 0), st.sampled_from(["alice", "bob"])),
    max_size=40,
)


def in_order(drawn: list[tuple[int, int, str]]) -> list[Alert]:
    """Return alerts that arrive with time, each late by less than a window."""
    clock, made = 0, []
    for number, (step, late, user) in enumerate(drawn):
        clock += step
        made.append(at(clock + late, str(number), user))
    return made


def plain(alerts: list[Alert], window: float, after: int) -> list[bool]:
    """Return what is hidden, by looking through all that ever passed."""
    passed: list[tuple[str | None, float]] = []
    hidden = []
    for alert in alerts:
        user, time = alert.actor.user, datetime.fromisoformat(alert.time).timestamp()
        near = [one for one in passed if one[0] == user and abs(one[1] - time) < window]
        hidden.append(len(near) >= after)
        if not hidden[-1]:
            passed.append((user, time))
    return hidden


@given(ALERTS, st.integers(10, 60), st.integers(1, 4))
def test_it_does_what_a_plain_reading_says(
    drawn: list[tuple[int, int, str]], window: int, after: int
) -> None:
    alerts = in_order(drawn)
    suppression = Suppression({RULE: Suppress(("user.username",), float(window), after)})
    found = [suppression.hides(alert) for alert in alerts]
    assert found == plain(alerts, window, after)


@given(ALERTS, st.integers(0, 40))
def test_a_restart_changes_nothing(drawn: list[tuple[int, int, str]], cut: int) -> None:
    rules = {RULE: Suppress(("user.username",), 30.0, 2)}
    alerts = in_order(drawn)
    unbroken, first, second = Suppression(rules), Suppression(rules), Suppression(rules)
    expected = [unbroken.hides(alert) for alert in alerts]
    found = [first.hides(alert) for alert in alerts[:cut]]
    second.restore(first.save())
    assert found + [second.hides(alert) for alert in alerts[cut:]] == expected


@pytest.mark.parametrize("saved", [b"", b"nonsense", msgspec.msgpack.encode((2, []))])
def test_what_cannot_be_read_is_an_error_and_changes_nothing(saved: bytes) -> None:
    suppression = Suppression({RULE: BY_USER})
    assert not suppression.hides(at(0))
    with pytest.raises(ValueError, match=r"."):
        suppression.restore(saved)
    assert suppression.hides(at(1))


def test_rules_that_no_longer_suppress_are_forgotten() -> None:
    first, second = Suppression({RULE: BY_USER}), Suppression({})
    first.hides(at(0))
    second.restore(first.save())
    assert len(second) == 0
