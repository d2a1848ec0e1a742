"""Make the README's pictures of the dashboard: `python -m tests.browser.pictures`.

They show a recording of real attacks, posted to a real Tocsin.
"""

import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import CHROMIUM
from tests.browser.login import logged_in
from tests.browser.site import SHOP, START_SECONDS, Dashboard, running
from tocsin.connect.clusters import add_cluster
from tocsin.connect.pki import ensure_server_certificate
from tocsin.model.ports import AlertFilter
from tocsin.runtime.recording import as_if_ending, bodies
from tocsin.store import join_store, own_store

# What `tocsin demo` finds in the same recording.
ALERTS = 67
PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def main() -> None:
    """Replay the recording and take the pictures."""
    with TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        ensure_server_certificate(data / "pki")
        add_cluster(data, SHOP)
        own_store(data / "tocsin.db", {}, time.time()).close()
        with running(data) as dashboard:
            dashboard.post(SHOP, as_if_ending(bodies("full-policy"), datetime.now(UTC)))
            _wait_for_alerts(data)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox"]
                )
                _take(browser, dashboard)
                browser.close()


def _wait_for_alerts(data: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with join_store(data / "tocsin.db") as store:
        while store.count(AlertFilter()) < ALERTS or store.incidents.grouping.waiting():
            if time.monotonic() > deadline:
                message = "the recording is not evaluated in time"
                raise TimeoutError(message)
            time.sleep(0.2)


def _take(browser: Browser, dashboard: Dashboard) -> None:
    wide = logged_in(browser, dashboard, viewport={"width": 1200, "height": 760})
    wide.goto(f"{dashboard.url}/incidents?severity=critical")
    incident = wide.locator("main a[href^='/incidents/']").first.get_attribute("href") or ""
    wide.goto(f"{dashboard.url}/alerts?severity=high")
    alert = wide.locator("main a[href^='/alerts/']").first.get_attribute("href") or ""
    for name, path in (
        ("overview", "/"),
        ("incident", incident),
        ("alert", alert),
        ("attack", "/attack"),
    ):
        wide.goto(f"{dashboard.url}{path}")
        wide.screenshot(path=PICTURES / f"{name}.png")
    phone = logged_in(browser, dashboard, viewport={"width": 390, "height": 760})
    phone.emulate_media(color_scheme="dark")
    phone.goto(f"{dashboard.url}{incident}")
    phone.screenshot(path=PICTURES / "incident-phone.png")


if __name__ == "__main__":
    main()
