from hypothesis import given
from hypothesis import strategies as st

from tocsin.lifeline.track import MAX_STEPS, Track

START = 1_700_000_000


def track(*seconds: int, length: int = 20) -> Track:
    made = Track.over(START, START + length)
    for second in seconds:
        made.mark(START + second)
    return made


def test_pauses_are_the_stretches_without_events() -> None:
    assert track(0, 1, 5, 19).pauses() == [(START + 2, START + 5), (START + 6, START + 19)]
    assert track().pauses() == [(START, START + 20)]
    assert track(*range(20)).pauses() == []


def test_what_lies_outside_is_left_alone() -> None:
    assert track(-1, 20, 10**9, -(10**9)).pauses() == [(START, START + 20)]


def test_a_long_stretch_is_looked_at_in_longer_steps() -> None:
    made = Track.over(START, START + 86_400)
    assert (made.step, len(made.seen)) == (24, MAX_STEPS)
    made.mark(START + 30)
    assert made.pauses() == [(START, START + 24), (START + 48, START + 86_400)]


def test_moving_keeps_what_is_recent() -> None:
    made = track(0, 15)
    made.move_to(START + 30)
    assert (made.origin, made.end, made.last_before(made.end)) == (
        START + 11,
        START + 31,
        START + 15,
    )
    made.move_to(START + 20)
    assert made.end == START + 31, "it never moves back"
    made.move_to(START + 10_000)
    assert (made.end, made.first()) == (START + 10_001, None)


def test_the_longest_pause_lies_between_events() -> None:
    made = track(3, 4, 9, 12)
    assert made.longest_pause(START + 20) == 4
    assert made.longest_pause(START + 5) == 0
    assert track().longest_pause(START + 20) == 0


@given(st.sets(st.integers(0, 99)), st.integers(1, 300))
def test_pauses_and_events_make_up_the_whole(seconds: set[int], on: int) -> None:
    made = track(*seconds, length=100)
    dark = {one for start, end in made.pauses() for one in range(start - START, end - START)}
    assert dark == set(range(100)) - seconds
    made.move_to(START + 99 + on)
    moved = {one for start, end in made.pauses() for one in range(start - START, end - START)}
    assert moved == set(range(on, 100 + on)) - seconds
