"""Silences on the dashboard: who may make and end them, what they would hide, what is hidden."""

import time
from typing import Any

import msgspec
import pytest

from tests.unit.store.samples import HOSTILE, hostile_alert, make_alert
from tests.unit.web.conftest import Client, soup
from tocsin.model.alert import Alert
from tocsin.model.matcher import Matcher
from tocsin.model.silence import Silence, new_silence
from tocsin.store import SqliteStore


def recent(alert_id: str, **changes: Any) -> Alert:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - 60))
    return msgspec.structs.replace(make_alert(alert_id), time=stamp, **changes)


def silence(store: SqliteStore, **parts: str) -> Silence:
    matcher = Matcher(**parts)  # type: ignore[arg-type]
    return store.silences.add(new_silence(matcher, "eve", "a drill", time.time(), 3600.0))


FORM = {"user": "ci-*", "namespace": "build", "reason": "load test", "lasts": "3600"}


def test_a_responder_makes_and_ends_a_silence(client: Client, store: SqliteStore) -> None:
    browser = client("responder")
    answer = browser.post("/silences/add", data=FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/silences")
    (made,) = store.silences.silences()
    assert made.matcher == Matcher(user="ci-*", namespace="build")
    assert (made.owner, made.reason) == ("rolf", "load test")
    assert made.expires - made.created == 3600.0
    page = soup(browser.get("/silences").text)
    [row] = page.select("table.rows tbody tr")
    assert "user is ci-*, namespace is build" in row.text
    form = row.select_one("form")
    assert form is not None
    assert browser.post(str(form["action"])).status_code == 303
    (ended,) = store.silences.silences()
    assert ended.ended_by == "rolf"
    assert browser.post(str(form["action"])).status_code == 303
    notes = [(note.action, note.who, note.detail) for note in store.people.notes(9)]
    words = "1: user is ci-*, namespace is build"
    assert notes == [("silence ended", "rolf", words), ("silence added", "rolf", words)]


@pytest.mark.parametrize("path", ["/silences/add", "/silences/1/end"])
def test_a_viewer_only_looks(client: Client, store: SqliteStore, path: str) -> None:
    made = silence(store, user="alice")
    viewer = client("viewer")
    page = viewer.get("/silences")
    assert page.status_code == 200
    assert soup(page.text).select("main form[method=post]") == []
    assert viewer.post(path, data=FORM).status_code == 403
    assert viewer.get("/silences/new").status_code == 403
    assert store.silences.silences() == [made]


def test_another_site_cannot_silence(client: Client, store: SqliteStore) -> None:
    browser = client("responder")
    browser.headers["sec-fetch-site"] = "cross-site"
    assert browser.post("/silences/add", data=FORM).status_code == 403
    assert store.silences.silences() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reason": " "}, "needs a reason"),
        ({"user": "*", "namespace": ""}, "at least one part"),
        ({"network": "here"}, "no network such as"),
        ({"severity": "bad"}, "is not one of"),
    ],
)
def test_the_form_comes_again_with_what_is_wrong(
    client: Client, store: SqliteStore, changes: dict[str, str], said: str
) -> None:
    answer = client("responder").post("/silences/add", data=FORM | changes)
    assert answer.status_code == 400
    assert said in answer.text
    page = soup(answer.text)
    typed = page.select_one("input[name=user]")
    assert typed is not None
    assert typed["value"] == (FORM | changes)["user"]
    assert store.silences.silences() == []


def test_lifetimes_are_those_offered(client: Client, store: SqliteStore) -> None:
    answer = client("responder").post("/silences/add", data=FORM | {"lasts": "1e9"})
    assert answer.status_code == 400
    assert store.silences.silences() == []


@pytest.mark.parametrize("number", ["99", "x", "9" * 40])
def test_ending_what_is_not_there(client: Client, number: str) -> None:
    assert client("responder").post(f"/silences/{number}/end").status_code == 404


