"""The webhook: an ASGI application that takes audit events and answers 200 when they are durable.

A post is authenticated by its head, read within limits, and handed to the spool unparsed. Any
path takes posts, and nothing answers 3xx: an API server follows a redirect with an empty GET and
takes that one's 200 for delivery. What cannot be stored now gets 503 with Retry-After, which
makes the API server hold the batch for minutes.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tocsin.ingest import refusals
from tocsin.ingest.body import MIB, Body
from tocsin.ingest.load import Load, Share
from tocsin.ingest.metrics import IngestMetrics
from tocsin.ingest.networks import Networks
from tocsin.ingest.refusals import Refusal, RefusedError
from tocsin.ingest.senders import Sender, Senders
from tocsin.ingest.spool import PostMeta, Source, SpoolUnavailable, SpoolWriter, Upload
from tocsin.ingest.tls import TlsSettings

# RFC 1123: what a node may be called.
_NODE_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


class WebhookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the webhook listens and what it accepts. Times are in seconds, sizes in bytes."""

    tls: TlsSettings
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    # Networks (CIDR) whose senders need no credential: see `tocsin.ingest.networks`.
    allow_unauthenticated_from: tuple[str, ...] = ()
    # API servers never send it; a forwarder's sender with a credential may, where it is wanted.
    gzip: bool = False
    # The API-server flags that Tocsin generates allow batches of 200 events of 8 MiB.
    max_body: int = 200 * 8 * MIB
    # API servers give up after 30 seconds.
    body_timeout: float = 30
    max_posts: int = 64
    max_buffered: int = 64 * MIB
    max_connections: int = 1024
    max_per_address: int = 256
    handshake_timeout: float = 5
    head_timeout: float = 5
    # Longer than the pause between two batches, so that none meets a closing connection.
    idle_timeout: int = 75
    shutdown_timeout: int = 4


