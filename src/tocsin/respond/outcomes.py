"""What an answer of the API server, or none, means for the change that was asked for.

The table is a bar of its own (A12): what is taken for "not done" though it was done would be
done twice, and what is taken for done though it was not would be a lie in the journal.
"""

from collections.abc import Mapping

import httpx2
import msgspec

from tocsin.model.text import visible
from tocsin.respond.actions.base import ApiError, ApiFailure

_DENIED = frozenset({401, 403})
_GONE = frozenset({404, 410})
_CONFLICT = 409
_UNPROCESSABLE = 422
_TOO_MANY = 429
_UNAVAILABLE = 503
_SERVER_ERRORS = 500
_LONG_MESSAGE = 500
_MOST_SECONDS = 86_400.0


class _Details(msgspec.Struct):
    kind: str | None = None
    causes: list[msgspec.Raw] | None = None


class _Status(msgspec.Struct):
    message: str | None = None
    reason: str | None = None
    details: _Details | None = None


def failed(method: str, code: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Return the error for an answer that is no success."""
    status = _status(body)
    retry_after = _seconds(headers.get("Retry-After"))
    failure = _failure(method, code, status, retry_after)
    words = visible((status.message or "")[:_LONG_MESSAGE]) or "the API server gives no reason"
    return ApiError(failure, f"HTTP {code}: {words}", code, retry_after)


def unanswered(method: str, error: httpx2.HTTPError) -> ApiError:
    """Return the error for a request without an answer."""
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        # There was no connection, so nothing was sent on it.
        return ApiError("busy", f"the API server cannot be reached: {type(error).__name__}")
    what = "it was asked" if method == "GET" else "the change was sent, and may have been made"
    return ApiError("unknown", f"no answer from the API server ({type(error).__name__}): {what}")


def _failure(method: str, code: int, status: _Status, retry_after: float | None) -> ApiFailure:
    if code in _DENIED:
        return "denied"
    if code in _GONE:
        return "gone"
    if code == _CONFLICT or (code == _UNPROCESSABLE and method == "PATCH" and _is_test(status)):
        return "changed"
    if code == _TOO_MANY or (code == _UNAVAILABLE and retry_after is not None):
        return "busy"
    # A balancer says 503 without Retry-After, too, when the API server behind it fell silent.
    return "unknown" if code >= _SERVER_ERRORS else "invalid"


def _is_test(status: _Status) -> bool:
    """Whether a patch failed before there was an object to judge: its tests did not hold."""
    return status.details is None or not status.details.causes


def _status(body: bytes) -> _Status:
    try:
        return msgspec.json.decode(body, type=_Status)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return _Status()


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a Retry-After; API servers send no dates there."""
    if text is None or not (text.isascii() and text.isdecimal()):
        return None
    return min(float(text[:10]), _MOST_SECONDS)
