"""What the webhook answers to a batch, and what that answer costs an API server's events."""

import ssl
from dataclasses import dataclass

import msgspec

from tocsin.runtime.doctor.finding import Finding, fault, ok, warning
from tocsin.runtime.doctor.kubeconfig import Opened
from tocsin.runtime.doctor.site import Site
from tocsin.runtime.doctor.tls import in_words

CHECK = "answer"
# More than any answer of Tocsin's has.
MAX_BODY = 4096

_SLOW_SECONDS = 3.0
_DROPPED = "the API server tries again for some minutes and then drops the events"
_OK, _DELIVERED = 200, range(200, 207)
_REDIRECTS = range(300, 400)
_NOT_HERE = (404, 405)
_UNAUTHENTICATED, _FORBIDDEN, _BUSY = 401, 403, 503


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of HTTP; `skew` is how many seconds our clock is ahead of the one in it."""

    status: int
    body: bytes
    location: str | None
    seconds: float
    skew: float | None


class _Refusal(msgspec.Struct):
    error: str


def judge(opened: Opened, sent: Answer | Exception) -> Finding:
    """Judge the answer to an empty list of events, or what came instead of an answer."""
    site = opened.site
    if isinstance(sent, Exception):
        return _judge_silence(opened, sent)
    if sent.status in _DELIVERED:
        return _judge_delivered(site, sent)
    if sent.status in _REDIRECTS:
        return fault(
            CHECK,
            f"{site.path} is redirected to {sent.location or 'nowhere'}",
            "the API server follows with an empty GET and takes that for delivery: every event "
            "is lost without a sign",
            f"let `server:` lead to Tocsin itself: {site.anew}",
        )
    refusal = _reason(sent.body)
    if refusal is None or sent.status in _NOT_HERE:
        return fault(
            CHECK,
            f"what answers at {site.endpoint.host_port}{site.path} is not Tocsin "
            f"(status {sent.status})",
            _DROPPED,
            f"check address and path of `server:`; {site.anew}",
        )
    return _judge_refusal(site, sent.status, refusal)


def _judge_delivered(site: Site, sent: Answer) -> Finding:
    if sent.status != _OK or sent.body:
        return fault(
            CHECK,
            f"{site.endpoint.host_port} answers {sent.status} as Tocsin does not: something else "
            "takes the events",
            "the API server takes it for delivery: every event is lost without a sign",
            f"check address and path of `server:`; {site.anew}",
        )
    taken = f"a batch is taken and durable within {sent.seconds:.2f} s"
    if sent.seconds < _SLOW_SECONDS:
        return ok(CHECK, taken)
    why = "after 30 s the API server gives an attempt up"
    return warning(CHECK, taken, why, "look at the disk of Tocsin's machine: iostat -x 1")


def _judge_refusal(site: Site, status: int, refusal: str) -> Finding:
    cluster = site.cluster or "CLUSTER"
    if status == _UNAUTHENTICATED:
        return fault(
            CHECK,
            f"Tocsin does not know this credential (401: {refusal})",
            f"{_DROPPED}; it was revoked or rotated, or Tocsin runs on another data folder",
            f"on Tocsin's machine: tocsin clusters list; then {site.setup} and copy the files here",
        )
    if status == _FORBIDDEN:
        return fault(
            CHECK,
            f"the credential is not one of the cluster {cluster} in the path {site.path} "
            f"(403: {refusal})",
            _DROPPED,
            f"correct the path of `server:`, or {site.anew}",
        )
    if status == _BUSY:
        return fault(
            CHECK,
            f"Tocsin takes no events now (503: {refusal})",
            "the API server holds them for some minutes; its disk is full or failing, or it is "
            "overloaded",
            "on Tocsin's machine: tocsin doctor",
        )
    return fault(CHECK, f"Tocsin refuses a batch ({status}: {refusal})", _DROPPED, site.anew)


def _judge_silence(opened: Opened, error: Exception) -> Finding:
    """Say what it means that no answer comes.

    With TLS 1.3 the server looks at the client's certificate when the client is through with the
    handshake. A refusal then shows as an alert, or as nothing but the end of the connection.
    """
    site = opened.site
    where = site.endpoint.host_port
    if isinstance(error, TimeoutError):
        what = f"{where} takes the batch and does not answer"
        return fault(CHECK, what, _DROPPED, "on Tocsin's machine: tocsin doctor")
    if isinstance(error, ssl.SSLError | ConnectionError):
        problem = (
            "it refuses the client certificate, which is from another CA than Tocsin's, or expired"
            if opened.certificate
            else "it demands a client certificate, and the kubeconfig names none"
        )
        what = f"{where} ends the connection instead of answering ({in_words(error)})"
        return fault(CHECK, what, f"most likely {problem}; {_DROPPED}", site.anew)
    what = f"what answers at {where} does not speak HTTP: {in_words(error)}"
    return fault(CHECK, what, _DROPPED, f"check address and port of `server:`; {site.anew}")


def _reason(body: bytes) -> str | None:
    """Return the reason that Tocsin gives for a refusal; None if it is not Tocsin's answer."""
    try:
        return msgspec.json.decode(body, type=_Refusal).error
    except msgspec.DecodeError:
        return None
