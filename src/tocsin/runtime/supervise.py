"""The supervisor: starts the processes, starts them again when they die, shows their state.

A slow or crashing part costs only itself. The listening socket belongs to the supervisor, so
that API servers wait in the kernel's queue while the receiver restarts.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator

from tocsin.ingest.server import listen
from tocsin.model.errors import TocsinError
from tocsin.runtime.config import Config
from tocsin.runtime.detector import detect
from tocsin.runtime.health import serve_health
from tocsin.runtime.notifier import notify
from tocsin.runtime.process import STOP_SECONDS, Child
from tocsin.runtime.processlock import start_alone
from tocsin.runtime.receiver import receive
from tocsin.runtime.responder import respond
from tocsin.runtime.watcher import watch
from tocsin.runtime.web import serve_web

TICK_SECONDS = 0.1

log = logging.getLogger(__name__)


class Supervisor:
    """Runs Tocsin's processes within an event loop."""

    def __init__(self, config: Config, *, offer_setup: bool = True) -> None:
        """Take the data folder and the ports, so that what is wrong with them shows at once.

        `offer_setup` is whether a link for the first user is printed while there is none.

        Raises:
            TocsinError: another Tocsin uses the folder, or a port is taken.
        """
        self._config = config
        self._lock = start_alone(config.folder)
        self._webhook = listen(config.webhook.host, config.webhook.port)
        self._health = listen(config.health.host, config.health.port)
        self.children = [
            Child("receiver", receive, (config, [self._webhook])),
            Child("detector", detect, (config,)),
            Child("notifier", notify, (config,)),
            Child("watcher", watch, (config,)),
            Child("responder", respond, (config,)),
        ]
        self._web = listen(config.web.host, config.web.port) if config.web.enabled else None
        if self._web is not None:
            health = f"http://{_reachable(config.health.host)}:{self.health_port}"
            arguments = (config, [self._web], health, offer_setup)
            self.children.append(Child("web", serve_web, arguments))
        self._stopping = asyncio.Event()

    @property
    def webhook_port(self) -> int:
        """The port that API servers post to."""
        return _port(self._webhook)

    @property
    def web_url(self) -> str:
        """Where the dashboard is; empty without one."""
        return self._config.web.url(_port(self._web)) if self._web else ""

    @property
    def health_port(self) -> int:
        """The port of `/livez`, `/readyz` and `/metrics`."""
        return _port(self._health)

    def stop(self) -> None:
        """Ask everything to finish; once more, and it is ended at once."""
        if self._stopping.is_set():
            for child in self.children:
                child.signal(signal.SIGKILL)
        self._stopping.set()

    def reload(self) -> None:
        """Have the rules read again."""
        for child in self.children:
            child.signal(signal.SIGHUP)

    async def run(self) -> None:
        """Keep the processes running until `stop` is called.

        Raises:
            TocsinError: a process never got ready, and no restart can help.
        """
        async with serve_health(self._health, self.children):
            try:
                while not self._stopping.is_set():
                    self._tend()
                    self._give_up_if_hopeless()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), TICK_SECONDS)
            finally:
                await self._finish()
                self._webhook.close()
                if self._web is not None:
                    self._web.close()
                self._lock.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run in the background while the body of the `async with` runs."""
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            self.stop()
            await task

    @property
    def ready(self) -> bool:
        """Whether every process does its work."""
        return all(child.ready for child in self.children)

    def _tend(self) -> None:
        for child in self.children:
            child.listen()
            if child.process is not None and not child.process.is_alive():
                child.bury()
            if child.process is None and not child.hopeless and time.monotonic() >= child.start_at:
                child.start(self._lock)

    def _give_up_if_hopeless(self) -> None:
        for child in self.children:
            if child.hopeless:
                message = f"the {child.name} cannot start; its log line above says why"
                raise TocsinError(message)

    async def _finish(self) -> None:
        """Ask the processes to stop, and end those that do not."""
        for child in self.children:
            child.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                for child in self.children:
                    await asyncio.to_thread(child.join)
        for child in self.children:
            if child.alive:
                log.error("%s did not stop in time and is ended", child.name)
                child.signal(signal.SIGKILL)


def _reachable(host: str) -> str:
    """Return an address of this machine for one to listen on."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - recognised, not bound
    return everywhere.get(host, f"[{host}]" if ":" in host else host)


def _port(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port
