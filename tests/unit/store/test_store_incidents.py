"""Incidents in SQLite: filters, pages, what people change, ids, retention."""

from datetime import UTC, datetime

import pytest

from tests.unit.incidents.samples import EVERYTHING, START, alert, group, new_store
from tests.unit.store.samples import HOSTILE, hostile_alert
from tocsin.model.bundle import bundle_of
from tocsin.model.errors import TocsinError
from tocsin.model.incident import Change, Incident, IncidentFilter
from tocsin.model.ports import Retention
from tocsin.store.sqlite import SqliteStore

NEVER = Retention(keep_days=1, max_alerts=0, max_bytes=10**12)


def ids(found: list[Incident]) -> list[str]:
    return [incident.actors[0] for incident in found]


def three(store: SqliteStore) -> list[Incident]:
    return group(
        store,
        alert("a", 0, user="alice", severity="critical"),
        alert("b", 100, user="bob", cluster="other", severity="high"),
        alert("c", 200, user="carol", severity="low", did="touched CAFÉ"),
    )


def test_the_latest_activity_comes_first_page_by_page(store: SqliteStore) -> None:
    found = three(store)
    assert ids(found) == ["carol", "bob", "alice"]
    first = store.incidents.incidents(EVERYTHING, 2)
    assert ids(store.incidents.incidents(EVERYTHING, 2, first[-1].id)) == ["alice"]


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        (IncidentFilter(min_severity="high"), ["bob", "alice"]),
        (IncidentFilter(cluster="other"), ["bob"]),
        (IncidentFilter(actor="alice"), ["alice"]),
        (IncidentFilter(actor="ali"), []),
        (IncidentFilter(text="touched caFÉ"), ["carol"]),
        (IncidentFilter(text="%"), []),
        (IncidentFilter(since=START.replace(hour=11)), ["carol", "bob"]),
        (IncidentFilter(until=START.replace(hour=11)), ["alice"]),
        (
            IncidentFilter(since=START, until=datetime(2026, 11, 23, 13, 20, tzinfo=UTC)),
            ["bob", "alice"],
        ),
        (IncidentFilter(states=("closed", "contained")), ["bob"]),
        (IncidentFilter(states=("open",), text="alice"), ["alice"]),
    ],
)
def test_filters(store: SqliteStore, where: IncidentFilter, wanted: list[str]) -> None:
    _, bobs, _ = three(store)
    store.incidents.change(bobs.id, Change(state="contained"), "eve", 2000.0)
    assert ids(store.incidents.incidents(where, 10)) == wanted
    assert store.incidents.count(where) == len(wanted)


def test_what_people_decide_is_kept_logged_and_seen(store: SqliteStore) -> None:
    (incident,) = group(store, alert("a"))
    change = store.incidents.change
    change(incident.id, Change(state="acknowledged", owner="eve"), "eve", 2000.0)
    change(incident.id, Change(note="asked bob", pinned=True), "eve", 3000.0)
    after = change(incident.id, Change(state="closed", verdict="benign"), "bob", 4000.0)
    assert (after.state, after.verdict, after.owner, after.pinned) == (
        "closed",
        "benign",
        "eve",
        True,
    )
    assert after.updated == 4000.0
    assert store.incidents.incident(incident.id) == after
    assert [(e.time, e.who, e.what, e.text) for e in store.incidents.log_of(incident.id)[1:]] == [
        (2000.0, "eve", "state", "acknowledged"),
        (2000.0, "eve", "owner", "eve"),
        (3000.0, "eve", "pinned", "yes"),
        (3000.0, "eve", "note", "asked bob"),
        (4000.0, "bob", "state", "closed"),
        (4000.0, "bob", "verdict", "benign"),
    ]
    again = change(incident.id, Change(state="open", owner=""), "eve", 5000.0)
    assert (again.state, again.verdict, again.owner) == ("open", None, None)
    assert [e.what for e in store.incidents.log_of(incident.id)[-2:]] == ["reopened", "owner"]


def test_a_change_that_changes_nothing_is_not_logged(store: SqliteStore) -> None:
    (incident,) = group(store, alert("a"))
    change = Change(state="open", owner="", pinned=False, note="")
    assert store.incidents.change(incident.id, change, "eve", 2000.0) == incident
    assert len(store.incidents.log_of(incident.id)) == 1


def test_what_people_decided_stays_when_the_incident_grows(store: SqliteStore) -> None:
    (incident,) = group(store, alert("a"))
    change = Change(state="contained", verdict="true-positive", owner="eve", pinned=True)
    store.incidents.change(incident.id, change, "eve", 2000.0)
    (grown,) = group(store, alert("b", 1))
    assert grown.alerts == 2
    assert (grown.state, grown.verdict, grown.owner, grown.pinned) == (
        "contained",
        "true-positive",
        "eve",
        True,
    )


def test_no_such_incident(store: SqliteStore) -> None:
    assert store.incidents.incident("nope") is None
    assert store.incidents.incident_of("nope") is None
    assert store.incidents.alerts_of("nope", 5) == []
    with pytest.raises(TocsinError, match="there is no incident 'nope'"):
        store.incidents.change("nope", Change(note="x"), "eve", 1.0)
    with pytest.raises(TocsinError, match="there is no incident 'nope'"):
        bundle_of(store.incidents, "nope", "eve", 1.0)


def test_a_bundle_has_everything(store: SqliteStore) -> None:
    alerts = [alert(f"a{n}", n / 100) for n in range(1200)]
    (incident,) = group(store, *alerts)
    bundle = bundle_of(store.incidents, incident.id, "eve", 5000.0)
    assert [one.id for one in bundle.alerts] == [one.id for one in alerts]
    assert list(bundle.evidence) == [f"digest-{one.id}" for one in alerts]
    assert (bundle.exported_by, bundle.incident, len(bundle.log)) == ("eve", incident, 1)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_goes_in_and_comes_out(store: SqliteStore, text: str) -> None:
    (incident,) = group(store, hostile_alert(text))
    assert store.incidents.incident(incident.id) == incident
    assert store.incidents.count(IncidentFilter(text=text[:50], actor=text or None)) == 1
    store.incidents.change(incident.id, Change(note=text, owner=text), text, 1.0)


def test_ids_by_their_beginning(store: SqliteStore) -> None:
    (incident,) = group(store, alert("a"))
    assert store.incidents.matching(incident.id[:3], 5) == [incident.id]
    assert store.incidents.matching("%", 5) == []


def test_alerts_of_pinned_incidents_stay_and_old_incidents_go() -> None:
    with new_store() as store:
        group(store, alert("a", user="alice"), alert("b", user="bob"), alert("f", severity="info"))
        (alices,) = store.incidents.incidents(IncidentFilter(actor="alice"), 5)
        store.incidents.change(alices.id, Change(pinned=True), "eve", 1000.0)
        while store.prune(1000.0 + 2 * 86400, NEVER):
            pass
        assert [stored.alert.id for stored in store.follow(0, 9)] == ["a", "f"]
        assert ids(store.incidents.incidents(EVERYTHING, 9)) == ["alice"]


def test_open_incidents_are_counted_by_severity(store: SqliteStore) -> None:
    _, bobs, _ = three(store)
    store.incidents.change(bobs.id, Change(state="closed", verdict="benign"), "eve", 2000.0)
    counts = {"info": 0, "low": 1, "medium": 0, "high": 0, "critical": 1}
    assert store.incidents.open_by_severity() == counts
