"""The whole of Tocsin under test: `tocsin serve` as a user runs it, over real TLS.

A test starts it, sends events, kills or stops any of its processes, and reads what it stored.
"""

import contextlib
import http.client
import http.server
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil
from typing_extensions import override

from tocsin.connect.connection import Connection, Sources
from tocsin.connect.kubeconfig import Credential
from tocsin.connect.names import parse_endpoint
from tocsin.connect.prepare import prepare, write
from tocsin.ingest.quarantine import Quarantine
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool.layout import committed_path, read_number
from tocsin.model.alert import Alert
from tocsin.model.errors import TocsinError
from tocsin.model.ports import HealthFinding, StoreUnavailable
from tocsin.runtime.detector import READER
from tocsin.store.sqlite import SqliteStore, read_store

HOST = "127.0.0.1"
CLUSTER = "prod"
PATH = f"/v1/audit/{CLUSTER}/node1"
EXECUTABLE = Path(sys.executable).with_name("tocsin")
ORACLE_RULES = Path(__file__).with_name("rules") / "oracle.yml"

# Generous: the machines that run this share their cores.
START_SECONDS = 45.0
LOG_TAIL = 3000
# Below the range that the system takes ports from for outgoing connections.
_PORTS = range(15_000, 30_000)
_SAMPLE = re.compile(r"^([a-z_]+(?:\{[^}]*\})?) ([-+.0-9a-zA-Z]+)$", re.MULTILINE)


