"""Incidents: the list, one incident, what people decide about it."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.unit.runtime.spooled import post, spool
from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert
from tests.unit.web.conftest import Client, soup
from tocsin.model.alert import Alert, Technique
from tocsin.model.events import EventKey
from tocsin.model.incident import Incident, IncidentFilter, Step
from tocsin.runtime.grouping import Grouping, shared_identities
from tocsin.runtime.rules import named_sets
from tocsin.store import SqliteStore
from tocsin.web.lanes import MAX_DOTS, lanes
from tocsin.web.site import Site

SHARED = shared_identities(named_sets({}))


def grouped(store: SqliteStore, alerts: Sequence[Alert]) -> list[Incident]:
    """Record alerts, and return the incidents that come of them."""
    store.record(alerts, {}, 1000.0)
    grouping = Grouping(store, SHARED)
    while grouping.step(1000.0):
        pass
    return store.incidents.incidents(IncidentFilter(), 50)


@pytest.fixture
def incident(store: SqliteStore) -> Incident:
    (only,) = grouped(store, [make_alert("a1")])
    return only


def test_an_empty_list_says_what_to_do(client: Client) -> None:
    page = client("viewer").get("/incidents").text
    assert "No incidents." in page
    assert "tocsin demo" in page


def test_the_list_and_its_twins(client: Client, incident: Incident) -> None:
    browser = client("viewer")
    page = browser.get("/incidents")
    assert incident.title in soup(page.text).select_one("table.incidents").text  # type: ignore[union-attr]
    (row,) = browser.get("/incidents.json").json()["rows"]
    assert (row["id"], row["actors"], row["alerts"]) == (incident.id, ["alice"], 1)
    (line,) = csv.DictReader(io.StringIO(browser.get("/incidents.csv").text))
    assert (line["id"], line["state"]) == (incident.id, "open")


def test_states_are_counted_and_chosen(client: Client, incident: Incident) -> None:
    browser = client("viewer")
    page = soup(browser.get("/incidents?state=closed").text)
    counts = {a.get_text(" ", strip=True) for a in page.select(".states a")}
    assert {"All 1", "Active 1", "Open 1", "Closed 0"} <= counts
    assert "1 in other states match" in page.text
    assert incident.id in browser.get("/incidents?state=open,acknowledged,contained").text
    assert browser.get("/incidents?state=odd").status_code == 400


def test_one_incident(client: Client, site: Site, store: SqliteStore, tmp_path: Path) -> None:
    spool(tmp_path / "spool", post({"auditID": "6f9e"}))
    event = site.events.event(EventKey(1, 0))
    assert event is not None
    alert = make_alert("a1", cluster="default", evidence=[event.digest])
    (incident,) = grouped(store, [alert])
    browser = client("viewer")
    page = soup(browser.get(f"/incidents/{incident.id}").text)
    assert page.h1 is not None
    assert page.h1.text == incident.title
    assert incident.story in page.text
    assert page.select_one('ol.steps a[href="/alerts/a1"]') is not None
    assert not page.select("main form[method=post]")
    link = page.select_one('a[href^="/events/find"]')
    assert link is not None
    assert browser.get(str(link["href"])).headers["location"] == "/events/1.0"
    assert browser.get(f"/incidents/{incident.id}.json").json()["story"] == incident.story
    bundle = browser.get(f"/incidents/{incident.id}/evidence").json()
    assert bundle["incident"]["id"] == incident.id
    assert bundle["exported_by"] == "vera"
    assert bundle["events"] == {event.digest: event.shown}


def test_an_incident_that_is_not_there(client: Client) -> None:
    for path in ("/incidents/none", "/incidents/none/evidence", "/incidents/none.json"):
        assert client("viewer").get(path).status_code == 404


def test_what_people_decide(client: Client, store: SqliteStore, incident: Incident) -> None:
    browser = client("responder")
    where = f"/incidents/{incident.id}"

    def do(**form: str) -> Incident:
        answer = browser.post(f"{where}/change", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, where)
        found = store.incidents.incident(incident.id)
        assert found is not None
        return found

    assert do(action="acknowledge").state == "acknowledged"
    assert do(action="take").owner == "rolf"
    assert do(action="assign", owner=" ada ").owner == "ada"
    assert do(action="contain").state == "contained"
    assert do(action="pin").pinned
    assert not do(action="unpin").pinned
    do(action="note", note="<b>look</b>")
    closed = do(action="close", verdict="benign", note="a test")
    assert (closed.state, closed.verdict) == ("closed", "benign")
    assert do(action="reopen").state == "open"
    page = soup(browser.get(where).text)
    assert "<b>look</b>" in page.select_one("ul.log").text  # type: ignore[union-attr]
    actions = [entry.action for entry in store.people.notes(50)]
    assert actions.count("incident assign") == 2
    assert actions[0] == "incident reopen"


def test_closing_asks_for_a_verdict(client: Client, store: SqliteStore, incident: Incident) -> None:
    browser = client("responder")
    where = f"/incidents/{incident.id}"
    assert len(soup(browser.get(f"{where}/close").text).select("input[name=verdict]")) == 3
    refused = browser.post(f"{where}/change", data={"action": "close"})
    assert refused.status_code == 400
    assert "choose a verdict" in refused.text
    for form in ({"action": "explode"}, {"action": "note", "note": " "}, {}):
        assert browser.post(f"{where}/change", data=form).status_code == 400
    found = store.incidents.incident(incident.id)
    assert found is not None
    assert found.state == "open"


def test_viewers_change_nothing(client: Client, store: SqliteStore, incident: Incident) -> None:
    where = f"/incidents/{incident.id}"
    for role in ("viewer", None):
        answer = client(role).post(f"{where}/change", data={"action": "acknowledge"})
        assert answer.status_code in (303, 401, 403)
        assert answer.headers.get("location", "/login").startswith("/login")
    assert client("viewer").get(f"{where}/close").status_code == 403
    found = store.incidents.incident(incident.id)
    assert found is not None
    assert found.state == "open"


def test_a_change_needs_the_same_origin(client: Client, incident: Incident) -> None:
    browser = client("responder")
    browser.headers["sec-fetch-site"] = "cross-site"
    answer = browser.post(f"/incidents/{incident.id}/change", data={"action": "pin"})
    assert answer.status_code == 403
    assert client("responder").get(f"/incidents/{incident.id}/change").status_code == 405


def test_a_merged_incident_leads_to_the_other(
    client: Client, store: SqliteStore, incident: Incident
) -> None:
    with store.incidents.grouping.batch(1) as batch:
        batch.move(incident.id, "other")
        renamed = msgspec.structs.replace(incident, id="other")
        batch.save(renamed, b"{}", ())
    answer = client("viewer").get(f"/incidents/{incident.id}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/other")


def test_hostile_text_is_shown_literally(client: Client, store: SqliteStore) -> None:
    texts = [text for text in HOSTILE if len(text) < 1000 and text.strip()]
    alerts = [hostile_alert(text, f"a{number}") for number, text in enumerate(texts)]
    for alert in alerts:
        alert.event = None
    found = grouped(store, alerts)
    assert found
    browser = client("responder")
    ways = [f"/incidents/{incident.id}" for incident in found]
    for path in ("/incidents", *ways, *(f"{way}/close" for way in ways)):
        page = browser.get(path)
        assert page.status_code == 200
        parsed = soup(page.text)
        assert not parsed.select("main b, main script, main click")
        assert not [char for char in parsed.text if not (char.isprintable() or char in "\n\t")]


def step(number: int, technique: str | None, text: str = "") -> Step:
    time = f"2026-11-23T10:00:{number % 60:02}.000000Z"
    return Step(time, f"a{number}", "high", text or f"step {number}", technique)


def told(*steps: Step) -> Incident:
    known = (Technique("T1", "One", ("discovery",)), Technique("T2", "Two", ("impact",)))
    return Incident(
        id="i", cluster="c", title="t", story="s", severity="high", state="open",
        first_seen="", last_seen="", opened=0, updated=0, alert_counts={}, techniques=known,
        steps=steps,
    )  # fmt: skip


def test_lanes_go_through_the_tactics() -> None:
    drawn = lanes(told(step(1, "T1"), step(2, "T2"), step(3, None), step(4, "T1")))
    assert drawn is not None
    assert [lane.tactic for lane in drawn.lanes] == ["discovery", "impact"]
    assert [dot.step.alert_id for dot in drawn.dots] == ["a1", "a2", "a4"]
    assert drawn.dots[0].y == drawn.dots[2].y < drawn.dots[1].y
    assert 0 < drawn.dots[0].x < drawn.dots[2].x < drawn.width


def test_one_tactic_needs_no_drawing() -> None:
    assert lanes(told(step(1, "T1"), step(2, "T1"), step(3, None))) is None


def test_lanes_are_bounded() -> None:
    drawn = lanes(told(*(step(number, f"T{1 + number % 2}") for number in range(200))))
    assert drawn is not None
    assert len(drawn.dots) == MAX_DOTS
