"""Every page in light and dark, on a phone and a desk: no complaint, accessible, not too wide."""

import os
from pathlib import Path

import pytest

from tests.browser.conftest import Open

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = Path(os.environ.get("SCREENSHOTS", "screenshots"))
PAGES = ["/", "/alerts", "/health", "/people", "/tokens", "/audit", "/account"]
BUDGET_BYTES, BUDGET_REQUESTS = 150_000, 10


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_page(open_page: Open, path: str, scheme: str, width: int) -> None:
    page = open_page(path, color_scheme=scheme, viewport={"width": width, "height": 900})
    page.wait_for_selector("#live[data-state=live]") if page.query_selector("#live") else None
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    SHOTS.mkdir(exist_ok=True)
    name = path.strip("/") or "overview"
    page.screenshot(path=SHOTS / f"{name}-{scheme}-{width}.png", full_page=True)
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make browser")
    # Through the DevTools protocol, past the page's own policy.
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": AXE.read_text()})
    ran = session.send(
        "Runtime.evaluate",
        {"expression": "axe.run()", "awaitPromise": True, "returnByValue": True},
    )
    bad = [
        f"{one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
        for one in ran["result"]["value"]["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
    assert not bad


def test_first_load_is_small(open_page: Open) -> None:
    page = open_page("/login", anonymous=True)
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(len(response.body())))
    page.context.clear_cookies()
    page.goto(page.url)
    page.wait_for_load_state("networkidle")
    assert 0 < len(sizes) <= BUDGET_REQUESTS
    assert sum(sizes) <= BUDGET_BYTES
