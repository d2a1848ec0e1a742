"""Who may see what: every route and role, the login, sessions, tokens, forged requests."""

import asyncio
import re
import threading
import time
from collections.abc import Callable
from itertools import product

import httpx2
import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.unit.web.conftest import Client, soup
from tests.unit.web.sites import PEOPLE
from tocsin.model.people import ApiToken, Role, User, UserChange
from tocsin.store import SqliteStore
from tocsin.web.access import passwords
from tocsin.web.access.secret import digest_of, new_token
from tocsin.web.app import Web
from tocsin.web.endpoint import Endpoint
from tocsin.web.page import Page
from tocsin.web.pages.login import safe_path

PASSWORD = "correct horse battery"
OPEN_TO_ALL = {
    "/login",
    "/setup",
    "/logout",
    "/static/{name}",
    "/favicon.ico",
    "/livez",
}
# A stream, and what ends the session that asks.
ENDLESS_OR_LAST = {"changes", "logout", "sessions"}
PERMISSIONS = {"public": 0, "view": 1, "respond": 2, "admin": 3}
RANKS: dict[Role | None, int] = {None: 0, "viewer": 1, "responder": 2, "admin": 3}


def page_of(route: Route) -> Page:
    endpoint = getattr(route.endpoint, "__self__", None)
    assert isinstance(endpoint, Endpoint), f"{route.path} is served past the rights"
    return endpoint.page


def test_every_route_says_what_right_it_needs(web: Web) -> None:
    for route in web.routes:
        assert page_of(route).permission in PERMISSIONS
    public = {route.path for route in web.routes if page_of(route).permission == "public"}
    assert public == OPEN_TO_ALL


def test_no_page_refuses_who_has_the_right_and_none_lets_in_who_has_not(
    web: Web, client: Client
) -> None:
    for role, rank in RANKS.items():
        browser = client(role)
        for route, method in product(web.routes, ("GET", "POST")):
            page = page_of(route)
            if method not in (route.methods or ()) or page.name in {
                "changes",
                "logout",
                "sessions",
            }:
                continue
            path = re.sub(r"\{\w+\}", "nothing", route.path)
            answer = browser.request(method, path)
            allowed = rank >= PERMISSIONS[page.permission]
            refused = answer.status_code in {401, 403} or (
                answer.status_code == 303 and answer.headers["location"].startswith("/login")
            )
            name = f"{method} {path} as {role}: {answer.status_code}"
            assert refused != allowed or (method == "POST" and page.name == "login"), name
            assert answer.status_code != 500, name


@pytest.mark.parametrize("token", ["", "x", "tocsin_" + "x" * 43, "tocsin_" + "y" * 44])
def test_bad_tokens_get_nothing(web: Web, client: Client, token: str) -> None:
    browser = client("admin")
    browser.headers["authorization"] = f"Bearer {token}"
    for route in web.routes:
        path = re.sub(r"\{\w+\}", "nothing", route.path)
        if "GET" in (route.methods or ()):
            assert browser.get(path).status_code == 401, path


def test_sessions_that_ended_count_no_more(client: Client, store: SqliteStore) -> None:
    browser = client("viewer")
    assert browser.get("/").status_code == 200
    store.people.change_user("vera", UserChange(disabled=True))
    assert browser.get("/").headers["location"] == "/login"
    browser.cookies.set("__Host-tocsin", "z" * 43)
    assert browser.get("/alerts?severity=high").headers["location"] == (
        "/login?next=%2Falerts%3Fseverity%3Dhigh"
    )


def test_a_token_has_its_own_rights_and_ends(client: Client, store: SqliteStore) -> None:
    browser, secret, now = client(None), new_token(), time.time()
    token = ApiToken(name="ci", role="viewer", owner="ada", created=now, expires=now + 60)
    store.people.add_token(token, digest_of(secret))
    browser.headers["authorization"] = f"Bearer {secret}"
    assert browser.get("/health.json").json() == {"rows": [], "next": None}
    assert browser.get("/people.json").status_code == 403
    store.people.remove_token("ci")
    assert browser.get("/health.json").status_code == 401


