"""Log in as a person does."""

from typing import Any

from playwright.sync_api import Browser, Page

from tests.browser.site import USER, Dashboard


def logged_in(chromium: Browser, dashboard: Dashboard, **options: Any) -> Page:
    """Open a browser context, log in, and return the page once the overview is there."""
    page = chromium.new_context(ignore_https_errors=True, **options).new_page()
    page.goto(f"{dashboard.url}/login")
    page.fill("[name=name]", USER)
    page.fill("[name=password]", dashboard.password)
    page.click("button.main")
    page.wait_for_url(f"{dashboard.url}/")
    return page
