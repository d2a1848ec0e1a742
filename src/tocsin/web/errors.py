"""Errors as people and programs see them: one shape, a request id, nothing of our insides."""

import logging

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tocsin.model.errors import TocsinError
from tocsin.model.ports import StoreUnavailable
from tocsin.model.queries import QueryTooWide
from tocsin.web.rendering import Templates, complete

log = logging.getLogger(__name__)

_BUSY = "The store did not answer in time. Try again, or ask for less: a shorter time, a filter."
_TITLES = {
    400: "That cannot be shown",
    401: "Please log in",
    403: "Not allowed",
    404: "Not found",
    405: "Not allowed here",
    409: "That has changed",
    413: "Too much",
    429: "Too many tries",
    503: "Not at this moment",
}


class ErrorBody(msgspec.Struct, frozen=True):
    """What is wrong: the status again, a sentence, and the id under which the log tells more."""

    status: int
    message: str
    request_id: str


class Errors:
    """Turns exceptions into responses."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def respond(self, request: Request, error: Exception) -> Response:
        """Return the response for an exception."""
        status, message, headers = _say(error)
        request_id = request.state.request_id
        if status >= 500:  # noqa: PLR2004 - ours to look into
            log.error("request %s: %s", request_id, error, exc_info=_unexpected(error))
        if not wants_page(request):
            body = msgspec.json.encode({"error": ErrorBody(status, message, request_id)})
            return Response(body, status, headers, media_type="application/json")
        values: dict[str, object] = {
            "status": status,
            "title": _TITLES.get(status, "Something went wrong"),
            "message": message,
            "request_id": request_id,
        }
        page = self._templates.render("error.html", values)
        body = complete(page, request.state.nonce, "")
        return Response(body, status, headers, media_type="text/html")


def wants_page(request: Request) -> bool:
    """Return whether a person with a browser asks, not a program."""
    if request.url.path.endswith((".json", ".csv")) or "authorization" in request.headers:
        return False
    return "text/html" in request.headers.get("accept", "")


def _say(error: Exception) -> tuple[int, str, dict[str, str]]:
    match error:
        case HTTPException():
            return error.status_code, error.detail, dict(error.headers or {})
        case TocsinError() | QueryTooWide():
            return 400, str(error), {}
        case StoreUnavailable() | TimeoutError():
            return 503, _BUSY, {"Retry-After": "2"}
        case _:
            return 500, "Something went wrong inside Tocsin; its log tells what.", {}


def _unexpected(error: Exception) -> Exception | None:
    return None if isinstance(error, HTTPException | StoreUnavailable | TimeoutError) else error