FORGED = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "", "origin": "https://tocsin.test"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://tocsin.test"},
    {"origin": "https://tocsin.test.evil.example"},
    {"sec-fetch-site": "cross-site", "origin": "https://tocsin.test"},
    {},
]


@pytest.mark.parametrize("headers", FORGED, ids=str)
def test_what_another_site_sends_is_refused(
    client: Client, store: SqliteStore, headers: dict[str, str]
) -> None:
    browser = client("admin")
    del browser.headers["sec-fetch-site"]
    answer = browser.post("/people/add", data={"name": "eve", "role": "admin"}, headers=headers)
    assert answer.status_code == 403
    assert store.people.user("eve") is None


def test_what_our_own_pages_send_is_taken(client: Client, store: SqliteStore) -> None:
    browser = client("admin")
    assert browser.post("/people/add", data={"name": "eve"}).status_code == 200
    del browser.headers["sec-fetch-site"]
    own = {"origin": "https://tocsin.test"}
    assert browser.post("/people/add", data={"name": "eva"}, headers=own).status_code == 200
    assert {"eve", "eva"} <= {user.name for user in store.people.users()}


def log_in(browser: TestClient, password: str = PASSWORD, **more: str) -> str | int:
    answer = browser.post("/login", data={"name": "vera", "password": password} | more)
    return answer.headers.get("location", answer.status_code)


@pytest.fixture
def vera(store: SqliteStore) -> None:
    store.people.remove_user("vera") if store.people.user("vera") else None
    store.people.add_user(
        User(
            name="vera",
            role="viewer",
            password=passwords.hash_password(PASSWORD),
            created=time.time(),
        )
    )


@pytest.mark.usefixtures("vera")
def test_a_login_begins_a_session_of_its_own(web: Web, client: Client) -> None:
    browser = client(None)
    assert log_in(browser, next="/alerts?q=x") == "/alerts?q=x"
    cookie = browser.cookies["__Host-tocsin"]
    assert len(cookie) == 43
    assert browser.get("/").status_code == 200
    answer = browser.post("/login", data={"name": "vera", "password": PASSWORD})
    flags = answer.headers["set-cookie"].lower()
    assert all(flag in flags for flag in ("secure", "httponly", "samesite=lax", "path=/"))
    assert browser.cookies["__Host-tocsin"] != cookie, "a session outlived a new login"
    old = client(None)
    old.cookies.set("__Host-tocsin", cookie)
    assert old.get("/").headers["location"] == "/login"
    browser.post("/logout")
    assert browser.get("/").headers["location"] == "/login"


@pytest.mark.usefixtures("vera")
@pytest.mark.parametrize(
    "path", ["//evil", "/\\evil", "https://evil", "evil", "javascript:x", "/\t/evil", "/a\nb", ""]
)
def test_a_login_leads_nowhere_else(client: Client, path: str) -> None:
    assert safe_path(path) == "/"
    assert log_in(client(None), next=path) == "/"


