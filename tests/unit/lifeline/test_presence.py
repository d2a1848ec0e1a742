from datetime import UTC, datetime

import pytest

from tocsin.lifeline import presence
from tocsin.lifeline.outages import missing
from tocsin.lifeline.presence import Heard, Node, Pauses, Presence, decode_node, epoch
from tocsin.model.ports import SourceState

NOW = 1_700_000_000.0
KEY = ("prod", "cp-1")


def text(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def post(at: float, *events: float, source: str = "webhook", node: str | None = "cp-1") -> Heard:
    """A post `at` seconds from now, with events at these seconds from now."""
    times = {text(NOW + second) for second in events}
    return Heard("prod", node, source, NOW + at, len(events), times)


def listening(*, settle: float = 300) -> Presence:
    return Presence([], {}, settle)


def restarted(former: Presence) -> Presence:
    """What goes on from what the former one stored."""
    states, nodes = former.changes()
    return Presence(states, nodes, 300)


def busy(state: Presence, start: int, end: int, **how: str) -> None:
    """Have a post a second, of that second."""
    for second in range(start, end):
        state.heard(post(second, second - 1, second, **how))


def node(state: Presence, key: tuple[str, str | None] = KEY) -> Node:
    return decode_node(state.changes()[1][key])


def source(state: Presence, way: str = "webhook") -> SourceState:
    (found,) = [one for one in state.changes()[0] if one.source == way]
    return found


def lost(state: Presence) -> list[int]:
    return [missing(outage).seconds for outage in node(state).outages]


def test_what_is_known_of_a_source() -> None:
    state = listening()
    state.heard(post(0, -3, -1))
    state.heard(post(10, 5))
    assert source(state) == SourceState(
        cluster="prod",
        node="cp-1",
        source="webhook",
        first_received=NOW,
        last_received=NOW + 10,
        last_event=NOW + 5,
        skew=1.0,
        events=3,
        posts=2,
        longest=10.0,
        usual=0.0,
    )
    state.settle_changes()
    assert state.changes() == ([], {})


def test_an_outage_while_tocsin_is_away() -> None:
    first = listening()
    busy(first, 0, 60)
    second = restarted(first)
    second.heard(post(240, 239))
    assert lost(second) == [179]
    assert node(second).outages[0].away
    busy(second, 241, 300)
    assert lost(second) == [179]
    second.heard(post(301, *range(60, 239)))
    assert lost(second) == [0]
    busy(second, 302, 600)
    assert lost(second) == [], "it is over, and forgotten"


def test_an_outage_of_half_a_day() -> None:
    first = listening()
    for at in range(0, 1200, 20):
        first.heard(post(at, at))
    second = restarted(first)
    second.heard(post(43_200, 43_200))
    (outage,) = node(second).outages
    assert outage.usual == 19, "what was usual before is not forgotten over it"
    assert missing(outage).seconds == pytest.approx(42_000, abs=2 * outage.track.step)
    second.heard(post(43_201, *range(1180, 43_200, 10), source="backfill"))
    assert lost(second) == [0]


def test_a_restart_that_loses_nothing_is_no_outage() -> None:
    first = listening()
    busy(first, 0, 60)
    second = restarted(first)
    busy(second, 85, 100)
    assert lost(second) == []


def test_an_outage_of_the_line_alone() -> None:
    state = listening()
    busy(state, 0, 60)
    busy(state, 115, 130)
    assert lost(state) == []
    busy(state, 130, 200)
    busy(state, 500, 510)
    assert lost(state) == [299]
    assert not node(state).outages[0].away


def test_a_source_that_pauses_by_habit_has_no_outage() -> None:
    state = listening()
    for second in range(0, 4000, 50):
        state.heard(post(second, second))
    state.heard(post(4045, 4045))
    assert lost(state) == []


def test_both_ways_from_a_node_count_together() -> None:
    state = listening()
    busy(state, 0, 60)
    busy(state, 60, 300, source="file")
    busy(state, 300, 310)
    assert lost(state) == []


def test_a_file_read_later_fills_the_gap_and_is_no_sign_of_life() -> None:
    state = listening()
    busy(state, 0, 60)
    state.heard(post(400, *range(60, 200), source="backfill"))
    busy(state, 500, 510)
    assert lost(state) == [299]
    state.heard(post(520, *range(60, 400), source="backfill"))
    assert lost(state) == [99]
    state.heard(post(521, *range(400, 500), source="backfill", node=None))
    assert lost(state) == [0], "there is but one node, so it is that one's"


def test_a_file_that_names_no_node_fills_nothing_when_there_are_several() -> None:
    state = listening()
    busy(state, 0, 60)
    state.heard(Heard("prod", "cp-2", "webhook", NOW, 1, {text(NOW)}))
    busy(state, 500, 510)
    state.heard(post(521, *range(40, 500), source="backfill", node=None))
    assert lost(state) == [439]


def test_a_second_outage_is_not_measured_by_the_first() -> None:
    state = listening()
    busy(state, 0, 60)
    busy(state, 300, 360)
    busy(state, 450, 460)
    assert lost(state) == [239, 89]


def test_a_clock_that_is_off_by_an_hour_fakes_no_gap() -> None:
    for off in (3600, -3600):
        first = listening()
        for at in range(60):
            first.heard(post(at, at + off))
        second = restarted(first)
        second.heard(post(120, 120 + off))
        second.heard(post(121, *range(60 + off, 121 + off)))
        assert lost(second) == [0]
        assert source(second).skew == pytest.approx(-off, abs=1)


def test_the_skew_is_that_of_the_post_with_the_least_delay() -> None:
    state = listening()
    state.heard(post(0, -200))
    state.heard(post(1, -1))
    state.heard(post(2, -90))
    assert source(state).skew == 2
    state.heard(post(600, 500))
    assert source(state).skew == 100


def test_old_events_over_the_webhook_are_noticed() -> None:
    state = listening()
    for way in ("file", "backfill"):
        state.heard(post(0, -86_400, source=way))
        assert source(state, way).stale == 0
    state.heard(post(0, -3599))
    assert source(state).stale == 0
    state.heard(post(10, -86_400))
    state.heard(post(20, -86_400))
    assert (source(state).stale, source(state).stale_since) == (2, NOW + 10)
    state.heard(post(5000, 0))
    assert (source(state).stale, source(state).stale_since) == (3, NOW + 5000)
    assert source(state).stale_last == NOW + 5000


def test_a_clock_of_ours_that_goes_back_takes_nothing_back() -> None:
    state = listening()
    busy(state, 0, 60)
    state.heard(post(-3000, 60))
    state.heard(post(61, 61))
    assert source(state).last_received == NOW + 61
    state.heard(post(5, 62))
    assert source(state).last_received == NOW + 61
    assert lost(state) == []


def test_times_that_are_none_are_left_out() -> None:
    state = listening()
    state.heard(Heard("prod", None, "webhook", NOW, 3, {"", "soon", "9999-99-99T00:00:00"}))
    assert (source(state).last_event, source(state).posts, source(state).skew) == (0, 1, 0)


def test_sources_are_limited_per_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "MAX_SOURCES", 3)
    state = listening()
    for number in range(5):
        state.heard(post(0, 0, node=f"cp-{number}"))
    assert len(state.changes()[0]) == 3
    assert state.untracked == 2
    state.heard(Heard("other", None, "webhook", NOW, 0, set()))
    assert len(state.changes()[0]) == 4


def test_outages_are_limited_per_node() -> None:
    state = listening()
    busy(state, 0, 60)
    for number in range(1, 12):
        busy(state, number * 5000, number * 5000 + 2)
    assert len(node(state).outages) == presence.MAX_OUTAGES


def test_usual_pauses_are_learnt_and_forgotten() -> None:
    assert Pauses().after(30) == Pauses(30, 0)
    assert Pauses(30, 30).after(10_000).longest == 900
    assert Pauses(30, 30).after(10_000).usual < 30, "one long pause is no habit"
    assert Pauses(900, 30).after(800).usual == 800
    pauses = Pauses(800, 800)
    for _ in range(360):
        pauses = pauses.after(60)
    assert pauses.usual == pytest.approx(400)


def test_a_cluster_that_sleeps_again_and_again_is_known() -> None:
    state = listening()
    for number in range(5):
        busy(state, number * 500, number * 500 + 60)
    assert len(lost(state)) == 2


def test_times_are_read_to_the_second() -> None:
    assert epoch("2023-11-14T22:13:20") == NOW
    assert epoch("x") is None
