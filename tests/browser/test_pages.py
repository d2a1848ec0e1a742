"""Every page in light and dark, on a phone and a desk: no complaint, accessible, not too wide."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Open
from tests.browser.site import Dashboard
from tests.browser.visits import ANONYMOUS, NO_PAGE, VISITED, path_of
from tests.unit.web.sites import make_site
from tocsin.store import own_store
from tocsin.web.app import make_app

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = Path(os.environ.get("SCREENSHOTS", ROOT / "build" / "screenshots"))
BUDGET_BYTES, BUDGET_REQUESTS = 150_000, 10
# In dark nothing but colours differs.
RULES = {"light": "{}", "dark": "{runOnly: {type: 'rule', values: ['color-contrast']}}"}


def test_no_page_is_forgotten(tmp_path: Path) -> None:
    with own_store(tmp_path / "data" / "tocsin.db", {}, now=1000.0) as store:
        pages = make_app(make_site(store, tmp_path)).pages
    shown = {page.name for page in pages if "GET" in page.methods}
    assert shown == VISITED.keys() | NO_PAGE.keys()


@pytest.mark.parametrize("name", VISITED)
def test_page(open_page: Open, dashboard: Dashboard, login: Any, name: str) -> None:
    page = open_page("/livez", anonymous=name in ANONYMOUS)
    path = path_of(name, page.request, dashboard.url)
    page.goto(dashboard.url + path)
    assert page.url == dashboard.url + path, "this leads elsewhere"
    if page.query_selector("#live"):
        page.wait_for_selector("#live[data-state=live]")
    look_at(page, name)


def test_error_page(open_page: Open, complaints: list[str]) -> None:
    page = open_page("/alerts/nothing")
    look_at(page, "error")
    assert all("404" in one for one in complaints), complaints
    complaints.clear()


def test_nothing_to_show(open_page: Open) -> None:
    page = open_page("/alerts?q=nothing-has-this")
    look_at(page, "alerts-empty")


def look_at(page: Page, name: str) -> None:
    """Check the page in both schemes and widths, and keep a picture of each."""
    assert AXE.exists(), "axe-core is not installed: make browser"
    # Through the DevTools protocol, past the page's own policy.
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": AXE.read_text()})
    SHOTS.mkdir(parents=True, exist_ok=True)
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            where = f"{name} in {scheme} at {width}"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, where
            page.screenshot(path=SHOTS / f"{name}-{scheme}-{width}.png", full_page=True)
            ran = session.send(
                "Runtime.evaluate",
                {
                    "expression": f"axe.run(document, {RULES[scheme]})",
                    "awaitPromise": True,
                    "returnByValue": True,
                },
            )
            bad = [
                f"{one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
                for one in ran["result"]["value"]["violations"]
                if one["impact"] in {"serious", "critical"}
            ]
            assert not bad, where


def test_first_load_is_small(open_page: Open) -> None:
    page = open_page("/login", anonymous=True)
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(len(response.body())))
    page.context.clear_cookies()
    page.goto(page.url)
    page.wait_for_load_state("networkidle")
    assert 0 < len(sizes) <= BUDGET_REQUESTS
    assert sum(sizes) <= BUDGET_BYTES
