"""The ATT&CK matrix: cells lead to what they count, on the page and in the twins."""

import csv
import io
from pathlib import Path

import pytest

from tests.unit.web.conftest import Client, soup
from tests.unit.web.findings import secret_read, seed, site_with_rules
from tocsin.attack.catalog import catalog
from tocsin.store import SqliteStore
from tocsin.web.matrix import HOTTEST, Counts, arrange, count, heat
from tocsin.web.site import Site


@pytest.fixture
def site(store: SqliteStore, tmp_path: Path) -> Site:
    return site_with_rules(store, tmp_path)


def test_cells_count_and_lead_to_what_they_count(
    client: Client, store: SqliteStore, tmp_path: Path
) -> None:
    seed(store, tmp_path, secret_read(1), secret_read(2))
    browser = client("viewer")
    page = soup(browser.get("/attack").text)
    cell = next(one for one in page.select(".cell") if "Unsecured Credentials" in one.text)
    assert cell.select_one(".number").text == "2"  # type: ignore[union-attr]
    assert "unseen" not in cell["class"]
    alerts = soup(browser.get(str(cell.select_one("a")["href"])).text)  # type: ignore[index]
    assert len(alerts.select("table.alerts tbody tr")) == 2
    rows = browser.get("/attack.json").json()["rows"]
    [row] = [row for row in rows if row["technique"] == "T1552"]
    assert (row["tactic"], row["alerts"], row["rules"]) == ("credential-access", 2, 1)
    cells = list(csv.DictReader(io.StringIO(browser.get("/attack.csv").text)))
    assert [one["technique"] for one in cells] == [one["technique"] for one in rows]


def test_views_and_platforms(client: Client) -> None:
    browser = client("viewer")
    page = soup(browser.get("/attack?show=rules").text)
    numbers = [one.text for one in page.select(".cell > a .number")]
    assert set(numbers) == {"1"}
    containers = len(page.select(".cell"))
    assert len(soup(browser.get("/attack?platform=all").text).select(".cell")) > containers
    assert browser.get("/attack?platform=Toaster").status_code == 400
    assert browser.get("/attack?show=everything").status_code == 400


def test_without_alerts_it_says_so(client: Client) -> None:
    assert "No alert names a technique in this time." in client("viewer").get("/attack").text


def test_columns_are_the_tactics_of_the_data_in_its_order() -> None:
    found = arrange(catalog(), {}, None)
    assert [column.short for column in found.columns] == [one.short for one in catalog().tactics]


def test_technique_counts_its_parts_and_is_there_on_any_platform() -> None:
    counts = count({"T1552.007": 3, "T1552": 1, "T9999": 1}, [["T1552.007"] * 2], [])
    assert counts["T1552.007"] == Counts(alerts=3, rules=1)
    found = arrange(catalog(), counts, "no such platform")
    [column] = found.columns
    [cell] = column.cells
    assert (cell.id, cell.counts) == ("T1552", Counts(alerts=4, rules=1))
    assert [part.id for part in cell.parts] == ["T1552.007"]
    assert found.unknown == ("T9999",)


def test_heat_grows_with_the_number() -> None:
    shades = [heat(value, 100) for value in range(101)]
    assert shades[0] == 0
    assert shades[1:] == sorted(shades[1:])
    assert (shades[1], shades[100]) == (1, HOTTEST)
    assert heat(1, 1) == 1
