"""The access of one run: a proxy on loopback that lets the planned calls through.

The kubeconfig that a program gets names this proxy, with a secret in its address. The
responder's credential stays in the client that the proxy asks with; headers of the program
that say who it is go nowhere. What is forwarded is made anew, never passed on as bytes.
"""

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tocsin.disk import replace_file
from tocsin.model.errors import TocsinError
from tocsin.model.response import SUCCESS, Call, ObjectRef
from tocsin.respond.actions.base import Refusal
from tocsin.respond.command.gate import MAX_BODY, Allowed, Asked, judge

MAX_REQUESTS: Final = 200
_START_SECONDS = 5.0
_STOP_SECONDS = 1.0
# Longer than the gate lets a watch take.
_READ_SECONDS = 15.0
_SECRET_BYTES = 24
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_HANDED_BACK = ("content-type", "warning", "retry-after")


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A change that was sent on; `code` is None if no answer came, so that it may be done."""

    verb: str
    words: str
    audit_id: str
    code: int | None


@dataclass(slots=True)
class Calls:
    """What a program asked for."""

    changes: list[Forwarded] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    reads: int = 0


@dataclass(frozen=True, slots=True)
class Upstream:
    """How calls are made.

    Attributes:
        client: has the address and the credential of the API server.
        read_mark: makes the Audit-ID of a request that changes nothing.
        change_mark: makes the Audit-ID of the next change.
        note: journals a line about a change before it is made, and what came of it.
        stopped: whether nothing may be changed any more.
    """

    client: httpx2.Client
    read_mark: Callable[[], str]
    change_mark: Callable[[], str]
    note: Callable[[str, Mapping[str, object]], None]
    stopped: Callable[[], bool]


class Proxy:
    """A proxy for one program; use it in a `with` block."""

    def __init__(self, upstream: Upstream, target: ObjectRef, verbs: frozenset[str]) -> None:
        """Plan it; it listens inside of the `with` block only."""
        self.calls = Calls()
        self._upstream = upstream
        self._target = target
        self._verbs = verbs
        self._prefix = f"/{secrets.token_hex(_SECRET_BYTES)}"
        # One change after the other, so that each is journalled before it is made.
        self._lock = threading.Lock()
        self._over = False
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        """Listen.

        Raises:
            TocsinError: it cannot.
        """
        try:
            self._socket = socket.create_server(("127.0.0.1", 0))
        except OSError as error:
            message = f"cannot listen on loopback: {error}"
            raise TocsinError(message) from error
        route = Route("/{path:path}", self._answer, methods=_METHODS)
        config = uvicorn.Config(
            Starlette(routes=[route]),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            limit_concurrency=50,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="command-proxy", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                self._stop()
                message = "the proxy for the command does not start"
                raise TocsinError(message)
            time.sleep(0.005)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    @property
    def url(self) -> str:
        """The address, with the secret in it."""
        port = self._socket.getsockname()[1] if self._socket else 0
        return f"http://127.0.0.1:{port}{self._prefix}"

    def write_kubeconfig(self, path: Path) -> None:
        """Write the kubeconfig that leads here, for its owner alone."""
        context = {"cluster": "tocsin", "user": "tocsin"}
        if self._target.namespace:
            context["namespace"] = self._target.namespace
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tocsin", "cluster": {"server": self.url}}],
            "users": [{"name": "tocsin", "user": {}}],
            "contexts": [{"name": "tocsin", "context": context}],
            "current-context": "tocsin",
        }
        replace_file(path, json.dumps(config).encode())

    def _stop(self) -> None:
        with self._lock:
            self._over = True
        if self._server is not None:
            self._server.should_exit = self._server.force_exit = True
        if self._thread is not None:
            # A watch that the program has left may take it some seconds more.
            self._thread.join(_STOP_SECONDS)
        if self._socket is not None:
            self._socket.close()

    async def _answer(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("latin-1")
        prefix, path = path[: len(self._prefix)], path[len(self._prefix) :]
        if not secrets.compare_digest(prefix.encode("latin-1"), self._prefix.encode()):
            return _status(401, "Unauthorized", "this is not your proxy")
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)
        asked = Asked(
            method=request.method,
            path=path,
            query=request.scope["query_string"].decode("latin-1"),
            content_type=request.headers.get("content-type", ""),
            body=body,
        )
        return await run_in_threadpool(self._handle, asked, request.headers.get("accept", "*/*"))

    def _handle(self, asked: Asked, accept: str) -> Response:
        allowed = self._judged(asked)
        if isinstance(allowed, Refusal):
            self._refuse(asked, allowed.reason)
            reason = f"Tocsin refuses {asked.words}: {allowed.reason}"
            return _status(403, "Forbidden", reason)
        try:
            if allowed.verb is None:
                return self._read(allowed, accept)
            with self._lock:
                return self._change(allowed, accept)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return _status(502, "BadGateway", f"no answer from the API server: {error}")

    def _judged(self, asked: Asked) -> Allowed | Refusal:
        with self._lock:
            if self.calls.reads + len(self.calls.changes) >= MAX_REQUESTS:
                return Refusal(f"more than {MAX_REQUESTS} requests in one run")
            allowed = judge(asked, self._target, self._verbs)
            self.calls.reads += isinstance(allowed, Allowed) and allowed.verb is None
            return allowed

    def _refuse(self, asked: Asked, reason: str) -> None:
        with self._lock:
            if len(self.calls.refused) < MAX_REQUESTS:
                words = f"{asked.words}: {reason}"
                self.calls.refused.append(words)
                self._upstream.note(f"the command was refused {words}", {"refused": words})

    def _read(self, allowed: Allowed, accept: str) -> Response:
        """Pass an answer on as it comes: it may be a watch.

        Whose deletion was accepted is not there any more: kubectl would wait for the object's
        end, and all other responses with it.
        """
        if self._is_deleted and allowed.target.partition("?")[0] == self._target.path:
            return _status(404, "NotFound", "its deletion was accepted")
        with self._lock:
            audit_id = self._upstream.read_mark()
        answer = self._send(allowed, accept, audit_id)
        return StreamingResponse(
            _pieces(answer), status_code=answer.status_code, headers=_handed_back(answer)
        )

    @property
    def _is_deleted(self) -> bool:
        return any(
            change.verb == "delete" and change.code in SUCCESS for change in self.calls.changes
        )

    def _change(self, allowed: Allowed, accept: str) -> Response:
        if self._over or self._upstream.stopped():
            reason = "the run is over" if self._over else "responding was stopped"
            self.calls.refused.append(f"{allowed.method} {allowed.target}: {reason}")
            return _status(403, "Forbidden", reason)
        audit_id, words = self._upstream.change_mark(), f"{allowed.method} {allowed.target}"
        call = {"call": msgspec.to_builtins(self._call(allowed)), "dry_run": allowed.dry_run}
        self._upstream.note(f"the command asks: {words}", {**call, "audit_id": audit_id})
        code = None
        try:
            answer = self._send(allowed, accept, audit_id)
            code = answer.status_code
            content = b"".join(_pieces(answer))
        finally:
            if not allowed.dry_run:
                self.calls.changes.append(Forwarded(allowed.verb or "", words, audit_id, code))
            what = {"error": "unknown"} if code is None else {"answer": {"code": code}}
            self._upstream.note(
                f"the command was answered {code or 'nothing'}", {"audit_id": audit_id, **what}
            )
        return Response(content, status_code=code, headers=_handed_back(answer))

    def _call(self, allowed: Allowed) -> Call:
        """Return a change as the journal tells it."""
        path = allowed.target.partition("?")[0]
        subresource = path.removeprefix(self._target.path).strip("/") or None
        return Call(
            verb=allowed.verb or "patch",
            target=self._target,
            subresource=subresource,
            body=msgspec.json.decode(allowed.body),
            title=f"{allowed.method} {allowed.target}",
        )

    def _send(self, allowed: Allowed, accept: str, audit_id: str) -> httpx2.Response:
        client = self._upstream.client
        headers = {"Accept": accept, "Audit-ID": audit_id}
        if allowed.content_type:
            headers["Content-Type"] = allowed.content_type
        request = client.build_request(
            allowed.method,
            allowed.target,
            headers=headers,
            content=allowed.body or None,
            timeout=_READ_SECONDS,
        )
        return client.send(request, stream=True, follow_redirects=False)


async def _body(request: Request) -> bytes:
    """Return the body; what is too long is cut just beyond the limit, which refuses it."""
    body = bytearray()
    async for piece in request.stream():
        body += piece[: MAX_BODY + 1 - len(body)]
    return bytes(body)


def _pieces(answer: httpx2.Response) -> Iterator[bytes]:
    try:
        yield from answer.iter_bytes()
    finally:
        answer.close()


def _handed_back(answer: httpx2.Response) -> dict[str, str]:
    return {name: answer.headers[name] for name in _HANDED_BACK if name in answer.headers}


def _status(code: int, reason: str, message: str) -> Response:
    """Return a refusal in the form that clients of the API know."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return Response(json.dumps(status), status_code=code, media_type="application/json")
