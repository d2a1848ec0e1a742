"""Every answer of the webhook that is not 200.

A refusal either lets the sender finish its body, so that the sender gets to read the answer, or
closes the connection at once, because whoever sends is unknown or does not keep to the limits.
Retry-After makes an API server repeat the request within seconds, for as long as it may.
"""

from dataclasses import dataclass

from starlette.responses import JSONResponse, Response


@dataclass(frozen=True, slots=True)
class Refusal:
    """One such answer; `reason` is its name in the metrics."""

    reason: str
    status: int
    message: str
    header: tuple[str, str] | None = None
    closes: bool = True

    def response(self) -> Response:
        """Return it as an HTTP response."""
        headers = dict([self.header] if self.header else [])
        if self.closes:
            headers["Connection"] = "close"
        return JSONResponse({"error": self.message}, self.status, headers)


class RefusedError(Exception):
    """Raised where a request turns out to be refused."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.message)


_RETRY = ("Retry-After", "3")

METHOD = Refusal("method", 405, "only POST is served here", ("Allow", "POST"))
CREDENTIAL = Refusal("credential", 401, "no valid client certificate or bearer token")
CLUSTER = Refusal("cluster", 403, "this credential belongs to another cluster")
ENCODING = Refusal("encoding", 415, "this Content-Encoding is not accepted", closes=False)
DAMAGED = Refusal("damaged", 400, "the body is not valid gzip")
TOO_LARGE = Refusal("too_large", 413, "the body is larger than max_body")
SLOW = Refusal("slow", 408, "the body did not arrive in time")
GONE = Refusal("disconnected", 400, "the connection closed before the body ended")
BUSY = Refusal("busy", 503, "too many requests at once", _RETRY, closes=False)
UNAVAILABLE = Refusal("spool", 503, "events cannot be stored now", _RETRY, closes=False)
