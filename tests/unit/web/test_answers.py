"""What every answer has: headers, one error shape, pages rendered once, streams that end."""

import asyncio
import re
from pathlib import Path

import pytest
from starlette.requests import Request

from tests.unit.web.conftest import Client, soup
from tests.unit.web.sites import make_site
from tocsin.model.ports import StoreUnavailable
from tocsin.store import SqliteStore
from tocsin.web import live
from tocsin.web.app import Web, make_app
from tocsin.web.page import Context, Room
from tocsin.web.person import Person
from tocsin.web.pulse import Pulse
from tocsin.web.rendering import Templates, static_files
from tocsin.web.site import Site

PAGES = ["/", "/health", "/people", "/tokens", "/audit", "/account", "/nothing"]
WEB = Path(__file__).parents[3] / "src" / "tocsin" / "web"


@pytest.mark.parametrize("path", [*PAGES, "/health.json", "/people.csv", "/login"])
def test_every_answer_forbids_what_pages_do_not_need(client: Client, path: str) -> None:
    browser = client("admin")
    nonces = set()
    for _ in range(2):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'nonce-")
        assert "unsafe" not in policy
        assert "require-trusted-types-for 'script'; trusted-types htmx" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        nonces.add(policy.split("nonce-")[1].split("'")[0])
    assert len(nonces) == 2


@pytest.mark.parametrize("path", PAGES[:-1])
def test_pages_are_well_made(client: Client, path: str) -> None:
    answer = client("admin").get(path)
    page = soup(answer.text)
    nonce = answer.headers["content-security-policy"].split("nonce-")[1].split("'")[0]
    assert page.html is not None
    assert page.html["lang"] == "en"
    assert len(page.find_all("h1")) == 1
    assert page.select_one("a.skip, main#main, header, nav[aria-label]")
    assert not page.select("[style], [onclick], [onload], script:not([src])")
    assert {script["nonce"] for script in page.select("script")} == {nonce}
    for element in page.select("[hx-get], [hx-post], [hx-trigger]"):
        assert element["hx-nonce"] == nonce
    for control in page.select("input:not([type=hidden]), select, textarea"):
        assert control.find_parent("label") or control.get("aria-label"), control
    for table in page.select("table"):
        assert table.caption
        assert all(head.get("scope") for head in table.select("th"))
    ids = [element["id"] for element in page.select("[id]")]
    assert len(ids) == len(set(ids))


def test_templates_and_script_write_no_text_as_markup() -> None:
    files = [*WEB.rglob("*.html"), *WEB.rglob("*.py"), WEB / "static" / "tocsin.js"]
    assert len(files) > 20
    for file in files:
        found = re.search(
            r"\|\s*safe\b|Markup\(|\.(?:inner|outer)HTML|insertAdjacentHTML|document\.write|"
            r"autoescape\s+false|\sstyle=|\son[a-z]+=\"|hx-on|javascript:|\beval\(",
            file.read_text(),
        )
        assert found is None, f"{file}: {found}"


def test_only_our_own_script_is_in_the_repository() -> None:
    ignored = (WEB.parents[2] / ".gitignore").read_text()
    for file in (WEB / "static").iterdir():
        ours = file.name in {"tocsin.js", "bell.svg"} or file.suffix == ".css"
        assert ours or f"/src/tocsin/web/static/{file.name}\n" in ignored, file


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing.json", 404),
        ("/health.json?limit=x", 200),
        ("/audit.json?limit=x", 400),
        ("/audit.json?before=999999999999999999999", 400),
        ("/overview.json?since=never", 400),
        ("/overview.json?since=9999999999d", 400),
        ("/people/x", 405),
        ("/login/x", 404),
    ],
)
def test_errors_have_one_shape(client: Client, path: str, status: int) -> None:
    browser = client("admin")
    browser.headers["accept"] = "application/json"
    answer = browser.get(path)
    assert answer.status_code == status
    if status != 200:
        error = answer.json()["error"]
        assert error.keys() == {"status", "message", "request_id"}
        assert error["status"] == status
        assert error["request_id"] == answer.headers["tocsin-request-id"]


