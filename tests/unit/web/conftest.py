"""The dashboard over a real store in a temporary folder, asked by people of every role."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from argon2 import PasswordHasher
from bs4 import BeautifulSoup
from starlette.testclient import TestClient

from tests.unit.web.sites import PEOPLE, make_site
from tocsin.model.people import Role
from tocsin.store import SqliteStore, own_store
from tocsin.web.access import passwords
from tocsin.web.app import Web, make_app
from tocsin.web.site import Site


class Client(Protocol):
    """Makes a browser of somebody with a role, or of nobody."""

    def __call__(self, role: Role | None = "viewer") -> TestClient: ...


HTML = {"accept": "text/html"}


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with the least of time and memory: what it costs is not tested here."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", quick)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Return a new store with a user of each role."""
    with own_store(tmp_path / "data" / "tocsin.db", {}, now=1000.0) as opened:
        yield opened


@pytest.fixture
def site(store: SqliteStore, tmp_path: Path) -> Site:
    """Return what pages need, all of it real."""
    return make_site(store, tmp_path)


@pytest.fixture
def web(site: Site) -> Web:
    """Return the application."""
    return make_app(site)


@pytest.fixture
def client(web: Web, site: Site) -> Iterator[Client]:
    """Return a function that makes a browser of somebody with a role, or of nobody."""
    opened: list[TestClient] = []

    def make(role: Role | None = "viewer") -> TestClient:
        browser = TestClient(web, "https://tocsin.test", headers=HTML, follow_redirects=False)
        browser.headers["sec-fetch-site"] = "same-origin"
        if role is not None:
            browser.cookies.set("__Host-tocsin", PEOPLE[role].session)
        opened.append(browser)
        return browser

    yield make
    for browser in opened:
        browser.close()


def soup(text: str) -> BeautifulSoup:
    """Return a page parsed."""
    return BeautifulSoup(text, "html.parser")
