"""The log of events: what is found, in steps, on the page and in its twins; one event."""

import csv
import io
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import Tag
from starlette.testclient import TestClient

from tests.unit.audit import encoded, event_list, item
from tests.unit.runtime.spooled import SEALER, START, post, posts_of, spool
from tests.unit.store.samples import HOSTILE, make_alert
from tests.unit.web.conftest import Client, soup
from tests.unit.web.sites import make_site
from tocsin.ingest.spool import SpoolHistory
from tocsin.model.events import EventKey
from tocsin.model.ports import LineUpdate
from tocsin.runtime.eventlog.log import SpoolEventLog
from tocsin.store import SqliteStore
from tocsin.web.app import make_app
from tocsin.web.site import Site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def rows(text: str) -> list[str]:
    """Return the users in the table of a page, from the top down."""
    table = soup(text).select_one("table.events")
    return [cells[1].get_text(" ", strip=True) for cells in _cells(table)] if table else []


def _cells(table: Tag) -> list[list[Tag]]:
    return [row.select("td") for row in table.select("tbody tr")]


def by(user: str, **changes: object) -> dict[str, object]:
    return {"user": {"username": user}, **changes}


def test_an_empty_log_says_why(client: Client) -> None:
    page = client("viewer").get("/events")
    assert page.status_code == 200
    assert "No events are kept." in page.text
    assert "spool.retain_hours" in page.text


def test_newest_first_and_pages_that_join(client: Client, folder: Path) -> None:
    spool(folder, *posts_of((by(f"u{number}") for number in range(7)), 3))
    browser = client("viewer")
    seen: list[str] = []
    url: str | None = "/events?limit=3"
    while url:
        page = browser.get(url)
        seen += rows(page.text)
        older = soup(page.text).select_one("a[rel=next]")
        url = str(older["href"]) if older else None
    assert seen == [f"u{number}" for number in reversed(range(7))]


def test_each_value_is_a_link_to_its_like(client: Client, folder: Path) -> None:
    spool(folder, post(by("alice", verb="get"), by("bob"), by("a&b=c d")))
    browser = client("viewer")
    page = soup(browser.get("/events").text)
    for user in ("alice", "a&b=c d"):
        link = next(a for a in page.select("a.same") if a.text == user)
        assert rows(browser.get(str(link["href"])).text) == [user]
    filtered = browser.get("/events?verb=GET&user=alice")
    assert rows(filtered.text) == ["alice"]
    assert "verb GET" in soup(filtered.text).select_one(".chips").text  # type: ignore[union-attr]


def test_nothing_found_says_how_far_it_looked(client: Client, folder: Path) -> None:
    spool(folder, post(by("alice")))
    page = client("viewer").get("/events?user=nobody").text
    assert "No event that is kept matches." in page
    assert "2026-11-23 10:00:00" in page
    assert client("viewer").get("/events?before=1.0").text.count("There are no older events.") == 1


def test_a_wrong_parameter_is_told(client: Client) -> None:
    browser = client("viewer")
    for query in ("before=x", "code=4x3", "since=soon", "user=" + "x" * 1001):
        assert browser.get(f"/events?{query}").status_code == 400


def test_a_long_search_goes_on_in_steps(store: SqliteStore, tmp_path: Path) -> None:
    spool(tmp_path / "spool", *(post(by("rare" if n == 0 else "often")) for n in range(10)))
    ticks = count()
    slow = SpoolEventLog(SpoolHistory(tmp_path / "spool", SEALER), clock=lambda: next(ticks) * 0.3)
    site = make_site(store, tmp_path, events=slow)
    browser = TestClient(make_app(site), "https://tocsin.test", headers={"accept": "text/html"})
    browser.cookies.set("__Host-tocsin", "v" * 43)
    url: str | None = "/events?user=rare"
    found: list[list[str]] = []
    while url:
        text = browser.get(url).text
        found.append(rows(text))
        more = soup(text).select_one("#more")
        assert more is None or "Looked back to" in more.text
        url = str(more.select("a")[0]["href"]) if more else None
    assert found[:3] == [[], [], ["rare"]]
    assert not any(found[3:])


def test_the_twins_agree_with_the_page(client: Client, folder: Path) -> None:
    spool(folder, post(by("alice"), by("=cmd()"), by("bob", sourceIPs=["::1", "10.0.0.1"])))
    browser = client("viewer")
    shown = rows(browser.get("/events").text)
    document = browser.get("/events.json?limit=2").json()
    table = list(csv.DictReader(io.StringIO(browser.get("/events.csv").text)))
    assert shown == ["bob", "=cmd()", "alice"]
    assert [row["user"] for row in document["rows"]] == shown[:2]
    assert [row["user"] for row in table] == ["bob", "'=cmd()", "alice"]
    assert parse_qs(urlsplit(document["next"]).query)["before"] == ["1.1"]
    assert browser.get(document["next"]).json()["rows"][0]["user"] == "alice"