def test_an_alert_fills_the_form_and_says_what_would_be_hidden(
    client: Client, store: SqliteStore
) -> None:
    store.record([recent("a"), recent("b"), recent("c", cluster="test")], {}, 1.0)
    browser = client("responder")
    link = soup(browser.get("/alerts/a").text).find("a", string="Silence…")
    assert link is not None
    page = soup(browser.get(str(link["href"])).text)
    values = {str(one["name"]): one["value"] for one in page.select("main form input[value]")}
    assert values["rule"] == "5c1b"
    assert (values["user"], values["namespace"], values["cluster"]) == ("alice", "shop", "prod")
    preview = page.select_one("#preview")
    assert preview is not None
    assert "2 alerts of the last 30 days" in " ".join(preview.text.split())
    assert len(preview.select("li")) == 2
    # What is typed counts, not the alert, once the form was sent.
    typed = soup(browser.get("/silences/new?alert=a&user=bob&namespace=").text)
    assert "0 alerts of the last 30 days" in " ".join(typed.text.split())
    assert client("viewer").get("/alerts/a").text.count("Silence…") == 0
    assert browser.get("/silences/new?alert=nope").status_code == 404


def test_every_list_says_what_is_hidden(client: Client, store: SqliteStore) -> None:
    made = silence(store, user="alice")
    store.record(
        [recent("a"), recent("b"), recent("c")], {}, 1.0, hidden={"b": made.mark, "c": "suppress"}
    )
    browser = client()
    page = soup(browser.get("/alerts").text)
    assert len(page.select("table.alerts tbody tr")) == 1
    link = page.find("a", string="2 hidden")
    assert link is not None
    assert link["href"] == "/alerts?hidden=with"
    shown = soup(browser.get("/alerts?hidden=with").text)
    assert len(shown.select("table.alerts tbody tr")) == 3
    rows = browser.get("/alerts.json?hidden=only").json()["rows"]
    assert {row["id"]: row["hidden_by"] for row in rows} == {"b": made.mark, "c": "suppress"}
    assert len(browser.get("/alerts.csv?hidden=only").text.splitlines()) == 3
    assert browser.get("/alerts?hidden=maybe").status_code == 400
    assert "silence 1" in soup(browser.get("/alerts/b").text).text
    assert "others like it passed" in browser.get("/alerts/c").text
    assert "hidden_by" not in browser.get("/alerts/b.json").json()


def test_the_list_and_its_twins(client: Client, store: SqliteStore) -> None:
    for name in ("a", "b", "c"):
        silence(store, user=name)
    store.silences.end(2, "eve", time.time())
    browser = client()
    first = browser.get("/silences.json?limit=2").json()
    assert [row["id"] for row in first["rows"]] == [3, 2]
    assert [row["state"] for row in first["rows"]] == ["active", "ended"]
    rest = browser.get(first["next"]).json()
    assert [row["id"] for row in rest["rows"]] == [1]
    ended = browser.get("/silences.json?state=ended").json()["rows"]
    assert [row["matcher"] for row in ended] == [{"user": "b"}]
    assert len(browser.get("/silences.csv").text.splitlines()) == 4
    assert browser.get("/silences.json?state=gone").status_code == 400


def test_what_suppression_hid_is_listed_by_rule(client: Client, store: SqliteStore) -> None:
    store.record([recent("a")], {}, time.time(), hidden={"a": "suppress"})
    page = soup(client().get("/silences").text)
    section = page.select_one("section[aria-labelledby=suppressed]")
    assert section is not None
    assert section.a is not None
    assert section.a["href"] == "/alerts?rule=5c1b&hidden=only"


@pytest.mark.parametrize("text", [one for one in HOSTILE if one.strip() and len(one) < 300])
def test_hostile_text_is_shown_as_text(client: Client, store: SqliteStore, text: str) -> None:
    alert = msgspec.structs.replace(hostile_alert(text), time=recent("x").time)
    store.record([alert], {}, 1.0)
    silence(store, user=text)
    browser = client("responder")
    for path in ("/silences", "/silences/new?alert=a1"):
        page = browser.get(path)
        assert page.status_code == 200
        assert "<!channel>" not in page.text
        assert "\x1b" not in soup(page.text).text
