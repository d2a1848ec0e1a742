"""The application: every page registered in one place, behind one guard."""

import gzip
import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route, Router

from tocsin.model.people import PeopleStore
from tocsin.web.access.access import Access
from tocsin.web.access.passwords import Passwords
from tocsin.web.endpoint import Endpoint, Views
from tocsin.web.errors import Errors
from tocsin.web.live import Live
from tocsin.web.metrics import WebMetrics
from tocsin.web.openapi import document
from tocsin.web.page import Context, Page, Room
from tocsin.web.pages import (
    alert,
    alerts,
    attack,
    audit,
    event,
    events,
    health,
    incident,
    incidents,
    overview,
    people,
    response,
    responses,
    rules,
    silences,
    tokens,
    trial,
)
from tocsin.web.pages.account import Account
from tocsin.web.pages.login import Login
from tocsin.web.pulse import Pulse
from tocsin.web.rendering import STATIC_TYPES, Templates, static_files
from tocsin.web.security import Guard
from tocsin.web.site import Site

# Pages of the dashboard; each module exports its `PAGES`.
MODULES = (
    *(overview, incidents, incident, alerts, alert, events, event),
    *(responses, response, silences, attack, trial, rules, health, people, tokens, audit),
)

_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
_PACKED = {**_FOR_EVER, "Content-Encoding": "gzip"}


class Web(Guard):
    """The application with what tests and the process that runs it want to see of it."""

    pages: Sequence[Page]
    routes: Sequence[Route]
    live: Live
    people: PeopleStore


def make_app(site: Site, metrics: WebMetrics | None = None) -> Web:
    """Return the ASGI application of the dashboard."""
    metrics = metrics or WebMetrics(CollectorRegistry())
    static = static_files()
    templates = Templates(static)
    room = Room(templates, Pulse(site, time.monotonic))
    errors = Errors(templates)
    access = Access(site.people, site.clock)
    passwords = Passwords()
    live = Live(room.pulse, access, metrics)
    pages = [
        *(page for module in MODULES for page in module.PAGES),
        *Login(access, passwords).pages(),
        *Account(access, passwords).pages(),
        live.page(),
        *_plain_pages(static),
    ]
    pages.append(_openapi_page(pages))
    views = Views(metrics)
    routes = [route for page in pages for route in Endpoint(page, site, room, views).routes()]
    # A bare router: what goes wrong in it comes out as an exception, for the guard to answer.
    router = Router(routes, redirect_slashes=False)
    web = Web(router, access, errors, [site.public_url.rstrip("/")], metrics)
    web.pages, web.routes, web.live, web.people = pages, routes, live, site.people
    return web


def _plain_pages(static: dict[str, bytes]) -> list[Page]:
    # Files may be compressed: unlike pages they hold no secret whose length could tell.
    packed = {name: gzip.compress(data, mtime=0) for name, data in static.items()}

    async def file(context: Context) -> Response:
        name = context.part("name")
        if name not in static:
            raise HTTPException(404, "There is no such file.")
        media = STATIC_TYPES[name[name.rindex(".") :]]
        if "gzip" in context.request.headers.get("accept-encoding", ""):
            return Response(packed[name], headers=_PACKED, media_type=media)
        return Response(static[name], headers=_FOR_EVER, media_type=media)

    async def alive(_: Context) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def favicon(_: Context) -> Response:
        return Response(static["bell.svg"], headers=_FOR_EVER, media_type="image/svg+xml")

    return [
        Page("/static/{name}", file, "public", name="static"),
        Page("/favicon.ico", favicon, "public", name="favicon"),
        Page("/livez", alive, "public", name="livez"),
    ]


def _openapi_page(pages: Sequence[Page]) -> Page:
    async def openapi(context: Context) -> Response:
        return context.json(document(pages))

    return Page("/openapi.json", openapi, "view", name="openapi", shared=False)