def test_a_chart_of_what_arrived(client: Client, store: SqliteStore, folder: Path) -> None:
    line = LineUpdate(received={("default", START // 60): 5, ("other", START // 60 + 1): 7})
    store.record([], {}, START, line=line)
    until = "2026-11-23T11:00:00Z"
    browser = client("viewer")
    for query, total in (("", 12), ("&cluster=other", 7)):
        page = soup(browser.get(f"/events?since=2026-11-23T09:00:00Z&until={until}{query}").text)
        cells = page.select(".numbers td.number")
        assert sum(int(cell.text) for cell in cells) == total


def test_one_event(client: Client, site: Site, store: SqliteStore, folder: Path) -> None:
    secret = {"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}
    spool(folder, post(by("alice", responseObject=secret)))
    found = site.events.event(EventKey(1, 0))
    assert found is not None
    store.record([make_alert("a7", cluster="default", evidence=[found.digest])], {}, 1000.0)
    browser = client("viewer")
    page = browser.get("/events/1.0")
    assert page.status_code == 200
    assert "aHVudGVy" not in page.text
    assert soup(page.text).select_one('a[href="/alerts/a7"]') is not None
    twin = browser.get("/events/1.0.json").json()
    assert twin["responseObject"]["data"] == {"password": "[redacted]"}
    where = f"cluster=default&digest={found.digest}&around=2026-11-23T10:00:00Z"
    moved = browser.get(f"/events/find?{where}")
    assert (moved.status_code, moved.headers["location"]) == (303, "/events/1.0")


def test_an_event_that_is_gone(client: Client) -> None:
    browser = client("viewer")
    for path in ("/events/9.9", "/events/x", "/events/1", "/events/1.0/rule"):
        assert browser.get(path).status_code == 404


def test_finding_an_event_that_is_gone(client: Client) -> None:
    where = f"cluster=default&digest={'0' * 32}&around=2026-11-23T10:00:00Z"
    page = client("viewer").get(f"/events/find?{where}")
    assert page.status_code == 404
    assert "not kept any more" in page.text
    assert client("viewer").get("/events/find?cluster=default").status_code == 400


def everywhere(text: str) -> bytes:
    """Return an event with the text in every place that somebody else can write to."""
    ref = {"resource": text, "subresource": text, "namespace": text, "name": text}
    return encoded(
        item(
            auditID=text,
            verb=text,
            requestURI=text,
            user={"username": text, "groups": [text]},
            userAgent=text,
            sourceIPs=[text],
            objectRef=ref,
            stageTimestamp=text,
            annotations={text: text},
        )
    )


def test_hostile_text_is_shown_literally(client: Client, folder: Path) -> None:
    texts = [text for text in HOSTILE if len(text) < 1000 and text]
    spool(folder, event_list(map(everywhere, texts)))
    browser = client("responder")
    scripts = len(soup(browser.get("/health").text).select("script"))
    places = [f"/events/1.{number}" for number in range(len(texts))]
    for path in ("/events", *places, *(f"{place}/rule" for place in places)):
        page = browser.get(path)
        assert page.status_code == 200
        parsed = soup(page.text)
        assert {tag.name for tag in parsed.find_all()} <= SAFE_TAGS
        assert len(parsed.select("script")) == scripts
        assert not [char for char in parsed.text if not (char.isprintable() or char in "\n\t")]
    for number, text in enumerate(texts):
        assert browser.get(f"/events/1.{number}.json").json()["verb"] == text


SAFE_TAGS = {
    *("html", "head", "meta", "title", "link", "script", "body", "header", "main", "footer"),
    *("a", "img", "nav", "div", "span", "p", "h1", "h2", "section", "br", "time", "em", "strong"),
    *("form", "button", "label", "input", "select", "option", "textarea", "fieldset", "legend"),
    *("table", "caption", "thead", "tr", "th", "tbody", "td", "dl", "dt", "dd"),
    *("details", "summary", "pre", "code", "figure", "svg"),
}


def test_a_rule_from_the_chosen_fields(client: Client, folder: Path) -> None:
    spool(folder, post(by("alice")))
    page = soup(client("responder").get("/events/1.0/rule?field=verb&field=user.username").text)
    form = page.select_one('form[action="/rules/try"]')
    assert form is not None
    rule = form.select_one("textarea[name=rule]")
    assert rule is not None
    assert 'user.username: "alice"' in rule.text
    assert "objectRef" not in rule.text
    viewer = client("viewer").get("/events/1.0/rule").text
    assert "needs the role responder" in viewer
