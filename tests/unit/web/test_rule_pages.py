"""Rules as a list and one by one, and the test box."""

import csv
import io
import time
from pathlib import Path

import msgspec
import pytest

from tests.unit.web.conftest import Client, soup
from tests.unit.web.findings import RULES, secret_read, seed, site_with_rules
from tocsin.model.ports import LineUpdate, SourceState
from tocsin.store import SqliteStore
from tocsin.web.site import Site, SourceFault

SECRET_RULE = RULES.split("---")[0]
EVENT = "verb: get\nobjectRef: {resource: secrets, namespace: shop, name: db}\n"


@pytest.fixture
def site(store: SqliteStore, tmp_path: Path) -> Site:
    fault = SourceFault("mine.yml:3", "no <b>condition</b>")
    return site_with_rules(store, tmp_path, rule_faults=lambda: [fault])


def observed(store: SqliteStore, level: str) -> None:
    """Let a cluster have recorded how Secrets are read."""
    kind = ("get", None, "secrets", None, level)
    source = SourceState(
        cluster="prod", node=None, source="webhook", first_received=1.0, last_received=1.0
    )
    update = LineUpdate(sources=[source], observations={"prod": {kind: 5}})
    store.record([], {}, time.time(), line=update)


def test_list_with_hits_and_whether_they_can_fire(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    seed(store, tmp_path, secret_read(1), secret_read(2))
    observed(store, "Metadata")
    browser = client("viewer")
    page = soup(browser.get("/rules").text)
    first, second = page.select("table.rules tbody tr")
    assert " ".join(first.text.split()).startswith("high Secret read sigma T1552.007 yes 2")
    assert "100 %" in first.text
    assert "not known" in second.text
    rows = browser.get("/rules.json").json()["rows"]
    assert [(row["title"], row["alerts_24h"], row["firing"]) for row in rows] == [
        ("Secret read", 2, "full"),
        ("Pod created", 0, "unknown"),
    ]
    cells = list(csv.DictReader(io.StringIO(browser.get("/rules.csv").text)))
    assert [cell["id"] for cell in cells] == [row["id"] for row in rows]


def test_filters_and_what_is_wrong_in_files(client: Client) -> None:
    browser = client("viewer")
    expected = {
        "severity=high": 1,
        "technique=T1552": 1,
        "technique=T155": 0,
        "q=POD": 1,
        "dialect=wazuh": 0,
        "firing=unknown": 2,
    }
    for query, count in expected.items():
        page = soup(browser.get(f"/rules?{query}").text)
        assert len(page.select("table.rules tbody tr")) == count, query
        assert bool(page.select(".empty")) is (count == 0)
    problem = soup(browser.get("/rules").text).select_one(".problem")
    assert problem is not None
    assert "mine.yml:3 no <b>condition</b>" in problem.text


def test_one_rule_shows_its_own_text(client: Client, store: SqliteStore, tmp_path: Path) -> None:
    [alert] = seed(store, tmp_path, secret_read())
    browser = client("responder")
    listed = soup(browser.get("/rules?q=Secret").text)
    path = str(listed.select("table.rules td.what a")[0]["href"])
    page = soup(browser.get(path).text)
    text = page.select("pre")[0].text
    assert "title: Secret read" in text
    assert "Pod created" not in text
    assert [link["href"] for link in page.select("table.alerts td.what a")] == [
        f"/alerts/{alert.id}"
    ]
    ref = browser.get(f"{path}.json").json()
    assert msgspec.convert(ref, type(alert.rule)) == alert.rule
    trying = soup(browser.get(str(page.select_one("a.button")["href"])).text)  # type: ignore[index]
    assert "title: Secret read" in trying.select("textarea")[0].text
    assert browser.get("/rules/0123").status_code == 404


def test_box_is_for_those_who_may_respond(client: Client) -> None:
    assert client("viewer").get("/rules/try").status_code == 403
    assert client("viewer").post("/rules/try", data={"rule": "x"}).status_code == 403
    assert client("responder").get("/rules/try").status_code == 200


def test_box_tells_why(client: Client) -> None:
    browser = client("responder")
    page = soup(browser.post("/rules/try", data={"rule": SECRET_RULE, "event": EVENT}).text)
    assert page.select_one("#result").text == "It fires"  # type: ignore[union-attr]
    assert page.select_one(".result .sev.high") is not None
    # What was typed is still there.
    assert [box.text.strip() for box in page.select("textarea")] == [
        SECRET_RULE.strip(),
        EVENT.strip(),
    ]
    other = EVENT.replace("get", "list")
    page = soup(browser.post("/rules/try", data={"rule": SECRET_RULE, "event": other}).text)
    assert page.select_one("#result").text == "It does not fire"  # type: ignore[union-attr]
    assert [node.text for node in page.select(".decided > .asked")] == ['verb is "get"']


def test_box_names_the_lines_of_faults(client: Client) -> None:
    wrong = SECRET_RULE.replace("condition: selection and not known", "condition: nothing")
    page = soup(client("responder").post("/rules/try", data={"rule": wrong}).text)
    assert page.select_one("#result").text == "The rule cannot be loaded"  # type: ignore[union-attr]
    assert "line" in page.select(".result .problem li")[0].text


def test_box_shows_hostile_text_literally(client: Client) -> None:
    hostile = "<script>alert(1)</script></textarea><b>x\u202e"
    data = {"rule": SECRET_RULE.replace("Secret read", hostile), "event": hostile}
    page = soup(client("responder").post("/rules/try", data=data).text)
    assert not page.select("main b:not(.tile b), main script")
    assert page.select("textarea")[1].text.strip() == hostile


def test_box_takes_the_event_of_an_alert(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    [alert] = seed(store, tmp_path, secret_read())
    page = soup(client("responder").get(f"/rules/try?alert={alert.id}").text)
    assert '"verb": "get"' in page.select("textarea")[1].text


def test_rule_is_downloaded_as_it_was_typed(client: Client) -> None:
    data = {"rule": SECRET_RULE, "event": "", "download": "1"}
    answer = client("responder").post("/rules/try", data=data)
    assert answer.headers["content-disposition"] == 'attachment; filename="my-rule.yml"'
    assert answer.text == SECRET_RULE