def failing(site: Site, error: Exception) -> Web:
    def fail() -> None:
        raise error

    parts = {name: getattr(site, name) for name in Site.__slots__}
    return make_app(Site(**parts | {"disk": fail}))


@pytest.mark.parametrize(
    ("error", "status"),
    [(RuntimeError("SELECT secret FROM /path"), 500), (StoreUnavailable("/path"), 503)],
)
@pytest.mark.filterwarnings("ignore")
def test_what_goes_wrong_inside_is_not_told(
    site: Site, client: Client, error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    browser = client("viewer")
    browser.app = failing(site, error)
    browser._transport.app = browser.app  # type: ignore[attr-defined]
    for kind in ("text/html", "application/json"):
        answer = browser.get("/health", headers={"accept": kind})
        assert answer.status_code == status
        assert "/path" not in answer.text
        assert "Traceback" not in answer.text
        assert answer.headers["tocsin-request-id"] in answer.text
        assert answer.headers["tocsin-request-id"] in caplog.text


def test_a_page_is_rendered_once_for_all_and_again_when_something_changed(
    site: Site, store: SqliteStore, client: Client, web: Web
) -> None:
    rendered = web._metrics.rendered._value.get
    browsers = [client("viewer") for _ in range(5)]
    pages = [browser.get("/health") for browser in browsers]
    assert rendered() == 1
    again = browsers[0].get("/health", headers={"if-none-match": pages[0].headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    client("responder").get("/health")
    assert rendered() == 2, "another role may see another page"
    store.health.report("line", "x", "the line is <cut>", 1.0)
    site_pulse_is_old(web)
    page = browsers[0].get("/health", headers={"if-none-match": pages[0].headers["etag"]})
    assert page.status_code == 200
    assert rendered() == 3
    banner = soup(page.text).select_one(".banner")
    assert banner is not None
    assert "the line is <cut>" in banner.text


def site_pulse_is_old(web: Web) -> None:
    web.live._pulse.changed()


def test_each_person_reads_its_own_name(client: Client) -> None:
    for role, name in (("viewer", "vera"), ("admin", "ada")):
        page = soup(client(role).get("/health").text)  # type: ignore[arg-type]
        link = page.select_one(".side a[href='/account']")
        assert link is not None
        assert link.text == name


def test_a_stream_tells_versions_only_and_ends_with_the_session(
    site: Site, store: SqliteStore, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SECONDS", 0.01)
    monkeypatch.setattr("tocsin.web.pulse.LOOK_SECONDS", 0.0)
    cookie = b"__Host-tocsin=" + b"v" * 43
    scope = {
        "type": "http", "method": "GET", "path": "/changes", "query_string": b"",
        "headers": [(b"cookie", cookie)],
    }  # fmt: skip

    async def run() -> list[bytes]:
        request = Request(scope)
        request.state.person = Person("vera", "viewer")
        room = Room(Templates(static_files()), Pulse(site, lambda: 0.0))
        context = Context(site, room, request)
        response = await web.live.changes(context)
        stream = response.body_iterator  # type: ignore[attr-defined]
        told = [await anext(stream)]
        store.health.report("line", "x", "cut", 1.0)
        told.append(await anext(stream))
        store.people.close_sessions("vera")
        store.health.report("line", "y", "cut", 1.0)
        told += [chunk async for chunk in stream]
        assert not web.live._open
        return told

    told = asyncio.run(asyncio.wait_for(run(), 5))
    assert len(told) == 2
    assert len(set(told)) == 2
    for message in told:
        assert re.fullmatch(rb"event: changed\ndata: [\w.:-]+\n\n", message)


def test_streams_are_limited_per_person(web: Web, client: Client) -> None:
    web.live._open["vera"] = live.MAX_STREAMS
    assert client("viewer").get("/changes").status_code == 429


def test_without_its_scripts_a_page_still_works(
    store: SqliteStore, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = {name: data for name, data in static_files().items() if "htmx" not in name}
    monkeypatch.setattr("tocsin.web.app.static_files", lambda: bare)
    browser = client("viewer")
    browser._transport.app = make_app(make_site(store, tmp_path))  # type: ignore[attr-defined]
    page = soup(browser.get("/").text)
    assert not page.select("[hx-get]")
    assert page.select("form.filters button")
