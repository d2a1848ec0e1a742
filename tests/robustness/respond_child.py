"""Responders in processes of their own, against an API server over HTTP that notes changes."""

import contextlib
import http.server
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from typing_extensions import override

from tests.unit.respond.bench import Bench
from tests.unit.respond.fakecluster import USER, FakeApi
from tocsin.failpoint import VARIABLE
from tocsin.respond.actions.command import Command
from tocsin.respond.actions.registry import ACTIONS
from tocsin.respond.cluster import ApiCluster
from tocsin.respond.command.dialogue import Table
from tocsin.respond.command.job import Surroundings
from tocsin.respond.means import Means
from tocsin.respond.settings import RespondSettings

HOST = "127.0.0.1"
_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}
_COLLECTIONS = {"networkpolicies", "events", "rolebindings", "clusterrolebindings"}
# A child of it has all modules already: hundreds of rounds need no more seconds than steps.
_PROCESSES = multiprocessing.get_context("forkserver")


class CommandBench(Bench):
    """A responder that runs commands, too."""

    client: httpx2.Client

    @override
    def means(self) -> Means:
        return replace(super().means(), actions={**ACTIONS, "command": Command(self._around())})

    def _around(self) -> Surroundings:
        def alert(number: str) -> Any:
            found = self.store.alert(number)
            return found.alert if found else None

        return Surroundings(
            clients=lambda _: self.client,
            alert=alert,
            shown=lambda one: {"id": one.id},
            stopped=lambda: self._stopped() is not None,
            refused=lambda *_: None,
            clean=lambda text: text,
            clock=time.time,
            folder=self.folder,
            table=Table.from_entries(self.journal.entries()),
        )


def respond_forever(folder: Path, port: int, given: RespondSettings, failpoint: str) -> None:
    """Respond until killed; what people are told is recorded as alerts."""
    if failpoint:
        os.environ[VARIABLE] = failpoint
    bench = CommandBench.__new__(CommandBench)
    bench.client = httpx2.Client(base_url=f"http://{HOST}:{port}", trust_env=False)
    bench.open(folder, given, ApiCluster("prod", bench.client))
    while True:
        bench.now = time.time()
        busy = bench.responder.tick()
        if bench.told:
            bench.store.record(bench.told, {}, bench.now)
            bench.told.clear()
        if not busy:
            time.sleep(0.02)


@contextlib.contextmanager
def responding(
    folder: Path, port: int, given: RespondSettings, failpoint: str = ""
) -> Iterator[BaseProcess]:
    """Run a responder for the body, then kill it."""
    _PROCESSES.set_forkserver_preload([__name__])
    process = _PROCESSES.Process(target=respond_forever, args=(folder, port, given, failpoint))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


@contextlib.contextmanager
def api_server(api: FakeApi) -> Iterator[int]:
    """Serve a fake API server over HTTP; yield its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = msgspec.json.decode(self.rfile.read(length)) if length else None
            path, _, query = self.path.partition("?")
            code, answer = self._decide(path, query, body)
            content = msgspec.json.encode(answer)
            with contextlib.suppress(OSError):
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def _decide(self, path: str, query: str, body: Any) -> tuple[int, dict[str, Any]]:
            if "selfsubject" in path:
                return 201, {"status": {"allowed": True, "userInfo": {"username": USER}}}
            if self.command == "GET":
                found = api.get(path)
                if found is None and path.rpartition("/")[2] in _COLLECTIONS:
                    return 200, {"items": api.list(path)}
                return (404, {}) if found is None else (200, found)
            dry_run = "dryRun=All" in query or bool(isinstance(body, dict) and body.get("dryRun"))
            audit_id = self.headers["Audit-ID"]
            return api.change(_VERBS[self.command], path, body, audit_id, dry_run=dry_run)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - the library's names

        @override
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_for(condition: Callable[[], object], seconds: float = 30) -> bool:
    """Wait until something holds; return whether it came to hold in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False
