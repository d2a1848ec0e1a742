"""Alerts as a list and one by one: filters, facets, paging, twins, why, hostile text."""

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bs4 import BeautifulSoup

from tests.unit.store.samples import HOSTILE, hostile_alert
from tests.unit.web.conftest import Client, soup
from tests.unit.web.findings import CLUSTER, secret_read, seed, site_with_rules
from tocsin.model.alert import Alert
from tocsin.model.text import visible
from tocsin.store import SqliteStore
from tocsin.web.site import Site

BOB = {"username": "bob", "groups": ["dev"]}
POD = {"resource": "pods", "namespace": "prod", "name": "web"}


@pytest.fixture
def site(store: SqliteStore, tmp_path: Path) -> Site:
    return site_with_rules(store, tmp_path)


def titles(page: BeautifulSoup) -> list[str]:
    return [link.text for link in page.select("table.alerts td.what a")]


def reader_of(client: Client) -> Any:
    browser = client("viewer")

    def read(path: str) -> BeautifulSoup:
        answer = browser.get(path)
        assert answer.status_code == 200, answer.text
        return soup(answer.text)

    return read


def test_list_shows_who_did_what(client: Client, store: SqliteStore, tmp_path: Path) -> None:
    [alert] = seed(store, tmp_path, secret_read())
    page = reader_of(client)("/alerts")
    [row] = page.select("table.alerts tbody tr")
    assert row.select_one("td.what a")["href"] == f"/alerts/{alert.id}"
    assert {"high", "alice", "T1552.007"} <= set(row.text.split())
    assert "get secrets db in shop" in " ".join(row.text.split())
    assert page.select_one(".chart .bar.high") is not None


SECRET, POD_MADE = "Secret read", "Pod created"
FILTERED = {
    "severity=high": [SECRET, SECRET],
    "user=bob": [SECRET],
    "namespace=prod": [POD_MADE],
    "technique=T1552": [SECRET, SECRET],
    "rule=00000000-0000-4000-8000-000000000002": [POD_MADE],
    f"cluster={CLUSTER}": [SECRET, SECRET, POD_MADE],
    "q=BOB": [SECRET],
    "since=1h": [SECRET, SECRET, POD_MADE],
    "until=1h": [],
    "cluster=other": [],
}


