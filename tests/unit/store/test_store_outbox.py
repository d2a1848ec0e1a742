"""The notification queue."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.notify.stories import close, group, make_incident, save
from tests.unit.store.samples import make_alert, with_severity
from tocsin.model.alert import SEVERITIES, RuleRef
from tocsin.model.outbox import Follow, Told
from tocsin.model.ports import Backlog
from tocsin.model.routes import Route
from tocsin.store import SqliteStore, own_store
from tocsin.store.sqlite import schema

LATER = 100.0


def queued(store: SqliteStore, channel: str, now: float = LATER) -> list[str]:
    keys = [topic.key for topic in store.outbox.topics(channel, now)]
    return sorted(a.id for a in store.outbox.take(channel, keys, 100, now, whole=True).alerts)


def rows(store: SqliteStore, *keys: str) -> tuple[int, ...]:
    return store.outbox.take("chat", keys, 100, LATER, whole=True).rows


def test_each_channel_gets_what_reaches_its_severity(store: SqliteStore) -> None:
    store.record([with_severity(make_alert(level), level) for level in SEVERITIES], {}, 1.0)
    assert queued(store, "chat") == ["critical", "high", "medium"]
    assert queued(store, "pager") == ["critical"]
    assert queued(store, "unknown") == []


def test_routes_decide_first(tmp_path: Path) -> None:
    routes = [Route(to=("mail",), clusters=("prod",)), Route(to=("chat",))]
    with own_store(tmp_path / "x.db", {"chat": "info", "mail": "high"}, 1.0, routes) as store:
        store.record([make_alert("a1"), make_alert("a2", cluster="lab")], {}, 1.0)
        assert (queued(store, "mail"), queued(store, "chat")) == (["a1"], ["a2"])


def test_an_alert_is_queued_once_however_often_it_is_recorded(store: SqliteStore) -> None:
    for now in (1.0, 2.0, 3.0):
        store.record([make_alert(evidence=[f"digest-{now}"])], {}, now)
    (topic,) = store.outbox.topics("chat", LATER)
    taken = store.outbox.take("chat", [topic.key], 10, LATER, whole=True)
    assert (taken.attempts, taken.oldest, topic.alerts) == (0, 1.0, 1)
    assert taken.alerts[0].evidence == ["digest-1.0", "digest-2.0", "digest-3.0"]
    store.outbox.sent("chat", taken.rows, {})
    store.record([make_alert()], {}, 5.0)
    assert queued(store, "chat") == []


def test_alerts_of_an_incident_are_one_topic(store: SqliteStore) -> None:
    store.record([make_alert("a1"), with_severity(make_alert("a2"), "medium")], {}, 1.0)
    assert store.outbox.topics("chat", 2.0) == [], "nobody has looked for their incident yet"
    group(store, make_incident("i1", severity="critical"))
    (topic,) = store.outbox.topics("chat", 2.0)
    assert (topic.key, topic.incident, topic.alerts, topic.oldest) == ("incident i1", "i1", 2, 1.0)
    assert (topic.severity, topic.techniques) == ("critical", frozenset({"T1611"}))
    assert (topic.news, topic.told) == (frozenset({"alert"}), None)


def test_alerts_of_no_incident_are_told_by_rule(store: SqliteStore) -> None:
    store.record([make_alert("a1"), make_alert("a2", cluster="lab"), make_alert("a3")], {}, 1.0)
    group(store, None)
    found = {topic.key: topic.alerts for topic in store.outbox.topics("chat", 2.0)}
    assert found == {"rule prod 5c1b": 2, "rule lab 5c1b": 1}


def test_an_alert_that_is_not_grouped_is_told_alone_after_half_a_minute(store: SqliteStore) -> None:
    store.record([make_alert("a1")], {}, 1.0)
    assert store.outbox.topics("chat", 30.9) == []
    (topic,) = store.outbox.topics("chat", 31.0)
    assert topic.key == "alert a1"
    group(store, make_incident())
    assert [one.key for one in store.outbox.topics("chat", 32.0)] == ["alert a1"], "told once"


def test_the_alarm_itself_is_told_at_once(store: SqliteStore) -> None:
    store.record([make_alert("h1", source="health")], {}, 1.0)
    assert [topic.key for topic in store.outbox.topics("chat", 1.0)] == ["alert h1"]


def test_a_failed_try_waits_for_its_time(store: SqliteStore) -> None:
    store.record([make_alert("a1"), make_alert("a2", source="health")], {}, 1.0)
    group(store, make_incident())
    store.outbox.topics("chat", 2.0)
    store.outbox.failed(rows(store, "incident i1"), "HTTP 500", 60.0)
    found = {topic.key: topic for topic in store.outbox.topics("chat", 2.0)}
    assert (found["incident i1"].next_try, found["incident i1"].attempts) == (60.0, 1)
    assert (found["alert a2"].next_try, found["alert a2"].attempts) == (1.0, 0)
    store.outbox.sent("chat", rows(store, "alert a2"), {})
    assert store.outbox.backlog()["chat"] == Backlog(1, 0, 1.0, "HTTP 500")


def test_people_are_shown_the_worst_alerts_and_settle_all(store: SqliteStore) -> None:
    alerts = [with_severity(make_alert(f"m{n}"), "medium") for n in range(20)]
    store.record([*alerts, make_alert("worst")], {}, 1.0)
    group(store, make_incident())
    store.outbox.topics("chat", 2.0)
    shown = store.outbox.take("chat", ["incident i1"], 3, 2.0, whole=False)
    assert [alert.id for alert in shown.alerts] == ["worst", "m0", "m1"]
    assert (len(shown.rows), shown.counts) == (21, {"incident i1": 21})
    whole = store.outbox.take("chat", ["incident i1"], 3, 2.0, whole=True)
    assert [alert.id for alert in whole.alerts] == ["m0", "m1", "m2"]
    assert (len(whole.rows), whole.counts) == (3, {"incident i1": 3})
    store.outbox.sent("chat", shown.rows, {})
    assert store.outbox.backlog().get("chat") is None


def test_what_was_told_is_remembered(store: SqliteStore) -> None:
    store.record([make_alert("a1")], {}, 1.0)
    group(store, make_incident())
    store.outbox.topics("chat", 2.0)
    told = Told(2.5, "high", frozenset({"T1528", "T1611"}))
    store.outbox.sent("chat", rows(store, "incident i1"), {"incident i1": told})
    store.record([make_alert("a2")], {}, 3.0)
    group(store, make_incident())
    (topic,) = store.outbox.topics("chat", 4.0)
    assert topic.told == told


def tell(store: SqliteStore, *, severity: str = "high", closed: bool = False) -> None:
    """Let an incident be known to the channel."""
    store.record([make_alert("a1")], {}, 1.0)
    group(store, make_incident(severity=severity))
    store.outbox.topics("chat", 2.0)
    told = Told(2.0, "high", frozenset(), closed)
    store.outbox.sent("chat", rows(store, "incident i1"), {"incident i1": told})


@pytest.mark.parametrize("ends", [True, False])
def test_the_end_of_an_incident_is_news_for_channels_that_know_ends(
    store: SqliteStore, *, ends: bool
) -> None:
    tell(store)
    follow = Follow(since=0.0, ends=ends)
    store.outbox.follow("chat", follow, 3.0)
    assert store.outbox.topics("chat", 3.0) == []
    close(store, "i1", 4.0)
    for now in (5.0, 6.0):
        store.outbox.follow("chat", follow, now)
    topics = store.outbox.topics("chat", 6.0)
    assert [(topic.news, topic.alerts, topic.oldest) for topic in topics] == (
        [(frozenset({"closed"}), 0, 5.0)] if ends else []
    )


def test_an_end_that_is_known_is_no_news(store: SqliteStore) -> None:
    tell(store, closed=True)
    close(store, "i1", 4.0)
    store.outbox.follow("chat", Follow(ends=True), 5.0)
    assert store.outbox.topics("chat", 6.0) == []


def test_an_incident_that_became_part_of_another_has_ended(store: SqliteStore) -> None:
    tell(store)
    with store.incidents.grouping.batch(0) as batch:
        batch.save(make_incident("i2", updated=4.0), b"{}", [])
        batch.move("i1", "i2")
    store.outbox.follow("chat", Follow(since=3.0, ends=True), 5.0)
    (topic,) = store.outbox.topics("chat", 6.0)
    assert (topic.key, topic.news) == ("incident i1", frozenset({"closed"}))


def test_an_incident_that_became_worse_is_news(store: SqliteStore) -> None:
    tell(store)
    save(store, make_incident(severity="critical"), 4.0)
    store.outbox.follow("chat", Follow(since=4.5), 5.0)
    assert store.outbox.topics("chat", 5.0) == [], "not what happened before"
    store.outbox.follow("chat", Follow(since=4.0), 5.0)
    (topic,) = store.outbox.topics("chat", 5.0)
    assert (topic.news, topic.severity) == (frozenset({"worse"}), "critical")


def test_an_open_incident_is_told_again(store: SqliteStore) -> None:
    tell(store)
    store.outbox.follow("chat", Follow(repeat_seconds=60), 61.9)
    assert store.outbox.topics("chat", 62.0) == []
    store.outbox.follow("chat", Follow(repeat_seconds=60), 62.0)
    assert [topic.news for topic in store.outbox.topics("chat", 62.0)] == [frozenset({"repeat"})]


def test_old_knowledge_is_forgotten(store: SqliteStore) -> None:
    tell(store)
    store.outbox.follow("chat", Follow(), 91 * 86400.0)
    save(store, make_incident(severity="critical"), 92 * 86400.0)
    store.outbox.follow("chat", Follow(), 92 * 86400.0)
    assert store.outbox.topics("chat", 1e9) == []


def test_an_incident_that_is_worse_than_its_alerts_is_found(store: SqliteStore) -> None:
    store.record([make_alert("a1"), with_severity(make_alert("a2"), "low")], {}, 10.0)
    group(store, make_incident(severity="high"), 11.0)
    assert store.outbox.risen(0.0) == []
    save(store, make_incident(severity="critical"), 12.0)
    (risen,) = store.outbox.risen(10.0)
    assert (risen.incident, risen.severity, risen.alert.id) == ("i1", "critical", "a1")
    assert store.outbox.risen(10.1) == [], "its alerts are older than that"


def test_a_risen_incident_is_queued_once(store: SqliteStore) -> None:
    store.record([make_alert("a1")], {}, 10.0)
    group(store, make_incident(severity="critical"), 11.0)
    for now in (12.0, 13.0):
        store.outbox.queue_incident(["chat", "pager"], "i1", "critical", now)
    (topic,) = store.outbox.topics("pager", 13.0)
    assert (topic.key, topic.news, topic.severity) == (
        "incident i1",
        frozenset({"worse"}),
        "critical",
    )
    assert [topic.alerts for topic in store.outbox.topics("chat", 13.0)] == [1], "waits already"
    taken = store.outbox.take("pager", ["incident i1"], 10, 13.0, whole=True)
    assert (taken.alerts, taken.counts) == ((), {"incident i1": 0})
    store.outbox.sent("pager", taken.rows, {"incident i1": Told(13.0, "critical")})
    store.outbox.queue_incident(["pager"], "i1", "critical", 14.0)
    assert store.outbox.topics("pager", 15.0) == [], "told already"


def test_what_waits_moves_with_a_merged_incident(store: SqliteStore) -> None:
    store.record([make_alert("a1")], {}, 1.0)
    group(store, make_incident("i1"))
    store.outbox.topics("chat", 2.0)
    store.outbox.rename("chat", "incident i1", "incident i2")
    assert [topic.key for topic in store.outbox.topics("chat", 2.0)] == ["incident i2"]


def test_what_was_given_up_is_counted_and_shown(store: SqliteStore) -> None:
    store.record([make_alert("a1"), make_alert("a2")], {}, 1.0)
    group(store, make_incident())
    store.outbox.topics("chat", 2.0)
    found = rows(store, "incident i1")
    for _ in range(2):
        store.outbox.dead("chat", found, "HTTP 404", 90000.0)
    assert queued(store, "chat") == []
    assert store.outbox.backlog() == {"chat": Backlog(0, 2, None, "HTTP 404")}
    (finding,) = store.health.findings()
    assert (finding.kind, finding.key, finding.count) == ("notify", "chat", 1)
    assert finding.message == "2 notifications were given up: HTTP 404"


def test_a_damaged_alert_is_given_up_and_the_others_told(
    store: SqliteStore, tmp_path: Path
) -> None:
    store.record([make_alert("a1"), make_alert("a2")], {}, 1.0)
    with closing(sqlite3.connect(tmp_path / "data" / "tocsin.db")) as other, other:
        other.execute("UPDATE alert SET body = '{\"id\": 7' WHERE id = 'a1'")
    group(store, make_incident())
    assert queued(store, "chat") == ["a2"]
    assert store.outbox.backlog()["chat"].dead == 1


def test_channels_that_are_gone_are_given_up_aloud(store: SqliteStore) -> None:
    alerts = [with_severity(make_alert(f"a{n}"), "critical") for n in range(3)]
    store.record(alerts, {}, 1.0)
    assert store.outbox.abandon(["chat", "pager"], 2.0) == 0
    assert store.outbox.abandon(["chat"], 2.0) == 3
    assert store.outbox.abandon(["chat"], 2.0) == 0
    assert queued(store, "pager") == []
    assert len(queued(store, "chat")) == 3
    (finding,) = store.health.findings()
    assert finding.message.startswith("3 notifications were given up")


def test_settling_what_was_pruned_does_no_harm(store: SqliteStore) -> None:
    store.outbox.sent("chat", [99], {})
    store.outbox.failed([99], "x", 1.0)
    store.outbox.dead("chat", [99], "x", 1.0)
    assert store.outbox.backlog() == {}
    assert store.health.findings() == []


def test_what_waited_before_the_upgrade_is_still_told(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    scripts = schema.migrations()
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executescript("".join(scripts[:6]))
        old.execute("PRAGMA user_version = 6")
        body = '{"id":"a1"}'
        old.execute(
            "INSERT INTO alert (seq, id, time, severity, rule_id, cluster, recorded, body) "
            "VALUES (1, 'a1', 't', 3, 'r', 'c', 1.0, ?)",
            (body,),
        )
        for channel, state in (("chat", "pending"), ("pager", "dead")):
            old.execute(
                "INSERT INTO outbox (alert_seq, channel, state, created, next_try, attempts) "
                "VALUES (1, ?, ?, 1.0, 5.0, 2)",
                (channel, state),
            )
        schema.migrate(old)
    with own_store(path, {}, 2.0) as store:
        (topic,) = store.outbox.topics("chat", LATER)
        assert (topic.key, topic.severity, topic.next_try) == ("alert a1", "high", 5.0)
        assert store.outbox.backlog()["pager"].dead == 1


def test_a_rule_without_techniques_is_queued(store: SqliteStore) -> None:
    rule = RuleRef("r", "R", "sigma", "high", "high")
    store.record([make_alert("a1", rule=rule)], {}, 1.0)
    assert [topic.techniques for topic in store.outbox.topics("chat", LATER)] == [frozenset()]
