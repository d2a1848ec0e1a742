from hypothesis import given
from hypothesis import strategies as st

from tocsin.lifeline.outages import KEEP_SECONDS, is_over, missing, open_outage
from tocsin.lifeline.track import Track

NOW = 1_700_000_000


def heard(*seconds: int) -> Track:
    """An hour up to now with events in these seconds, counted from now."""
    recent = Track.over(NOW - 3599, NOW + 1)
    for second in seconds:
        recent.mark(NOW + second)
    return recent


BUSY = range(-600, 1)


def test_a_busy_line_misses_what_is_not_there() -> None:
    outage = open_outage(NOW, NOW + 180, heard(*BUSY), away=True)
    assert missing(outage) == ([(NOW + 1, NOW + 180)], 179)
    for late in range(1, 140):
        outage.track.mark(NOW + late)
    assert missing(outage) == ([(NOW + 140, NOW + 180)], 40)


def test_a_line_that_is_quiet_by_habit_misses_only_more_than_usual() -> None:
    for end, lost in ((90, 0), (92, 91)):
        outage = open_outage(NOW, NOW + end, heard(*range(-600, 1, 61)), away=False)
        assert outage.usual == 60
        outage = open_outage(NOW, NOW + end, heard(*range(-610, 1, 61)), away=False)
        assert missing(outage).seconds == lost


def test_events_before_the_outage_may_be_missing_too() -> None:
    outage = open_outage(NOW, NOW + 60, heard(*range(-600, -29), *range(-10, 1)), away=True)
    assert missing(outage).stretches == [(NOW - 29, NOW - 10), (NOW + 1, NOW + 60)]
    outage = open_outage(NOW, NOW + 60, heard(*range(-600, -29)), away=True)
    assert missing(outage).stretches == [(NOW - 29, NOW + 60)]


def test_before_the_first_event_nobody_listened() -> None:
    outage = open_outage(NOW, NOW + 100, heard(-5, -4, -3, -2, -1, 0), away=True)
    assert missing(outage).stretches == [(NOW + 1, NOW + 100)]
    assert missing(open_outage(NOW, NOW + 100, heard(), away=True)).seconds == 100


def test_of_a_line_that_is_new_short_pauses_are_not_missing() -> None:
    for known, lost in ((600, 8), (500, 0)):
        outage = open_outage(NOW, NOW + 60, heard(*range(-known, 1)), away=True)
        for second in range(1, 61):
            if not 10 <= second < 18:
                outage.track.mark(NOW + second)
        assert missing(outage).seconds == lost


def test_an_outage_is_over_when_nothing_is_missing_or_long_ago() -> None:
    outage = open_outage(NOW, NOW + 60, heard(*BUSY), away=True)
    assert not is_over(outage, NOW + 1000, settle=300)
    assert is_over(outage, NOW + 61 + KEEP_SECONDS, settle=300)
    for second in range(61):
        outage.track.mark(NOW + second)
    assert not is_over(outage, NOW + 359, settle=300)
    assert is_over(outage, NOW + 361, settle=300)


@given(st.integers(30, 20_000), st.sets(st.integers(0, 20_000)))
def test_what_arrives_never_makes_it_worse(length: int, late: set[int]) -> None:
    outage = open_outage(NOW, NOW + length, heard(*BUSY), away=True)
    before = missing(outage).seconds
    for second in late:
        outage.track.mark(NOW + second)
        after = missing(outage).seconds
        assert after <= before
        before = after
    for second in range(length):
        outage.track.mark(NOW + second)
    assert not missing(outage).stretches
