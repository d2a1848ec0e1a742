"""Chromium in front of a real dashboard; whatever it complains about fails the test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.login import logged_in
from tests.browser.site import Dashboard, serving

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
REPORTS = """
    window.complaints = [];
    document.addEventListener("securitypolicyviolation",
        (event) => window.complaints.push(`${event.violatedDirective} ${event.blockedURI}`));
"""

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Return a running dashboard."""
    with serving(tmp_path_factory.mktemp("dashboard")) as one:
        yield one


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Return the distribution's Chromium."""
    if not Path(CHROMIUM).exists():
        pytest.fail(f"there is no {CHROMIUM}; name a Chromium in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def login(chromium: Browser, dashboard: Dashboard) -> Any:
    """Return the cookies of somebody who logged in."""
    context = logged_in(chromium, dashboard).context
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def complaints() -> list[str]:
    """Return what the browser complained about; a test that expects some empties it."""
    return []


@pytest.fixture
def open_page(
    chromium: Browser, dashboard: Dashboard, login: Any, complaints: list[str]
) -> Iterator[Open]:
    """Return a function that opens a page of the dashboard, logged in unless told otherwise."""
    contexts: list[BrowserContext] = []

    def opened(path: str, *, anonymous: bool = False, **options: Any) -> Page:
        context = chromium.new_context(
            ignore_https_errors=True, storage_state=None if anonymous else login, **options
        )
        contexts.append(context)
        context.add_init_script(REPORTS)
        page = context.new_page()
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type == "error" else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(dashboard.url + path)
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            if page.url.startswith("http") and context.pages:
                complaints += page.evaluate("window.complaints || []")
        context.close()
    assert not complaints
