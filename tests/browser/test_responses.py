"""Responses decided in a real browser: by a responder, not by a viewer, not by another site."""

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Route, expect

from tests.browser.conftest import Open
from tests.browser.payloads import PAYLOADS
from tests.browser.responses import DONE, HOSTILE, WAITING
from tests.browser.site import Dashboard
from tocsin.model.people import Role, User
from tocsin.model.response import Order
from tocsin.model.text import visible
from tocsin.store import join_store
from tocsin.web.access.access import IDLE_SECONDS, SESSION_SECONDS
from tocsin.web.access.secret import digest_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

As = Callable[[Role], Page]
SHOWN = tuple(map(visible, PAYLOADS))


@pytest.fixture
def logged_in(chromium: Browser, dashboard: Dashboard) -> Iterator[As]:
    """Return a function that opens a browser of somebody with a role."""
    contexts: list[BrowserContext] = []

    def opened(role: Role) -> Page:
        now, name = time.time(), f"{role}-clicks"
        session = role[0] * 43
        with join_store(dashboard.data / "tocsin.db") as store:
            if store.people.user(name) is None:
                store.people.add_user(User(name=name, role=role, created=now))
                digest = digest_of(session)
                store.people.open_session(digest, name, now, SESSION_SECONDS, IDLE_SECONDS)
        context = chromium.new_context(ignore_https_errors=True)
        contexts.append(context)
        context.add_cookies(
            [{"name": "__Host-tocsin", "value": session, "url": dashboard.url, "secure": True}]
        )
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


def orders(dashboard: Dashboard, identifier: str) -> list[Order]:
    with join_store(dashboard.data / "tocsin.db") as store:
        return [one for one in store.responses.orders(0) if one.response == identifier]


def stored(page: Page, dashboard: Dashboard, identifier: str) -> list[Order]:
    """Wait for the orders on a response: the page may be on its way still."""
    for _ in range(100):
        if found := orders(dashboard, identifier):
            return found
        page.wait_for_timeout(100)
    return []


def test_a11_a_responder_approves_by_clicking(logged_in: As, dashboard: Dashboard) -> None:
    page = logged_in("responder")
    page.goto(f"{dashboard.url}/")
    page.click(f"ul.cards a.button[href='/responses/{WAITING}']")
    expect(page.locator("h1")).to_contain_text("Delete pod: pods shop/web-1")
    form = page.locator("form", has=page.locator("button[value=approve]"))
    form.locator("[name=note]").fill("not ours")
    with page.expect_navigation():
        form.locator("button[value=approve]").click()
    expect(page.locator("#decide")).to_be_visible()
    (order,) = stored(page, dashboard, WAITING)
    assert (order.kind, order.who, order.note) == ("approve", "responder-clicks", "not ours")
    assert order.digest


def test_a11_undo_by_keyboard(logged_in: As, dashboard: Dashboard) -> None:
    page = logged_in("responder")
    page.goto(f"{dashboard.url}/responses/{DONE}")
    page.focus("button[value=undo]")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert [one.kind for one in stored(page, dashboard, DONE)] == ["undo"]


def test_a11_a_viewer_has_no_button_and_is_refused(logged_in: As, dashboard: Dashboard) -> None:
    page = logged_in("viewer")
    page.goto(f"{dashboard.url}/responses/{HOSTILE}")
    assert page.locator("main form[method=post]").count() == 0
    expect(page.locator("main")).to_contain_text("need the role responder")
    digest = page.request.get(f"{dashboard.url}/responses/{HOSTILE}.json").json()["digest"]
    for path in (f"/responses/{HOSTILE}/decide", "/responses/stop", "/responses/start"):
        answer = page.request.post(
            dashboard.url + path,
            form={"order": "approve", "digest": digest},
            headers={"origin": dashboard.url},
        )
        assert answer.status == 403
    assert not orders(dashboard, HOSTILE)


@pytest.mark.parametrize("path", [f"/responses/{HOSTILE}/decide", "/responses/stop"])
def test_what_another_site_makes_a_browser_send_is_refused(
    logged_in: As, dashboard: Dashboard, path: str
) -> None:
    page = logged_in("admin")
    digest = page.request.get(f"{dashboard.url}/responses/{HOSTILE}.json").json()["digest"]
    body = (
        f'<!doctype html><form method="post" action="{dashboard.url}{path}">'
        f'<input name="order" value="approve"><input name="digest" value="{digest}">'
        "<button>You have won</button></form>"
    )

    def answer(route: Route) -> None:
        route.fulfill(body=body, content_type="text/html")

    page.context.route("https://evil.example/*", answer)
    page.goto("https://evil.example/")
    with page.expect_response(lambda response: response.request.method == "POST") as sent:
        page.click("button")
    assert sent.value.status == 403
    assert not orders(dashboard, HOSTILE)
    page.goto(f"{dashboard.url}/")
    assert page.locator(".switch.stopped").count() == 0


def test_a15_the_kill_switch_by_clicking(logged_in: As, dashboard: Dashboard) -> None:
    page, other = logged_in("responder"), logged_in("admin")
    other.goto(f"{dashboard.url}/alerts")
    other.wait_for_selector("#live[data-state=live]")
    page.goto(f"{dashboard.url}/incidents")
    page.click(".switch button")
    expect(page.locator(".switch.stopped")).to_contain_text("STOPPED by responder-clicks")
    assert (dashboard.data / "responses" / "stopped").exists()
    assert page.locator(".switch button").count() == 0, "starting needs an admin"
    # On a page that is open elsewhere it appears by itself.
    other.wait_for_selector(".switch.stopped", timeout=15_000)
    other.click(".switch.stopped button")
    other.wait_for_url(f"{dashboard.url}/responses")
    assert other.locator(".switch.stopped").count() == 0
    assert not (dashboard.data / "responses" / "stopped").exists()


def test_hostile_text_is_shown_literally(open_page: Open, dashboard: Dashboard) -> None:
    page, ran = open_page("/livez"), list[str]()
    page.context.expose_function("ran", lambda number: ran.append(str(number)))

    def dismiss(dialog: Dialog) -> None:
        ran.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    for path in ("/", "/responses", f"/responses/{HOSTILE}"):
        page.goto(dashboard.url + path)
        page.wait_for_timeout(200)
    text = page.text_content("main") or ""
    assert not [shown for shown in SHOWN if shown not in text]
    assert not ran
