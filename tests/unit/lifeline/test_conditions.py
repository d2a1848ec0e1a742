from collections.abc import Iterable, Mapping

import pytest

from tocsin.lifeline import conditions
from tocsin.lifeline.conditions import FORGET_SECONDS
from tocsin.lifeline.health import Condition
from tocsin.lifeline.losses import Losses
from tocsin.lifeline.outages import open_outage
from tocsin.lifeline.presence import Node, NodeKey
from tocsin.lifeline.track import Track
from tocsin.model.ports import SourceState

NOW = 1_700_000_000.0
BEFORE = NOW - 10_000

Nodes = dict[NodeKey, Node]


def source(last: float, **changes: object) -> SourceState:
    """A regular source that was heard `last` seconds ago."""
    values: dict[str, object] = {
        "cluster": "prod",
        "node": "cp-1",
        "source": "webhook",
        "first_received": NOW - 20_000,
        "last_received": NOW - last,
        "last_event": NOW - last,
        "posts": 1000,
        "usual": 20.0,
    }
    return SourceState(**(values | changes))  # type: ignore[arg-type]


def silent(
    *sources: SourceState,
    since: float = BEFORE,
    standing: Mapping[str, float] | None = None,
) -> list[str]:
    found = conditions.silent_sources(sources, NOW, since, 300, standing or {})
    return [one.key for one in found]


KEY = "tocsin-line-silent prod/cp-1 webhook"


def test_a_source_that_falls_silent() -> None:
    assert silent(source(299)) == []
    assert silent(source(301)) == [KEY]
    assert silent(source(899, usual=300.0)) == []
    assert silent(source(901, usual=300.0)) == [KEY]


def test_a_source_without_habits_breaks_none() -> None:
    assert silent(source(301, posts=19)) == []
    assert silent(source(301, first_received=NOW - 800)) == []
    assert silent(source(301, source="backfill")) == []


def test_while_tocsin_was_away_nobody_was_silent() -> None:
    assert silent(source(5000), since=NOW - 299) == []
    assert silent(source(5000), since=NOW - 301) == [KEY]


def test_what_was_silent_stays_so_until_it_is_heard() -> None:
    standing = {KEY: NOW - 4000}
    assert silent(source(5000), since=NOW, standing=standing) == [KEY]
    assert silent(source(10), since=NOW, standing=standing) == []
    assert silent(source(FORGET_SECONDS + 1), since=BEFORE, standing=standing) == []


def test_the_message_says_who_since_when_and_what_to_do() -> None:
    (found,) = conditions.silent_sources([source(301)], NOW, BEFORE, 300, {})
    assert found.message == (
        "prod/cp-1: nothing was received over webhook since 2023-11-14 22:08:19Z, where posts "
        "used to come at least every 20 s; `tocsin doctor` finds out why"
    )


def canary(
    sent: Iterable[float], heard: float, standing: Mapping[str, float] | None = None
) -> list[Condition]:
    times = [NOW + one for one in sent]
    return list(conditions.silent_canary("prod", times, heard, NOW, standing or {}))


def test_a_canary_that_does_not_come_back() -> None:
    assert not canary([], 0)
    assert not canary([-100, -40], 0)
    assert not canary([-160, -100, -40], NOW - 160)
    (found,) = canary([-166, -106, -46], NOW - 166)
    assert found.key == "tocsin-line-silent prod/- canary"
    assert "since that of 2023-11-14 22:10:34Z" in found.message
    assert "none ever did" in canary([-106], 0)[0].message


def test_within_three_minutes_of_the_break_it_is_noticed() -> None:
    # The worst moment: right after a canary was sent, which still came back.
    for interval in (60, 61):
        sent = [-180 + interval * number for number in range(3)]
        assert canary(sent, NOW - 180)


def test_a_silent_canary_stays_so_over_a_restart() -> None:
    standing = {"tocsin-line-silent prod/- canary": NOW - 600}
    assert canary([], NOW - 900, standing)
    assert not canary([-60], NOW - 60, standing)


