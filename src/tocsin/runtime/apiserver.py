"""Ask an API server something, with the access that a kubeconfig gives.

For requests of our own that change nothing: the canary, `/metrics`, checks. Each request is a
connection of its own: renewed certificates and tokens are read again, and behind a balancer
every API server gets its turn.
"""

from pathlib import Path
from typing import NamedTuple, Self

import httpx2

from tocsin import __version__
from tocsin.connect.clienttls import client_context
from tocsin.connect.kubeconfig import WebhookTarget, read_webhook
from tocsin.model.errors import TocsinError
from tocsin.notify.http import in_words

TIMEOUT_SECONDS = 10.0
# A busy API server's `/metrics` is a few megabytes.
_MAX_BODY = 64 * 1024 * 1024


class Answer(NamedTuple):
    """What the API server said; `date` is its own clock's time, as its header has it."""

    status: int
    body: bytes
    date: str | None


class UnreachableError(TocsinError):
    """The API server cannot be asked now: no connection, no trust, or no answer."""


class ApiServer:
    """One API server, or the balancer before several."""

    def __init__(self, target: WebhookTarget) -> None:
        """Take the address and credentials that a kubeconfig names.

        Raises:
            TocsinError: it asks for something that Tocsin does not do.
        """
        if target.unused:
            message = (
                f"the kubeconfig uses {', '.join(target.unused)}, which Tocsin does not support: "
                "give it a client certificate or a token (a file, for one that is renewed)"
            )
            raise TocsinError(message)
        if target.insecure:
            message = (
                "the kubeconfig says insecure-skip-tls-verify, so that anybody could take the "
                "credential: name the cluster's CA under certificate-authority instead"
            )
            raise TocsinError(message)
        if not target.url.startswith("https://"):
            message = f"the kubeconfig's server {target.url!r} is no https:// address"
            raise TocsinError(message)
        self.url = target.url.rstrip("/")
        self.target = target

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Self:
        """Return the API server of the file's current context.

        Raises:
            TocsinError: the file cannot be read, or asks for something Tocsin does not do.
        """
        target = read_webhook(path)
        try:
            return cls(target)
        except TocsinError as error:
            message = f"{path}: {error}"
            raise TocsinError(message) from error

    def get(self, path: str, audit_id: str | None = None) -> Answer:
        """Send a GET request and return the answer, whatever its status.

        Args:
            path: begins with a slash; may hold a query.
            audit_id: the Audit-ID under which the API server records the request.

        Raises:
            UnreachableError: there was no answer within ten seconds.
            TocsinError: a file that the kubeconfig names cannot be used.
        """
        headers = {"User-Agent": f"tocsin/{__version__}"}
        if self.target.token is not None:
            headers["Authorization"] = f"Bearer {self.target.token.read().decode().strip()}"
        if audit_id is not None:
            headers["Audit-ID"] = audit_id
        name = self.target.tls_server_name
        extensions = {"sni_hostname": name} if name else {}
        try:
            with (
                httpx2.Client(
                    verify=client_context(self.target), trust_env=False, timeout=TIMEOUT_SECONDS
                ) as client,
                client.stream(
                    "GET", self.url + path, headers=headers, extensions=extensions
                ) as answer,
            ):
                return Answer(answer.status_code, _body(answer), answer.headers.get("Date"))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            message = f"no answer from {self.url}: {in_words(error)}"
            raise UnreachableError(message) from error


def _body(answer: httpx2.Response) -> bytes:
    pieces, size = [], 0
    for piece in answer.iter_bytes():
        size += len(piece)
        if size > _MAX_BODY:
            message = f"the answer of {answer.url.host} is larger than {_MAX_BODY} bytes"
            raise UnreachableError(message)
        pieces.append(piece)
    return b"".join(pieces)
