"""Texts of attackers are shown as what they are, on every page and in every twin (W1)."""

import csv
import io
from collections.abc import Sequence

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route

from tests.browser.conftest import Open
from tests.browser.hostile import CLUSTER, rule_id
from tests.browser.payloads import PAYLOADS
from tests.browser.site import Dashboard
from tests.browser.visits import rows, rule_page
from tocsin.model.ports import AlertFilter
from tocsin.model.text import visible
from tocsin.store import join_store

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SHOWN = tuple(map(visible, PAYLOADS))
# Of the payloads, how many run by themselves in this browser where nothing is escaped.
RUNNING = 30
FACTS = """() => Object.fromEntries([...document.querySelectorAll("dl.facts dt")].map(
    one => [one.textContent, one.nextElementSibling.textContent.trim()]))"""


def test_the_payloads_do_run_where_nothing_is_escaped(chromium: Browser) -> None:
    context = chromium.new_context()
    page, ran = context.new_page(), list[int]()
    context.expose_function("ran", lambda number: ran.append(number))  # noqa: PLW0108 - Playwright sets attributes on it
    address = "http://unescaped.example/"

    def answer(route: Route) -> None:
        number = route.request.url.removeprefix(address)
        body = f'<!doctype html><i title="{PAYLOADS[int(number)]}"></i>{PAYLOADS[int(number)]}'
        known = number.isdecimal() and route.request.is_navigation_request()
        route.fulfill(body=body, content_type="text/html") if known else route.abort()

    context.route(lambda url: url.removeprefix(address).isdecimal(), answer)
    for number in range(len(PAYLOADS)):
        page.goto(f"{address}{number}", wait_until="domcontentloaded")
    page.wait_for_timeout(300)
    context.close()
    assert len(set(ran)) >= RUNNING, sorted(set(ran))


@pytest.fixture
def watched(open_page: Open) -> tuple[Page, list[str]]:
    """Return a page, and a list that fills with what ran in it."""
    page, ran = open_page("/livez"), list[str]()
    page.context.expose_function("ran", lambda number: ran.append(f"{number} on {page.url}"))

    def dismiss(dialog: Dialog) -> None:
        ran.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    return page, ran


def test_lists_show_every_payload(watched: tuple[Page, list[str]], dashboard: Dashboard) -> None:
    page, ran = watched
    with join_store(dashboard.data / "tocsin.db") as store:
        for payload in PAYLOADS:
            store.people.note(payload, payload, payload, 1000.0)
    lists = [f"/{name}?cluster={CLUSTER}&limit=200" for name in ("alerts", "events", "incidents")]
    for path in (*lists, "/rules", "/audit?limit=200"):
        page.goto(dashboard.url + path)
        text = page.text_content("main") or ""
        assert not [shown for shown in SHOWN if shown not in text], path
    for path in ("/", f"/?cluster={CLUSTER}", "/attack", "/health", "/rules/try", "/people"):
        page.goto(dashboard.url + path)
    assert not ran


def test_twins_hold_every_payload(open_page: Open, dashboard: Dashboard) -> None:
    page = open_page("/livez")
    for name in ("alerts", "events", "incidents", "rules"):
        query = f"cluster={CLUSTER}&limit=200"
        for suffix, media in (("json", "application/json"), ("csv", "text/csv")):
            answer = page.request.get(f"{dashboard.url}/{name}.{suffix}?{query}")
            assert answer.headers["content-type"].startswith(media)
            assert answer.headers["x-content-type-options"] == "nosniff"
            values = _values(answer.text()) if suffix == "csv" else _texts(answer.json())
            missing = [one for one in PAYLOADS if not any(one in value for value in values)]
            assert not missing, (name, suffix, missing)


# The shipped rules have alerts of their own on these requests.
MANY = 5000


def test_each_payload_on_a_page_of_its_own(
    watched: tuple[Page, list[str]], dashboard: Dashboard
) -> None:
    page, ran = watched
    query = f"cluster={CLUSTER}&limit=200"
    events, incidents = (
        rows(page.request, f"{dashboard.url}/{name}.json?{query}")
        for name in ("events", "incidents")
    )
    event_of = {row["audit_id"]: row["id"] for row in events}
    incident_of = {row["actors"][0]: row["id"] for row in incidents}
    with join_store(dashboard.data / "tocsin.db") as store:
        found = store.alerts(AlertFilter(cluster=CLUSTER), MANY)
    alert_of = {one.alert.rule.title: one.alert.id for one in found}
    for number, payload in enumerate(PAYLOADS):
        path = (
            f"/alerts/{alert_of[payload]}",
            f"/events/{event_of[payload]}",
            rule_page("sigma", rule_id(number)),
            f"/incidents/{incident_of[payload]}",
        )[number % 4]
        if path.startswith("/incidents/"):
            _change(page, dashboard.url, path, {"action": "note", "note": payload})
            _change(page, dashboard.url, path, {"action": "assign", "owner": payload})
        page.goto(dashboard.url + path)
        _check_literal(page, path, payload)
    assert not ran


def _change(page: Page, url: str, path: str, form: dict[str, str | float | bool]) -> None:
    assert page.request.post(f"{url}{path}/change", form=form, headers={"origin": url}).ok


def _check_literal(page: Page, path: str, payload: str) -> None:
    shown = visible(payload)
    if path.startswith("/incidents/"):
        log = page.text_content("ul.log") or ""
        assert log.count(visible(payload.strip())) >= 2, f"note and owner: {log}"
    if path.startswith(("/alerts/", "/rules/")):
        assert page.text_content("h1") == shown
    if path.startswith(("/alerts/", "/events/")):
        facts = page.evaluate(FACTS)
        for field in ("User", "With", "Name", "Namespace", "URI"):
            assert facts[field] == shown, f"{field} of {payload!r}"


def _values(text: str) -> Sequence[str]:
    return [value for row in csv.reader(io.StringIO(text)) for value in row]


def _texts(document: object) -> list[str]:
    if isinstance(document, dict):
        return [text for value in document.values() for text in _texts(value)]
    if isinstance(document, list):
        return [text for value in document for text in _texts(value)]
    return [document] if isinstance(document, str) else []
