"""`/changes`: a stream that tells browsers that something changed, and nothing else.

It carries a version only, so it needs no filter per person and leaks nothing: the browser
asks for its page again, with its own rights.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from tocsin.web.access.access import Access
from tocsin.web.metrics import WebMetrics
from tocsin.web.page import Context, Page
from tocsin.web.pulse import Pulse

SECONDS = 2.0
KEEP_ALIVE_SECONDS = 15.0
# A stream ends by itself, so that what was missed is put right; browsers come back at once.
MAX_SECONDS = 600.0
MAX_STREAMS = 20


class Live:
    """The open streams."""

    def __init__(self, pulse: Pulse, access: Access, metrics: WebMetrics) -> None:
        self._pulse = pulse
        self._access = access
        self._metrics = metrics
        self._open: Counter[str] = Counter()
        self.stopping = asyncio.Event()

    async def changes(self, context: Context) -> Response:
        """Answer with the stream."""
        name = context.person.name
        if self._open[name] >= MAX_STREAMS:
            raise HTTPException(429, f"More than {MAX_STREAMS} pages of yours are open.")
        headers = {"X-Accel-Buffering": "no"}
        stream = self._stream(context)
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")

    def page(self) -> Page:
        """Return the page of the stream."""
        return Page("/changes", self.changes, "view", name="changes", shared=False)

    async def _stream(self, context: Context) -> AsyncIterator[bytes]:
        name = context.person.name
        self._open[name] += 1
        self._metrics.streams.inc()
        try:
            shown = ""
            quiet = 0.0
            loop = asyncio.get_running_loop()
            end = loop.time() + MAX_SECONDS
            while not self.stopping.is_set() and loop.time() < end:
                beat = await self._pulse.look()
                quiet += SECONDS
                if beat.version != shown:
                    # Only who may still see the page is told to ask for it.
                    if await self._access.identify(context.request.headers) is None:
                        return
                    shown, quiet = beat.version, 0.0
                    yield f"event: changed\ndata: {shown}\n\n".encode()
                elif quiet >= KEEP_ALIVE_SECONDS:
                    if await self._access.identify(context.request.headers) is None:
                        return
                    quiet = 0.0
                    yield b": still here\n\n"
                try:
                    await asyncio.wait_for(self.stopping.wait(), SECONDS)
                except TimeoutError:
                    continue
        finally:
            self._metrics.streams.dec()
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]