class Tocsin:
    """One installation in a folder of its own; `process` is its supervisor while it runs."""

    def __init__(self, folder: Path, config: Mapping[str, object] | None = None) -> None:
        """Connect the cluster `prod`; `config` is put over the settings for tests."""
        self.folder = folder
        self.data = folder / "data"
        self.rules = folder / "rules"
        self.log = folder / "log.txt"
        self.port, self.health_port, self.web_port = free_port(), free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._children: dict[int, psutil.Process] = {}
        self.rules.mkdir(parents=True)
        shutil.copy(ORACLE_RULES, self.rules)
        self.connect_cluster(CLUSTER)
        settings: dict[str, object] = {
            "webhook": {"port": self.port},
            "health": {"port": self.health_port},
            "web": {"port": self.web_port},
            "rules": [str(self.rules)],
            "builtin_rules": False,
            # The times of the events here are made up.
            "watch": {"alerts": False},
        }
        self.config = folder / "tocsin.yaml"
        self.config.write_bytes(msgspec.yaml.encode(settings | dict(config or {})))

    def connect_cluster(self, name: str, credential: Credential = "certificate") -> Path:
        """Make a cluster known, as `tocsin setup` does; return the folder of its files."""
        out = self.folder / "setup" / name
        endpoint = parse_endpoint(f"{HOST}:{self.port}")
        connection = Connection(cluster=name, endpoint=endpoint, credential=credential)
        write(prepare(connection, Sources(data=self.data, out=out)))
        return out

    def start(self, *, wait: bool = True) -> float:
        """Start it and return how many seconds it took to become ready."""
        began = time.monotonic()
        command = [str(EXECUTABLE), "serve", "-c", str(self.config), "--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(self.folder.parent),
                start_new_session=True,
                # Whatever is private must be so by its own doing.
                umask=0,
            )
        if wait:
            self.wait_ready()
        return time.monotonic() - began

    def wait_ready(self) -> None:
        """Wait until all of its processes do their work."""
        self.wait_for(lambda: self.readyz()["ready"], "it is not ready", START_SECONDS)

    def wait_for(self, condition: Callable[[], object], problem: str, seconds: float = 30) -> None:
        """Wait for something of a Tocsin that must not end meanwhile."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process is None or self.process.poll() is None, "the supervisor ended"
            assert time.monotonic() < deadline, f"{problem} after {seconds} s"
            time.sleep(0.03)

    def stop(self) -> tuple[int, float]:
        """Stop it as `kill` does; return its exit code and how many seconds it took."""
        return self._end(lambda group: os.kill(group, signal.SIGTERM))

    def interrupt(self) -> tuple[int, float]:
        """Stop it as Ctrl-C does, which reaches all of its processes."""
        return self._end(lambda group: os.killpg(group, signal.SIGINT))

    def _end(self, send: Callable[[int], None]) -> tuple[int, float]:
        assert self.process is not None
        self._note_children()
        began = time.monotonic()
        send(self.process.pid)
        code = self.process.wait(START_SECONDS)
        self.process = None
        return code, time.monotonic() - began

    def kill(self, victim: psutil.Process) -> None:
        """End one of its processes with SIGKILL."""
        self._note_children()
        victim.kill()
        if self.process is not None and victim.pid == self.process.pid:
            self.process.wait(START_SECONDS)
            self.process = None

    def processes(self) -> list[psutil.Process]:
        """Return the supervisor and its children, without multiprocessing's own helper."""
        if self.process is None or self.process.poll() is not None:
            return []
        supervisor = psutil.Process(self.process.pid)
        children = [child for child in supervisor.children() if _is_ours(child)]
        return [supervisor, *children]

    def child(self, name: str) -> psutil.Process:
        """Return the process called `receiver` or `detector`."""
        mark = {"receiver": "spool/lock", "detector": "/alerts.jsonl"}[name]
        for process in self.processes()[1:]:
            if any(file.path.endswith(mark) for file in process.open_files()):
                return process
        message = f"there is no {name}"
        raise AssertionError(message)

    def clean_up(self) -> None:
        """End all that is left of it."""
        self._note_children()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        for child in self._children.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(self._children.values(), 10)

    def _note_children(self) -> None:
        for process in self.processes()[1:]:
            self._children[process.pid] = process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.clean_up()
        if error is not None:
            error.add_note(f"data of the failed run: {self.folder}")
            if self.log.exists():
                error.add_note(self.log.read_text(errors="replace")[-LOG_TAIL:])

    def readyz(self) -> dict[str, Any]:
        """Return what `/readyz` says; not ready while nobody answers."""
        try:
            page = self._page("readyz")
        except OSError:
            return {"ready": False, "processes": {}}
        found: dict[str, Any] = msgspec.json.decode(page)
        return found

    def shown(self) -> str:
        """Return the findings that the detector shows on `/readyz`."""
        return "\n".join(self.readyz()["processes"]["detector"]["findings"])

    def metrics(self) -> dict[str, float]:
        """Return the samples of `/metrics` by their name with labels."""
        page = self._page("metrics").decode()
        return {name: float(value) for name, value in _SAMPLE.findall(page)}

    def _page(self, name: str) -> bytes:
        url = f"http://{HOST}:{self.health_port}/{name}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                page: bytes = response.read()
        except urllib.error.HTTPError as refused:
            with refused:
                page = refused.read()
        return page

    def client_context(self, cluster: str | None = CLUSTER) -> ssl.SSLContext:
        """Return the TLS settings of a cluster's API server; None: without a certificate."""
        files = self.folder / "setup"
        context = ssl.create_default_context(cafile=files / CLUSTER / "ca.crt")
        if cluster is not None:
            context.load_cert_chain(files / cluster / "client.crt", files / cluster / "client.key")
        return context

    def sender(self, context: ssl.SSLContext | None = None) -> "Sender":
        """Return a connection to the webhook, by default that of the cluster `prod`."""
        return Sender(self.port, context or self.client_context())

    def post(self, body: bytes | Iterable[bytes], length: int | None = None) -> int:
        """Post a body as an API server does, and return the status of the answer."""
        with contextlib.closing(self.sender()) as sender:
            return sender.post(body, length=length)

    @property
    def sealer(self) -> Sealer:
        """What opens the spool and the quarantine."""
        return Sealer(load_or_create_key(self.data / "keys" / "spool.key"))

    @property
    def committed(self) -> int:
        """The number of the last post in the spool."""
        return read_number(committed_path(self.data / "spool")) or 0

    @property
    def evaluated(self) -> int:
        """The number of the last post whose alerts are stored."""
        try:
            with self.store() as store:
                return store.cursor(READER)
        except (TocsinError, StoreUnavailable):
            return -1

    def drain(self) -> None:
        """Wait until everything in the spool is evaluated."""
        self.wait_for(lambda: self.evaluated >= self.committed, "posts are not evaluated", 60)

    def store(self) -> SqliteStore:
        """Return the store, for reading."""
        return read_store(self.data / "tocsin.db")

    def alerts(self) -> list[Alert]:
        """Return the stored alerts in the order of their arrival."""
        with self.store() as store:
            return [stored.alert for stored in store.follow(0, 1_000_000)]

    def findings(self) -> list[HealthFinding]:
        """Return what Tocsin noted about itself."""
        with self.store() as store:
            return store.health.findings()

    def logged_ids(self) -> list[str]:
        """Return the ids of the alerts in `alerts.jsonl`, rotated files included."""
        files = self.data.glob("alerts.jsonl*")
        lines = (line for file in files for line in file.read_bytes().splitlines())
        return [msgspec.json.decode(line)["id"] for line in lines]

    def quarantined(self) -> list[tuple[str, bytes]]:
        """Return reason and bytes of all that was set aside."""
        quarantine = Quarantine(self.data / "quarantine", self.sealer)
        return [(record.reason, quarantine.raw(record)) for record in quarantine.records()]

    def exits(self) -> list[int]:
        """Return with which codes children ended that were not asked to."""
        codes = re.findall(rb"\w+ ended with code (-?\d+)", self.log.read_bytes())
        return [int(code) for code in codes]