def test_an_api_server_that_cannot_be_asked() -> None:
    assert not list(conditions.unsent_canary("prod", 0, "", NOW))
    assert not list(conditions.unsent_canary("prod", NOW - 149, "refused", NOW))
    (found,) = conditions.unsent_canary("prod", NOW - 151, "refused", NOW)
    assert found.message.endswith("alive: refused")


def missing_from(ended: float) -> Condition:
    recent = Track.over(int(NOW) - 3600, int(NOW))
    for second in range(int(NOW) - 1800, int(NOW) - 1000):
        recent.mark(second)
    outage = open_outage(NOW - 1000, NOW - 1000 + 181, recent, away=True)
    nodes: Nodes = {("prod", "cp-1"): Node(recent, NOW, outages=[outage])}
    (found,) = conditions.outages(nodes, NOW - 1000 + 181 + ended, settle=300)
    return found


def test_an_outage_is_told_at_once_and_a_gap_when_it_is_sure() -> None:
    outage, gap = missing_from(300), missing_from(301)
    assert (outage.alert, gap.alert) == (False, True)
    assert outage.key == "tocsin-line-outage prod/cp-1 2023-11-14T21:56:40Z"
    assert gap.key == "tocsin-line-gap prod/cp-1 2023-11-14T21:56:40Z"
    assert outage.message == (
        "prod/cp-1: nothing was received from 2023-11-14 21:56:40Z to 21:59:41Z, when Tocsin was "
        "restarted; 181 s of events may still come until 2023-11-14 22:04:41Z: "
        "2023-11-14 21:56:40Z to 21:59:41Z"
    )
    assert gap.message == (
        "prod/cp-1: 181 s of events are missing: 2023-11-14 21:56:40Z to 21:59:41Z (nothing was "
        "received from 2023-11-14 21:56:40Z to 21:59:41Z, when Tocsin was restarted). If the node "
        "keeps an audit log, `tocsin backfill` brings them back"
    )
    assert gap.fields == {"seconds": 181, "from": "2023-11-14 21:56:40Z"}


def test_many_stretches_are_told_in_few_words() -> None:
    recent = Track.over(int(NOW) - 3600, int(NOW))
    for second in range(int(NOW) - 1800, int(NOW) - 1000):
        recent.mark(second)
    outage = open_outage(NOW - 1000, NOW, recent, away=False)
    for second in range(0, 1000, 100):
        outage.track.mark(int(NOW) - 1000 + second)
    nodes: Nodes = {("prod", None): Node(recent, NOW, outages=[outage])}
    (found,) = conditions.outages(nodes, NOW + 600, settle=300)
    assert found.message.startswith("prod: 990 s of events are missing: ")
    assert found.message.count("Z to ") == 4
    assert " and 7 more times (" in found.message


@pytest.mark.parametrize(
    ("skew", "text"),
    [
        (301.0, "about 5 minutes behind"),
        (-3600.0, "about 60 minutes ahead of"),
        (7300.0, "about 2 hours behind"),
    ],
)
def test_a_wrong_clock(skew: float, text: str) -> None:
    (found,) = conditions.wrong_clocks([source(1, skew=skew)], NOW)
    assert text in found.message


def test_a_clock_that_is_right_or_unknown() -> None:
    good = [
        source(1, skew=299.0),
        source(1, skew=3600.0, source="file"),
        source(1, skew=3600.0, posts=2),
        source(3601, skew=3600.0),
    ]
    assert not list(conditions.wrong_clocks(good, NOW))


def test_old_events() -> None:
    assert not list(conditions.stale_posts([source(1)], NOW))
    old = source(1, stale=5, stale_since=NOW - 9000, stale_last=NOW - 3599)
    (found,) = conditions.stale_posts([old], NOW)
    assert found.key == "tocsin-stale-batch prod/cp-1 2023-11-14T19:43:20Z"
    assert not list(conditions.stale_posts([old], NOW + 2))


def test_what_the_api_server_says_it_lost() -> None:
    losses = Losses({}, NOW - 60, NOW, {"webhook": 120, "buffered": 3})
    (found,) = conditions.dropped_events("prod", losses, NOW)
    assert "gave 123 audit events up since 2023-11-14 22:12:20Z (buffered 3, webhook 120)" in (
        found.message
    )
    assert not list(conditions.dropped_events("prod", Losses(), NOW))
