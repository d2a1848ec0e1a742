"""`/livez`, `/readyz` and `/metrics`, on a port of their own and without credentials.

They show counts and states, never event text; the port is for loopback or a scraper's network.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typing_extensions import override

import tocsin
from tocsin.runtime.metrics import exposition
from tocsin.runtime.process import Child
from tocsin.runtime.quietserver import QuietServer

MAX_FINDINGS = 20


class _Processes(Collector):
    """The supervisor's own metrics."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children

    @override
    def collect(self) -> list[Metric]:
        """Return one sample per process."""
        up = GaugeMetricFamily("tocsin_up", "Whether a process does its work.", labels=["process"])
        restarts = CounterMetricFamily(
            "tocsin_restarts", "Times a process was started again.", labels=["process"]
        )
        build = GaugeMetricFamily("tocsin_build", "The version that runs.", labels=["version"])
        build.add_metric([tocsin.__version__], 1)
        for child in self._children:
            up.add_metric([child.name], float(child.ready))
            restarts.add_metric([child.name], child.restarts)
        return [up, restarts, build]


def _application(children: Sequence[Child]) -> Starlette:
    registry = CollectorRegistry()
    registry.register(_Processes(children))

    async def livez(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz(_: Request) -> Response:
        ready = all(child.ready for child in children)
        processes = {
            child.name: {
                "ready": child.ready,
                "reason": child.report.reason,
                "findings": child.report.findings[:MAX_FINDINGS],
            }
            for child in children
        }
        body = {"ready": ready, "processes": processes}
        return JSONResponse(body, status_code=200 if ready else 503)

    async def metrics(_: Request) -> Response:
        pages = [exposition(registry), *(child.report.metrics for child in children)]
        return Response(b"".join(pages), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Starlette(
        routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
    )


@contextlib.asynccontextmanager
async def serve_health(sock: socket.socket, children: Sequence[Child]) -> AsyncIterator[None]:
    """Serve the state of the processes while the body of the `async with` runs."""
    config = uvicorn.Config(
        _application(children), log_config=None, access_log=False, lifespan="off"
    )
    server = QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