def test_filters_narrow_page_and_twins_alike(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    pod = secret_read(3, verb="create", objectRef=POD, requestURI="/api/v1/namespaces/prod/pods")
    seed(store, tmp_path, secret_read(1), secret_read(2, user=BOB), pod)
    browser = client("viewer")
    for query, expected in FILTERED.items():
        page = soup(browser.get(f"/alerts?{query}").text)
        name, _, value = query.partition("=")
        field = page.select_one(f".filters input[name={name}]")
        assert field is None or field["value"] == value
        assert titles(page) == expected, query
        rows = browser.get(f"/alerts.json?{query}").json()["rows"]
        assert [row["rule"] for row in rows] == expected
        cells = list(csv.DictReader(io.StringIO(browser.get(f"/alerts.csv?{query}").text)))
        assert [cell["id"] for cell in cells] == [row["id"] for row in rows]


def test_every_filter_in_force_can_be_taken_away(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    seed(store, tmp_path, secret_read())
    page = reader_of(client)("/alerts?user=alice&severity=high")
    found = {chip.text.split()[0]: chip["href"] for chip in page.select(".chips a")}
    assert found == {"user": "/alerts?severity=high", "severity": "/alerts?user=alice"}


def test_facets_are_links_to_what_they_count(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    seed(store, tmp_path, secret_read(1), secret_read(2), secret_read(3, user=BOB))
    read = reader_of(client)
    facets = {
        link.text: (link["href"], int(link.find_next(class_="number").text))
        for link in read("/alerts").select(".facets a")
    }
    assert facets["Secret read"][1] == 3
    assert facets["alice"] == ("/alerts?user=alice", 2)
    assert len(titles(read(facets["alice"][0]))) == 2


def test_pages_follow_each_other_without_gap(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    seed(store, tmp_path, *(secret_read(number) for number in range(5)))
    read = reader_of(client)
    path, seen = "/alerts?limit=2", []
    while path:
        page = read(path)
        seen += [link["href"] for link in page.select("table.alerts td.what a")]
        following = page.select_one("a[rel=next]")
        path = str(following["href"]) if following else ""
    assert len(seen) == len(set(seen)) == 5


def test_bar_leads_to_its_time(client: Client, store: SqliteStore, tmp_path: Path) -> None:
    seed(store, tmp_path, secret_read())
    read = reader_of(client)
    bar = read("/alerts").select_one(".chart svg a")
    assert bar is not None
    assert titles(read(str(bar["href"]))) == ["Secret read"]


def test_wrong_filter_is_said_in_words(client: Client) -> None:
    answer = client("viewer").get("/alerts?since=yesterday")
    assert answer.status_code == 400
    assert "yesterday" in answer.text
    assert client("viewer").get("/alerts?since=1h&until=2h").status_code == 400


def test_without_any_event_it_says_how_to_connect(client: Client) -> None:
    assert "no events have arrived" in client("viewer").get("/alerts").text


def test_without_a_match_it_names_the_newest(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    [alert] = seed(store, tmp_path, secret_read())
    page = reader_of(client)("/alerts?user=nobody")
    [empty] = page.select(".empty")
    assert f"/alerts/{alert.id}" in {link["href"] for link in empty.select("a")}


def test_one_alert_tells_why_it_fired(client: Client, store: SqliteStore, tmp_path: Path) -> None:
    [alert] = seed(store, tmp_path, secret_read())
    page = reader_of(client)(f"/alerts/{alert.id}")
    tree = " ".join(page.select_one(".tree").text.split())
    assert 'yes verb is "get" seen get' in tree
    assert 'no user.username is "backup" seen alice' in tree
    assert "Somebody read a Secret." in page.text
    assert "A backup" in page.text
    links = {str(link["href"]) for link in page.select("a")}
    assert "https://example.org/secrets" in links
    assert not any(link.startswith("javascript") for link in links)
    assert "javascript:alert(1)" in page.text
    event = page.select_one("#event ~ details pre")
    assert event is not None
    assert '"auditID": "9a1b6b4e-0000-4000-8000-000000000001"' in event.text


def test_event_that_is_not_retained_is_said(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    [alert] = seed(store, tmp_path, secret_read())
    for path in (tmp_path / "spool").iterdir():
        path.unlink()
    page = reader_of(client)(f"/alerts/{alert.id}")
    assert page.select_one(".tree") is None
    assert "no longer retained" in page.text


def test_secrets_of_the_event_are_not_shown(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    body = {"kind": "Secret", "data": {"key": "aHVudGVyMg=="}}
    [alert] = seed(store, tmp_path, secret_read(requestObject=body))
    assert "aHVudGVyMg" not in client("viewer").get(f"/alerts/{alert.id}").text


def test_other_alerts_of_the_request_and_the_user_are_near(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    pod = secret_read(1, verb="create", objectRef=POD)
    # Speaks of the Audit-ID, but is another request.
    other = secret_read(2, userAgent="9a1b6b4e-0000-4000-8000-000000000001")
    alerts = seed(store, tmp_path, secret_read(1), pod, other, secret_read(3, user=BOB))
    page = reader_of(client)(f"/alerts/{alerts[0].id}")
    request = page.select("#request ~ div table.alerts td.what a")
    assert [link.text for link in request] == ["Pod created"]
    around = page.select("#around ~ div table.alerts td.what a")
    assert sorted(link.text for link in around) == ["Pod created", "Secret read"]


def test_unproven_is_marked(client: Client, store: SqliteStore) -> None:
    alert = hostile_alert("plain")
    store.record([], {}, 1000.0, unauthenticated=[alert])
    read = reader_of(client)
    for path in ("/alerts", f"/alerts/{alert.id}"):
        assert read(path).select_one(".tag.warn") is not None


def test_unknown_alert_is_not_found(client: Client) -> None:
    assert client("viewer").get("/alerts/nothing").status_code == 404


def test_hostile_text_is_shown_literally(client: Client, store: SqliteStore) -> None:
    # The very long ones are cut alike; a thousand characters are as good.
    payloads = {f"h{number}": text[:1000] for number, text in enumerate(HOSTILE) if text.strip()}
    store.record([hostile_alert(text, name) for name, text in payloads.items()], {}, 1000.0)
    read = reader_of(client)
    pages = {path: read(path) for path in ("/alerts", "/attack", "/rules")}
    pages |= {f"/alerts/{name}": read(f"/alerts/{name}") for name in payloads}
    for page in pages.values():
        assert not page.select("main b, main script, main img")
        assert all(char.isprintable() or char == "\n" for char in page.text)
    for name, text in payloads.items():
        shown = " ".join(visible(text)[:80].split())
        assert shown in " ".join(pages[f"/alerts/{name}"].text.split())


def test_event_that_hides_text_is_shown_with_escapes(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    [alert] = seed(store, tmp_path, secret_read(userAgent="a\u202eb</pre><b>c"))
    page = reader_of(client)(f"/alerts/{alert.id}")
    assert page.select_one("h1").text == "Secret read"
    assert not page.select("main b")
    shown = [line for line in page.select("pre")[0].text.split("\n") if "userAgent" in line]
    assert [line.strip() for line in shown] == ['"userAgent": "a\\u202eb</pre><b>c",']


def test_json_of_one_alert_is_the_alert(client: Client, store: SqliteStore, tmp_path: Path) -> None:
    [alert] = seed(store, tmp_path, secret_read())
    answer = client("viewer").get(f"/alerts/{alert.id}.json")
    assert msgspec.convert(answer.json(), Alert) == alert


def test_rule_that_changed_contradicts_nothing(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    [alert] = seed(store, tmp_path, secret_read(user={"username": "backup2"}))
    ref = msgspec.structs.replace(alert.rule, id="gone")
    gone = msgspec.structs.replace(alert, id="other", rule=ref)
    store.record([gone], {}, 1000.0)
    assert "not in force any more" in client("viewer").get("/alerts/other").text