class Webhook:
    """The ASGI application. `senders` may be replaced at any time; the next request sees it."""

    def __init__(
        self,
        spool: SpoolWriter,
        senders: Senders,
        settings: WebhookSettings,
        metrics: IngestMetrics,
    ) -> None:
        """Store what `senders` post in `spool`."""
        self.senders = senders
        self.settings = settings
        self._spool = spool
        self.metrics = metrics
        self._load = Load(settings.max_posts, settings.max_buffered)
        self._networks = Networks(settings.allow_unauthenticated_from)
        metrics.unauthenticated_networks.set(len(settings.allow_unauthenticated_from))
        metrics.in_flight.set_function(lambda: self._load.posts)

    @property
    def takes_bare_clients(self) -> bool:
        """Whether a client may come without a certificate; one that it shows must be good."""
        return self.senders.uses_tokens or bool(self._networks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            sender, node = self._admit(request)
        except RefusedError as refused:
            response = self._refuse(refused.refusal)
        else:
            response = await self._take(request, sender, node)
        await response(scope, receive, send)

    def _admit(self, request: Request) -> tuple[Sender, str | None]:
        """Return who posts and for which node; nothing of the body has been read yet."""
        if request.method != "POST":
            raise RefusedError(refusals.METHOD)
        sender = self._identify(request)
        if sender is None:
            raise RefusedError(refusals.CREDENTIAL)
        cluster, node = read_path(request.scope["path"])
        if cluster not in (None, sender.cluster):
            raise RefusedError(refusals.CLUSTER)
        return sender, node

    def _identify(self, request: Request) -> Sender | None:
        """Return who posts. Only who shows nothing at all is asked for its address."""
        certificates = request.scope["extensions"]["tls"]["client_cert_chain"]
        authorization = request.headers.get("Authorization")
        if certificates or authorization is not None:
            certificate = certificates[0] if certificates else None
            return self.senders.identify(certificate, authorization, datetime.now(UTC))
        if request.client and self._networks.contain(request.client.host):
            return self.senders.unauthenticated()
        return None

    async def _take(self, request: Request, sender: Sender, node: str | None) -> Response:
        """Store the post of a known sender."""
        host = request.client.host if request.client else "unknown"
        meta = PostMeta(
            cluster=sender.cluster,
            node=node,
            peer=f"{host} {sender.credential}",
            source=_source(request, sender),
            received=time.time_ns() // 1000,
        )
        body = Body(request.receive, self.settings.max_body)
        try:
            await self._store(request, body, meta)
        except RefusedError as refused:
            refusal = refused.refusal
        except SpoolUnavailable:
            refusal = refusals.UNAVAILABLE
        else:
            self.metrics.posts.labels(sender.cluster, "accepted").inc()
            if not sender.authenticated:
                self.metrics.unauthenticated_posts.inc()
            return Response()
        if not refusal.closes:
            refusal = await self._drain(body) or refusal
        self.metrics.posts.labels(sender.cluster, refusal.reason).inc()
        return self._refuse(refusal)

    async def _store(self, request: Request, body: Body, meta: PostMeta) -> None:
        """Return when the whole body is durable; RefusedError or SpoolUnavailable if it is not."""
        gzip = self._expects_gzip(request, meta)
        if int(request.headers.get("Content-Length", "0")) > self.settings.max_body:
            raise RefusedError(refusals.TOO_LARGE)
        with self._load.post() as share:
            upload = self._spool.upload(meta)
            try:
                await self._receive(body.pieces(gzip=gzip), upload, share)
                with self.metrics.ack_seconds.time():
                    await asyncio.wrap_future(upload.commit())
            except BaseException:
                upload.abort()
                raise
        self.metrics.bytes.labels(meta.cluster, meta.source).inc(share.length)

    async def _receive(self, pieces: AsyncIterator[bytes], upload: Upload, share: Share) -> None:
        """Pass the body on to the spool, at the pace of the disk and in the time allowed."""
        try:
            async with asyncio.timeout(self.settings.body_timeout):
                async for piece in pieces:
                    share.add(len(piece))
                    await asyncio.wrap_future(upload.write(piece))
        except TimeoutError as error:
            raise RefusedError(refusals.SLOW) from error

    async def _drain(self, body: Body) -> Refusal | None:
        """Let the sender finish, so that it reads the answer; return a refusal if it does not."""
        try:
            async with asyncio.timeout(self.settings.body_timeout):
                await body.drain()
        except TimeoutError:
            return refusals.SLOW
        except RefusedError as refused:
            return refused.refusal
        return None

    def _expects_gzip(self, request: Request, meta: PostMeta) -> bool:
        """Return whether the body is gzip, which only senders with a credential may send."""
        encoding = request.headers.get("Content-Encoding", "identity").lower()
        if encoding == "identity":
            return False
        if encoding == "gzip" and self.settings.gzip and meta.source != "unauthenticated":
            return True
        raise RefusedError(refusals.ENCODING)

    def _refuse(self, refusal: Refusal) -> Response:
        self.metrics.refused.labels(refusal.reason).inc()
        return refusal.response()


def _source(request: Request, sender: Sender) -> Source:
    """Return what the post is; other queries than `?source=` and these two say nothing.

    `backfill` marks old events that are sent afterwards, `file` those of a log that a forwarder
    follows beside the webhook of the same node.
    """
    if not sender.authenticated:
        return "unauthenticated"
    match request.query_params.get("source"):
        case "backfill" | "file" as marked:
            return marked
        case _:
            return "webhook"


def read_path(path: str) -> tuple[str | None, str | None]:
    """Return the cluster and node of `/v1/audit/<cluster>[/<node>]`; other paths name neither."""
    match [part for part in path.split("/") if part]:
        case ["v1", "audit", cluster]:
            return cluster, None
        case ["v1", "audit", cluster, node]:
            return cluster, node if _NODE_NAME.fullmatch(node) else None
        case _:
            return None, None
