"""What stands before every page: who asks, from where, and the headers of every answer.

Pure ASGI, so that streams pass unbuffered. Nothing but the login page, static files and the
two probes is shown to somebody who did not prove who it is; the pages say that themselves.
"""

import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.web.access.access import Access
from tocsin.web.errors import Errors
from tocsin.web.metrics import WebMetrics

THEMES = ("light", "dark")
THEME_COOKIE = "__Host-tocsin-theme"

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types htmx"
)
_FIXED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FORGED = (
    "This request did not come from a page of this Tocsin. Open the page again and retry; "
    "programs send an API token."
)


class Guard:
    """The outermost part of the application."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        errors: Errors,
        origins: Sequence[str],
        metrics: WebMetrics,
    ) -> None:
        """Let through to `app`; `origins` are those it is reached under besides its own."""
        self._app = app
        self._access = access
        self._errors = errors
        self._origins = frozenset(origins)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Starlette's router raises what it cannot route if it is part of an application.
        scope["app"] = self
        nonce = secrets.token_urlsafe(18)
        request = Request(scope, receive)
        request.state.nonce = nonce
        request.state.request_id = secrets.token_hex(8)
        request.state.person = None
        request.state.theme = _theme(request.headers)
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._metrics.requests.labels(message["status"]).inc()
                _add_headers(message, nonce, request.state.request_id)
            await send(message)

        try:
            self._check_origin(request)
            request.state.person = await self._access.identify(request.headers)
            await self._app(scope, receive, send_guarded)
        except Exception as error:
            if started:
                raise
            await self._errors.respond(request, error)(scope, receive, send_guarded)

    def _check_origin(self, request: Request) -> None:
        """Refuse what another site may have made a browser send.

        An API token is sent by nobody but its holder, so such requests need no origin.
        """
        headers = request.headers
        if request.method in _SAFE or "authorization" in headers:
            return
        site = headers.get("sec-fetch-site")
        if site is None:
            origin = headers.get("origin", "")
            own = f"{request.url.scheme}://{headers.get('host', '')}"
            allowed = bool(urlsplit(origin).netloc) and origin in {own, *self._origins}
        else:
            allowed = site == "same-origin"
        if not allowed:
            raise HTTPException(403, _FORGED)


def _add_headers(message: Message, nonce: str, request_id: str) -> None:
    headers = MutableHeaders(raw=list(message["headers"]))
    headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
    headers["Tocsin-Request-Id"] = request_id
    for name, value in _FIXED.items():
        headers[name] = value
    headers.setdefault("Cache-Control", "no-store")
    message["headers"] = headers.raw


def _theme(headers: Headers) -> str:
    theme = cookie_parser(headers.get("cookie", "")).get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""
