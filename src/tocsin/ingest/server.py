"""Serve the webhook over TLS, and keep hostile connections from using it up.

uvicorn speaks HTTP; this module adds what it leaves out: caps on connections (in all and per
address, counted from the accept, not from the end of the handshake), deadlines for handshake
and request head, and the client's certificate in the ASGI scope (its TLS extension).
"""

import asyncio
import contextlib
import functools
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tocsin.ingest.metrics import IngestMetrics
from tocsin.ingest.tls import ServerTls, peer_certificate
from tocsin.ingest.webhook import Webhook
from tocsin.model.errors import TocsinError

_log = logging.getLogger(__name__)

# API servers wait in the kernel's queue while the process restarts.
_BACKLOG = 2048
_MAX_HEAD_BYTES = 64 * 1024
_CLOSE_SECONDS = 1
_ACCEPT_PAUSE = 0.1


class Connection(HttpToolsProtocol):
    """One sender's connection, after the TLS handshake."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        metrics: IngestMetrics,
        head_timeout: float,
        on_lost: Callable[[], None],
    ) -> None:
        """Cut the connection when a request's head takes longer than `head_timeout`."""
        super().__init__(config, server_state, app_state={})
        self._metrics = metrics
        self._head_timeout = head_timeout
        self._on_lost = on_lost
        self._head_deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._certificates: list[str] = []

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note who is there, and wait for the first request."""
        super().connection_made(transport)
        certificate = peer_certificate(transport)
        self._certificates = [certificate] if certificate else []
        self._expect_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Tell uvicorn and the listener."""
        self._head_complete()
        super().connection_lost(exc)
        self._on_lost()

    @override
    def data_received(self, data: bytes) -> None:
        """Parse `data`; whatever arrives between two requests starts the next one's clock."""
        # uvicorn's type hides that there is no cycle before the first request.
        idle = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]
        if idle and self._head_deadline is None:
            self._expect_head()
        super().data_received(data)
        if self._head_deadline is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._cut()

    @override
    def on_message_begin(self) -> None:
        """Start the scope of a request."""
        super().on_message_begin()
        self.scope["extensions"] = {"tls": {"client_cert_chain": self._certificates}}

    @override
    def on_headers_complete(self) -> None:
        """Hand the request to the application, which times the body."""
        self._head_complete()
        super().on_headers_complete()

    @override
    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._metrics.refused.labels("malformed").inc()
        super().send_400_response(msg)

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_deadline = self.loop.call_later(self._head_timeout, self._cut)

    def _head_complete(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _cut(self) -> None:
        self._metrics.refused.labels("head").inc()
        self.transport.abort()


_ConnectionFactory = Callable[[Callable[[], None]], Connection]


class Listener:
    """Accept connections, within the caps, and take them through the TLS handshake."""

    def __init__(self, sockets: Sequence[socket.socket], app: Webhook) -> None:
        """Accept on `sockets`, which are listening already; close() closes them."""
        self._sockets = sockets
        self._app = app
        self._metrics = app.metrics
        self._tls = ServerTls(app.settings.tls)
        self._open: Counter[str] = Counter()
        self._accepting: list[asyncio.Task[None]] = []
        self._handshakes: set[asyncio.Task[None]] = set()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each socket."""
        return [sock.getsockname()[:2] for sock in self._sockets]

    def start(self, config: uvicorn.Config, server_state: ServerState) -> None:
        """Begin to accept; uvicorn's state keeps the list of connections."""
        connection = functools.partial(
            Connection, config, server_state, self._metrics, self._app.settings.head_timeout
        )
        self._accepting = [
            asyncio.create_task(self._accept(sock, connection)) for sock in self._sockets
        ]

    async def close(self) -> None:
        """Accept no more, and give up the handshakes that are not through."""
        stopping = [*self._accepting, *self._handshakes]
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)
        for sock in self._sockets:
            sock.close()

    async def _accept(self, listening: socket.socket, connection: _ConnectionFactory) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listening)
            except OSError as error:
                # Out of file descriptors, or the client is gone already: go on.
                _log.warning("accept failed: %s", error)
                await asyncio.sleep(_ACCEPT_PAUSE)
                continue
            host = address[0]
            if self._is_full(host):
                self._metrics.refused.labels("connections").inc()
                sock.close()
            else:
                self._open[host] += 1
                task = loop.create_task(self._handshake(sock, host, connection))
                self._handshakes.add(task)
                task.add_done_callback(self._handshakes.discard)
            # A flood of connections must not keep the loop from everything else.
            await asyncio.sleep(0)

    async def _handshake(
        self, sock: socket.socket, host: str, connection: _ConnectionFactory
    ) -> None:
        settings = self._app.settings
        context = self._tls.context(certificate_required=not self._app.takes_bare_clients)
        on_lost = functools.partial(self._leave, host)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                functools.partial(connection, on_lost),
                sock,
                ssl=context,
                ssl_handshake_timeout=settings.handshake_timeout,
                ssl_shutdown_timeout=_CLOSE_SECONDS,
            )
        except OSError as error:
            _log.info("TLS handshake with %s failed: %s", host, error)
            self._metrics.refused.labels("tls").inc()
            on_lost()

    def _is_full(self, host: str) -> bool:
        settings = self._app.settings
        total = self._open.total()
        return total >= settings.max_connections or self._open[host] >= settings.max_per_address

    def _leave(self, host: str) -> None:
        self._open[host] -= 1
        if not self._open[host]:
            del self._open[host]


class WebhookServer(uvicorn.Server):
    """uvicorn behind our own listener; signals belong to whoever runs the event loop."""

    def __init__(self, config: uvicorn.Config, listener: Listener) -> None:
        """Serve what `listener` accepts, once `serve()` is awaited."""
        super().__init__(config)
        self._listener = listener

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each socket that is listened on."""
        return self._listener.addresses

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers alone; set `should_exit` to stop."""
        yield

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept; the sockets were given to the listener."""
        self.servers = []
        self._listener.start(self.config, self.server_state)
        self.started = True

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let requests in flight finish, close."""
        await self._listener.close()
        await super().shutdown()
        # uvicorn cancels what did not finish in time, but does not wait for it to end.
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        msg = f"cannot listen on {host} port {port}: {error.strerror}"
        raise TocsinError(msg) from error
    # Connections inherit it. asyncio would set it, but not on sockets that name no protocol, as
    # these; without, every answer of more than one packet waits 40 ms for an acknowledgement.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def serve_webhook(app: Webhook, sockets: Sequence[socket.socket] | None = None) -> WebhookServer:
    """Return the server for `app`, listening already; `await server.serve()` runs it.

    Connections wait in the kernel until then. To stop, set `server.should_exit`: it accepts no
    more, finishes what is in flight within `shutdown_timeout` and returns. `sockets` come from
    a supervisor that keeps them open over a restart.
    """
    settings = app.settings
    if sockets is None:
        sockets = [listen(settings.host, settings.port)]
    for sock in sockets:
        sock.setblocking(False)  # noqa: FBT003 (the standard library's signature)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=settings.idle_timeout,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )
    return WebhookServer(config, Listener(sockets, app))