@pytest.mark.usefixtures("vera")
def test_of_many_wrong_logins_at_once_only_so_many_are_tried(
    web: Web, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    real = passwords.is_password

    def counted(given: str, stored: str) -> bool:
        tried.append(given)
        return real(given, stored)

    monkeypatch.setattr(passwords, "is_password", counted)

    async def attack() -> list[int]:
        transport = httpx2.ASGITransport(web)
        async with httpx2.AsyncClient(transport=transport, base_url="https://tocsin.test") as one:
            form = {"name": "vera", "password": "wrong"}
            headers = {"sec-fetch-site": "same-origin"}
            asked = (one.post("/login", data=form, headers=headers) for _ in range(200))
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    codes = asyncio.run(attack())
    assert set(codes) == {401, 429}
    assert codes.count(401) == len(tried) == 10
    assert log_in(client(None)) in {303, "/"}, "another address may still try"


def test_a_wrong_name_and_a_wrong_password_are_told_alike(client: Client) -> None:
    browser = client(None)
    texts = set()
    for name in ("vera", "nobody"):
        answer = browser.post("/login", data={"name": name, "password": "wrong"})
        assert answer.status_code == 401
        texts.add(soup(answer.text).select_one("main .problem").text)  # type: ignore[union-attr]
    assert len(texts) == 1


def test_the_first_user_is_made_once(web: Web, client: Client, store: SqliteStore) -> None:
    for known in PEOPLE.values():
        if known.name != "ada":
            store.people.remove_user(known.name)
    with store._database.write() as connection:
        connection.execute("DELETE FROM person")
    store.people.offer_setup(digest_of("t" * 43), time.time() + 60)
    browser = client(None)
    form = {"token": "t" * 43, "name": "root", "password": PASSWORD, "again": PASSWORD}
    assert "Make the first user" in browser.get("/setup?token=" + "t" * 43).text
    assert browser.post("/setup", data=form | {"again": "x"}).status_code == 400
    assert browser.post("/setup", data=form | {"token": "x" * 43}).status_code == 403
    assert browser.post("/setup", data=form).headers["location"] == "/"
    assert browser.get("/people").status_code == 200
    again = client(None)
    assert again.post("/setup", data=form | {"name": "second"}).status_code == 403
    assert [user.name for user in store.people.users()] == ["root"]


def test_a_first_password_has_to_be_changed_before_anything_else(
    client: Client, store: SqliteStore
) -> None:
    admin, browser = client("admin"), client(None)
    page = admin.post("/people/add", data={"name": "new", "role": "viewer"}).text
    password = re.search(r"<pre[^>]*>([0-9a-f-]+)</pre>", page)
    assert password
    form = {"name": "new", "password": password[1]}
    assert browser.post("/login", data=form).headers["location"] == "/"
    assert browser.get("/").headers["location"] == "/account"
    assert browser.get("/health.json").status_code == 403
    changed = {"current": password[1], "password": PASSWORD, "again": PASSWORD}
    assert browser.post("/account", data=changed | {"password": "short"}).status_code == 400
    assert browser.post("/account", data=changed | {"current": "wrong"}).status_code == 403
    assert browser.post("/account", data=changed).headers["location"] == "/"
    assert browser.get("/").status_code == 200
    actions = [(one.who, one.action) for one in store.people.notes(10)]
    assert ("new", "password changed") in actions
    assert ("ada", "user added") in actions


def test_the_last_admin_cannot_be_shut_out(client: Client) -> None:
    answer = client("admin").post("/people/ada", data={"do": "disable"})
    assert answer.status_code == 400


def test_neither_tokens_nor_passwords_are_looked_at_where_requests_are_answered(
    web: Web, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def noted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            threads.append(threading.current_thread().name)
            return real(*arguments)

        return call

    for name in ("token", "session"):
        monkeypatch.setattr(store.people, name, noted(getattr(store.people, name)))
    monkeypatch.setattr(passwords, "is_password", noted(passwords.is_password))

    async def ask() -> list[int]:
        transport = httpx2.ASGITransport(web)
        async with httpx2.AsyncClient(transport=transport, base_url="https://tocsin.test") as one:
            bearer = {"authorization": f"Bearer {new_token()}"}
            cookie = {"cookie": "__Host-tocsin=" + "x" * 43, "sec-fetch-site": "same-origin"}
            form = {"name": "vera", "password": "wrong"}
            answers = [
                await one.get("/health.json", headers=bearer),
                await one.get("/health.json", headers=cookie),
                await one.post("/login", data=form, headers=cookie),
            ]
            return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [401, 401, 401]
    kinds = [name.rpartition("_")[0] for name in threads]
    assert kinds == ["web-access", "web-access", "web-access", "argon2"]
