"""Serves a page: checks the right first, renders once for all who may see the same."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.web.errors import wants_page
from tocsin.web.metrics import WebMetrics
from tocsin.web.page import Context, Page, Rendered, Room
from tocsin.web.person import Person
from tocsin.web.rendering import complete
from tocsin.web.site import Site
from tocsin.web.tables import as_csv, as_json

# Ages on a page ("3 s ago") are as old as the page.
KEEP_SECONDS = 5.0
MAX_VIEWS = 128
MAX_KEY = 2000

ViewKey = tuple[str, ...]


class Views:
    """Rendered pages that several people look at."""

    def __init__(self, metrics: WebMetrics) -> None:
        self._metrics = metrics
        self._views: dict[ViewKey, tuple[float, asyncio.Task[Response]]] = {}

    async def get(self, key: ViewKey, render: Callable[[], Awaitable[Response]]) -> Response:
        """Return the view of this key, rendered at most once at a time."""
        now = time.monotonic()
        known = self._views.get(key)
        if known is None or now - known[0] > KEEP_SECONDS:
            self._drop_old(now)
            self._metrics.rendered.inc()
            known = (now, asyncio.ensure_future(_run(render)))
            self._views[key] = known
        try:
            # Whoever waits may leave; the others go on waiting.
            return await asyncio.shield(known[1])
        except Exception:
            self._views.pop(key, None)
            raise

    def _drop_old(self, now: float) -> None:
        self._views = {
            key: view for key, view in self._views.items() if now - view[0] <= KEEP_SECONDS
        }
        while len(self._views) >= MAX_VIEWS:
            del self._views[next(iter(self._views))]


async def _run(render: Callable[[], Awaitable[Response]]) -> Response:
    return await render()


class Endpoint:
    """One page as Starlette calls it."""

    def __init__(self, page: Page, site: Site, room: Room, views: Views) -> None:
        self.page = page
        self._site = site
        self._room = room
        self._views = views

    def routes(self) -> list[Route]:
        """Return the page's routes, its twins first: an id may hold anything but a slash."""
        page, methods = self.page, list(self.page.methods)
        twins = []
        if page.table or page.record:
            twins.append(Route(f"{_twin_path(page)}.json", self.json, name=f"{page.name}.json"))
        if page.table:
            twins.append(Route(f"{_twin_path(page)}.csv", self.csv, name=f"{page.name}.csv"))
        return [*twins, Route(page.path, self.show, methods=methods, name=page.name)]

    async def show(self, request: Request) -> Response:
        """Answer with the page."""
        refused = self._refuse(request)
        if refused is not None:
            return refused
        beat = await self._room.pulse.look()
        context = Context(self._site, self._room, request)
        key = self._key(request, beat.version)
        if key is None:
            response = await self._make(context)
        else:
            response = await self._views.get(key, lambda: self._make(context))
        if isinstance(response, Rendered):
            return _finished(request, response, beat.version)
        return response

    async def _make(self, context: Context) -> Response:
        if self.page.permission == "public":
            return await self.page.handler(context)
        async with self._room.turns.turn():
            return await self.page.handler(context)

    async def json(self, request: Request) -> Response:
        """Answer with the JSON twin."""
        context = self._twin(request)
        if self.page.table is None:
            return context.json(await self.page.record(context) if self.page.record else None)
        async with self._room.turns.turn():
            table = await self.page.table(context)
            body = await context.read(as_json, table, _next_link(context, "json", table.next))
        return Response(body, media_type="application/json")

    async def csv(self, request: Request) -> Response:
        """Answer with the CSV twin; a `Link` header tells that there is more."""
        context = self._twin(request)
        if self.page.table is None:
            raise HTTPException(404, "There is no table here.")
        async with self._room.turns.turn():
            table = await self.page.table(context)
            body = await context.read(as_csv, table)
        headers = {"Content-Disposition": f'attachment; filename="{table.name}.csv"'}
        if following := _next_link(context, "csv", table.next):
            headers["Link"] = f'<{following}>; rel="next"'
        return Response(body, headers=headers, media_type="text/csv")

    def _twin(self, request: Request) -> Context:
        person = self._allowed(request)
        if person is not None and person.must_change:
            raise HTTPException(403, "Choose a password of your own first.")
        return Context(self._site, self._room, request, twin=True)

    def _refuse(self, request: Request) -> Response | None:
        """Return the way to the login or to a new password where that comes first."""
        person: Person | None = request.state.person
        if person is None and self.page.permission != "public" and wants_page(request):
            return _login(request)
        self._allowed(request)
        if person is not None and person.must_change and self.page.permission != "public":
            if self.page.path == "/account":
                return None
            return Response(status_code=303, headers={"Location": "/account"})
        return None

    def _allowed(self, request: Request) -> Person | None:
        person: Person | None = request.state.person
        if self.page.permission == "public":
            return person
        if person is None:
            raise HTTPException(401, "Log in, or send an API token.")
        if not person.may(self.page.permission):
            raise HTTPException(
                403, f"This needs the right to {self.page.permission}; your role is {person.role}."
            )
        return person

    def _key(self, request: Request, version: str) -> ViewKey | None:
        """Return what the page depends on, None where it is this person's alone."""
        person: Person | None = request.state.person
        url = str(request.url)
        if request.method != "GET" or not self.page.shared or not person or len(url) > MAX_KEY:
            return None
        return url, person.role, person.scope.name, request.state.theme, version


def _finished(request: Request, rendered: Rendered, version: str) -> Response:
    person: Person | None = request.state.person
    name = person.name if person else ""
    digest = hashlib.sha256(f"{name} {rendered.digest}".encode()).hexdigest()[:32]
    headers = {"ETag": f'"{digest}"'}
    if request.method == "GET" and request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    body = complete(rendered.text, request.state.nonce, name, version)
    return Response(body, rendered.status_code, headers, media_type="text/html")


def _login(request: Request) -> Response:
    """Send to the login and back again afterwards; a refresh makes the whole page go there."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    where = "/login" if here == "/" else f"/login?{urlencode({'next': here})}"
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={"HX-Redirect": where})
    return Response(status_code=303, headers={"Location": where})


def _twin_path(page: Page) -> str:
    return "/overview" if page.path == "/" else page.path


def _next_link(context: Context, suffix: str, before: str | None) -> str | None:
    if before is None:
        return None
    path, _, query = context.link(before=before).partition("?")
    return f"{path}.{suffix}?{query}"