class Sender:
    """One connection to the webhook, kept alive as an API server keeps it."""

    def __init__(self, port: int, context: ssl.SSLContext, timeout: float = 30) -> None:
        self._connection = http.client.HTTPSConnection(HOST, port, context=context, timeout=timeout)

    def post(
        self,
        body: bytes | Iterable[bytes],
        path: str = PATH,
        headers: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> int:
        """Return the status of the answer; OSError or HTTPException if there was none."""
        sent = {"Content-Type": "application/json"} | dict(headers or {})
        if length is not None:
            sent["Content-Length"] = str(length)
        try:
            self._connection.request("POST", f"{path}?timeout=30s", body, sent)
            with self._connection.getresponse() as response:
                response.read()
                return response.status
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next post opens another."""
        self._connection.close()


class Sink:
    """A receiver of notifications, which notes the alerts that it is told about."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @property
    def channel(self) -> dict[str, object]:
        """The configuration of the channel that leads here."""
        url = f"http://{HOST}:{self._server.server_port}/"
        return {
            "type": "webhook",
            "url": url,
            "secret": "s" * 16,
            "min_severity": "high",
            # No test has the patience of people.
            "group_wait": 0.5,
            "group_interval": 1,
            "max_per_minute": 6000,
        }

    def __enter__(self) -> Self:
        told = self.told

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.extend(alert["id"] for alert in msgspec.json.decode(body)["alerts"])
                self.send_response(HTTPStatus.OK)
                self.end_headers()

            @override
            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def environment(cache: Path) -> dict[str, str]:
    """Return the environment of a started program: byte code is kept, that saves seconds."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {"PYTHONPYCACHEPREFIX": str(cache / "pycache")}


def free_port() -> int:
    """Return a port that nobody listens on."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


def _is_ours(process: psutil.Process) -> bool:
    try:
        return any("spawn_main" in part for part in process.cmdline())
    except psutil.Error:
        return False


@contextlib.contextmanager
def running(folder: Path, config: Mapping[str, object] | None = None) -> Iterator[Tocsin]:
    """Run a Tocsin while the body of the `with` runs."""
    with Tocsin(folder, config) as tocsin:
        tocsin.start()
        yield tocsin
