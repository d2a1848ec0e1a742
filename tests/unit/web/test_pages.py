"""Every page is shown, with what is in the store and without."""

from tests.unit.web.conftest import Client, soup


def test_empty_overview_says_why_it_is_empty(client: Client) -> None:
    page = client("viewer").get("/")

    assert page.status_code == 200
    assert "Nothing was received yet" in page.text
    assert soup(page.text).h1.text == "Overview"  # type: ignore[union-attr]


def test_health_of_an_empty_store(client: Client) -> None:
    page = client("viewer").get("/health")

    assert page.status_code == 200
    assert "Nobody has sent anything yet." in page.text
