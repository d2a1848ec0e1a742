"""When a channel tries again, and when it gives up: a real store, a scripted receiver, no network.

Time is a number of ours.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from tests.unit.notify.stories import TOKEN, close, group, make_incident, save
from tests.unit.store.samples import make_alert, with_severity
from tocsin.model.alert import Alert
from tocsin.model.outbox import Follow
from tocsin.model.ports import StoreUnavailable
from tocsin.notify import AnyChannelSettings, make_notifier, planner
from tocsin.notify.base import Outcome
from tocsin.notify.channel import GIVE_UP_SECONDS, Channel, Pacing, Tally
from tocsin.notify.message import Message
from tocsin.store import own_store
from tocsin.store.sqlite.outbox import SqliteOutbox

OK = Outcome(ok=True, detail="HTTP 200")
BAD = Outcome(ok=False, detail="HTTP 500")
NOW = 1_000_000.0
KINDS: dict[str, dict[str, Any]] = {
    "slack": {"url": "https://hooks.example/x"},
    "webhook": {"url": "https://soar.example", "secret": "0123456789abcdef"},
    "pagerduty": {"routing_key": "R"},
    "alertmanager": {"url": "http://am:9093"},
}


class Rig:
    """A channel with a scripted receiver and a clock."""

    def __init__(self, path: Path, kind: str = "slack", **settings: Any) -> None:
        self.store = own_store(path, {"oncall": "medium"}, NOW)
        self.now = NOW
        self.jitter = 1.0
        self.answers = deque[Outcome]()
        self.told: list[Message] = []
        self.registry = CollectorRegistry()
        values = {"type": kind, **KINDS[kind], "group_wait": 0, **settings}
        self.notifier = make_notifier("oncall", msgspec.convert(values, AnyChannelSettings))
        self.channel = Channel(
            self.notifier,
            self.post,
            self.store.outbox,
            self.store.incidents,
            Pacing(lambda: self.now, lambda: self.jitter),
            Tally(self.registry),
        )
        build = self.notifier.request

        def request(message: Message) -> object:
            self.told.append(message)
            return build(message)

        self.notifier.request = request  # type: ignore[method-assign]

    async def post(self, request: object, now: float) -> Outcome:
        assert request is not None
        assert now == self.now
        return self.answers.popleft() if self.answers else OK

    def round(self) -> float:
        return asyncio.run(self.channel.round())

    def rounds(self) -> list[Message]:
        """Run until nothing is due, and return what was told meanwhile."""
        before = len(self.told)
        while self.round() == 0.0:
            pass
        return self.told[before:]

    def record(self, *alerts: Alert, incident: str | None = None, **changes: Any) -> None:
        self.store.record(alerts, {}, self.now)
        made = make_incident(incident, **changes) if incident else None
        group(self.store, made, self.now)

    def follow(self, *, ends: bool = True, repeat: float = 0.0) -> None:
        self.store.outbox.follow("oncall", Follow(ends=ends, repeat_seconds=repeat), self.now)

    def counted(self, name: str, **labels: str) -> float:
        labels = {"channel": "oncall", **labels}
        return self.registry.get_sample_value(f"tocsin_notify_{name}_total", labels) or 0.0


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "tocsin.db")
    yield made
    made.store.close()


def pending(rig: Rig) -> int:
    return rig.store.outbox.backlog()["oncall"].pending if rig.store.outbox.backlog() else 0


def test_nothing_to_do(rig: Rig) -> None:
    assert rig.round() == 1.0


def test_one_message_for_an_incident_and_none_for_what_was_told(rig: Rig) -> None:
    rig.record(*(make_alert(f"a{n}") for n in range(30)), incident="i1")
    (message,) = rig.rounds()
    assert (message.reason, message.incident and message.incident.id) == ("new", "i1")
    assert (len(message.alerts), message.alerts_left_out) == (10, 20)
    assert (pending(rig), rig.counted("sent", outcome="sent"), rig.counted("alerts")) == (0, 1, 30)
    assert rig.rounds() == []


def test_news_of_an_incident_wait_for_the_interval(rig: Rig) -> None:
    rig.record(make_alert("a1"), incident="i1")
    assert len(rig.rounds()) == 1
    rig.record(make_alert("a2"), make_alert("a3"), incident="i1")
    rig.now += 299
    assert rig.rounds() == []
    rig.now += 1
    (message,) = rig.rounds()
    assert (message.reason, [alert.id for alert in message.alerts]) == ("more", ["a2", "a3"])


def test_a_rise_of_severity_and_a_new_technique_are_told_at_once(rig: Rig) -> None:
    rig.record(make_alert("a1"), incident="i1", techniques=())
    assert [message.reason for message in rig.rounds()] == ["new"]
    rig.now += 1
    rig.record(with_severity(make_alert("a2"), "critical"), incident="i1", severity="critical")
    assert [message.reason for message in rig.rounds()] == ["worse"]
    rig.now += 1
    rule = msgspec.structs.replace(make_alert().rule, attack=(TOKEN,))
    rig.record(make_alert("a3", rule=rule), incident="i1", severity="critical", techniques=(TOKEN,))
    assert rig.rounds() == [], "it was named in the story before"
    rig.now += 301
    rig.rounds()
    other = msgspec.structs.replace(TOKEN, technique="T1552")
    rule = msgspec.structs.replace(make_alert().rule, attack=(other,))
    rig.record(make_alert("a4", rule=rule), incident="i1", severity="critical")
    assert [message.reason for message in rig.rounds()] == ["worse"]


def test_an_incident_that_rises_by_itself_is_told(rig: Rig) -> None:
    rig.record(make_alert("a1"), incident="i1")
    rig.rounds()
    save(rig.store, make_incident("i1", severity="critical"), rig.now)
    rig.follow()
    (message,) = rig.rounds()
    assert (message.reason, message.severity, message.alerts) == ("worse", "critical", ())
    rig.follow()
    assert rig.rounds() == []


def test_a_storm_of_one_incident_is_a_few_messages(rig: Rig) -> None:
    for start in range(0, 800, 200):
        rig.record(*(make_alert(f"a{start + n}") for n in range(200)), incident="i1")
        rig.rounds()
        rig.now += 60
    rig.now += 300
    rig.rounds()
    assert [message.reason for message in rig.told] == ["new", "more"]
    assert (pending(rig), rig.counted("alerts")) == (0, 800)


def test_a_storm_of_unrelated_alerts_is_bounded_and_says_so(rig: Rig) -> None:
    alerts = [make_alert(f"a{n}", cluster=f"c{n}") for n in range(500)]
    rig.record(*alerts)
    told = rig.rounds()
    assert [message.reason for message in told] == ["new"] * 9 + ["storm"]
    storm = told[-1]
    assert (len(storm.subjects), storm.subjects_left_out) == (20, 471)
    assert (pending(rig), rig.counted("throttled"), rig.counted("alerts")) == (0, 491, 500)
    rig.record(make_alert("late", cluster="late"))
    assert rig.rounds() == []
    rig.now += 60
    assert [message.reason for message in rig.rounds()] == ["new"]


def test_machines_get_every_alert_whatever_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "WHOLE_ALERTS", 50)
    rig = Rig(tmp_path / "x.db", "webhook")
    ids = {f"a{n}" for n in range(120)}
    rig.record(*(make_alert(alert_id) for alert_id in sorted(ids)), incident="i1")
    told = rig.rounds()
    assert [len(message.alerts) for message in told] == [50, 50, 20]
    rig.record(*(make_alert(f"b{n}", cluster=f"c{n}") for n in range(60)))
    rig.now += 60
    told += rig.rounds()
    rig.store.close()
    assert {alert.id for message in told for alert in message.alerts} == ids | {
        f"b{n}" for n in range(60)
    }
    assert len(told) == 5


def test_what_waits_for_long_is_not_looked_at_again_and_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.record(make_alert("a1"), incident="i1")
    rig.rounds()
    rig.record(make_alert("a2"), incident="i1")
    assert [rig.rounds(), rig.rounds()] == [[], []]
    with monkeypatch.context() as patch:
        patch.delattr(SqliteOutbox, "topics")
        for _ in range(200):
            rig.now += 1
            assert rig.rounds() == []
    rig.record(make_alert("h1", source="health"), incident="i1")
    assert [message.subjects[0].key for message in rig.rounds()] == ["alert h1"]
    rig.now += 100
    assert [message.reason for message in rig.rounds()] == ["more"]


@pytest.mark.parametrize(
    ("attempts", "jitter", "pause"),
    [(0, 1.0, 2.0), (0, 0.0, 1.0), (1, 1.0, 4.0), (5, 0.5, 48.0), (7, 1.0, 256.0), (9, 1.0, 300.0)],
)
def test_each_failure_doubles_the_pause(
    rig: Rig, attempts: int, jitter: float, pause: float
) -> None:
    rig.record(make_alert("a1"), incident="i1")
    rig.store.outbox.topics("oncall", NOW)
    for _ in range(attempts):
        rig.store.outbox.failed([1], "before", NOW)
    rig.jitter = jitter
    rig.answers.append(BAD)
    rig.round()
    (topic,) = rig.store.outbox.topics("oncall", NOW)
    assert (topic.next_try - NOW, topic.attempts) == (pause, attempts + 1)
    assert rig.counted("sent", outcome="failed") == 1


def test_a_failing_channel_is_left_alone_for_longer_until_it_recovers(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "x.db", max_per_minute=1000)
    rig.record(*(make_alert(f"a{n}", cluster=f"c{n}") for n in range(40)))
    rig.answers.extend([*[BAD] * 28, OK, *[BAD] * 7])
    pauses = [rig.round() for _ in range(9)]
    rig.store.close()
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 0.0, 2.0]


def test_the_receiver_may_ask_for_more_patience(rig: Rig) -> None:
    rig.record(make_alert("a1", cluster="c1"), make_alert("a2", cluster="c2"))
    rig.answers.extend([OK, Outcome(ok=False, detail="HTTP 429", retry_after=70.0)])
    assert rig.round() == 70.0
    (topic,) = rig.store.outbox.topics("oncall", rig.now)
    assert topic.next_try == rig.now + 70.0


def test_a_retry_is_the_same_message(rig: Rig) -> None:
    rig.record(make_alert("a1"), incident="i1")
    rig.answers.append(BAD)
    rig.round()
    rig.now += 3
    rig.round()
    first, second = rig.told
    assert first.id == second.id
    rig.record(with_severity(make_alert("a2"), "critical"), incident="i1")
    rig.round()
    assert rig.told[-1].id != first.id


@pytest.mark.parametrize(("age", "dead"), [(-1.0, 0), (0.0, 1)])
def test_nothing_is_given_up_before_a_day(rig: Rig, age: float, dead: int) -> None:
    rig.record(make_alert("a1"), incident="i1")
    rig.now += GIVE_UP_SECONDS + 300 + age
    rig.answers.append(BAD)
    rig.round()
    assert rig.store.outbox.backlog()["oncall"].dead == dead
    assert rig.counted("sent", outcome="dead") == dead


def test_nothing_is_given_up_without_a_try(rig: Rig) -> None:
    rig.record(make_alert("a1"), incident="i1")
    rig.now += 10 * GIVE_UP_SECONDS
    rig.round()
    assert rig.store.outbox.backlog() == {}
    assert len(rig.told) == 1


def test_what_was_sent_is_not_sent_again_while_the_store_is_locked(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.record(make_alert("a1"), incident="i1")
    with monkeypatch.context() as patch:

        def locked(*_: object) -> None:
            raise StoreUnavailable

        patch.setattr(rig.store.outbox, "sent", locked)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                rig.round()
    rig.round()
    assert (len(rig.told), pending(rig)) == (1, 0)


def test_an_alert_that_cannot_be_told_does_not_stop_the_others(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.record(make_alert("a1", cluster="c1"), make_alert("a2", cluster="c2"))
    real = rig.notifier.request

    def request(message: Message) -> object:
        if message.alerts[0].id == "a1":
            raise ValueError(message.alerts[0].id)
        return real(message)

    monkeypatch.setattr(rig.notifier, "request", request)
    rig.round()
    assert pending(rig) == 1
    error = "the message cannot be built: ValueError('a1')"
    assert rig.store.outbox.backlog()["oncall"].error == error


def test_a_closed_incident_is_told_where_a_channel_knows_ends(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "x.db", "pagerduty")
    rig.record(make_alert("a1"), incident="i1")
    rig.rounds()
    close(rig.store, "i1", rig.now)
    rig.follow()
    assert [message.reason for message in rig.rounds()] == ["closed"]
    rig.follow()
    assert rig.rounds() == []
    rig.store.close()


def test_an_incident_that_was_opened_again_meanwhile_has_not_ended(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "x.db", "pagerduty")
    rig.record(make_alert("a1"), incident="i1")
    rig.rounds()
    close(rig.store, "i1", rig.now)
    rig.follow()
    save(rig.store, make_incident("i1"), rig.now)
    assert rig.rounds() == []
    assert pending(rig) == 0
    rig.store.close()


def test_alerts_of_a_merged_incident_are_told_with_the_other(rig: Rig) -> None:
    rig.record(make_alert("a1"), incident="i1")
    rig.store.outbox.topics("oncall", rig.now)
    with rig.store.incidents.grouping.batch(0) as batch:
        batch.save(make_incident("i2"), b"{}", [])
        batch.move("i1", "i2")
    assert rig.rounds() == []
    (message,) = rig.rounds()
    assert (message.subjects[0].key, [a.id for a in message.alerts]) == ("incident i2", ["a1"])


def test_an_end_by_merging_names_the_former_incident(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "x.db", "pagerduty")
    rig.record(make_alert("a1"), incident="i1")
    rig.rounds()
    with rig.store.incidents.grouping.batch(0) as batch:
        batch.save(make_incident("i2", updated=rig.now), b"{}", [])
        batch.move("i1", "i2")
    rig.follow()
    (message,) = rig.rounds()
    assert (message.reason, message.subjects[0].key) == ("closed", "incident i1")
    rig.store.close()


def test_alertmanager_is_told_the_end_by_the_alerts(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "x.db", "alertmanager")
    rig.record(make_alert("a1"), make_alert("a2"), incident="i1")
    rig.rounds()
    close(rig.store, "i1", rig.now)
    rig.follow()
    (message,) = rig.rounds()
    assert (message.reason, [alert.id for alert in message.alerts]) == ("closed", ["a1", "a2"])
    rig.store.close()


def test_an_open_incident_is_told_again_until_somebody_has_it(rig: Rig) -> None:
    rig.record(make_alert("a1"), incident="i1")
    rig.rounds()
    rig.now += 3600
    rig.follow(repeat=3600)
    assert [message.reason for message in rig.rounds()] == ["repeat"]
    rig.now += 3600
    rig.follow(repeat=3600)
    save(rig.store, make_incident("i1", state="acknowledged"), rig.now)
    assert rig.rounds() == []
    assert pending(rig) == 0


def test_an_incident_that_is_gone_is_told_by_its_alerts(rig: Rig) -> None:
    rig.store.record([make_alert("a1")], {}, rig.now)
    group(rig.store, None)
    (message,) = rig.rounds()
    assert (message.incident, message.subjects[0].title) == (None, "Privileged pod created")
