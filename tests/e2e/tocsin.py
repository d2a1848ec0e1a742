"""Tocsin as a user has it: connected by `tocsin setup`, run by `tocsin serve`, killed by a test."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2
import psutil
import yaml

from tests.e2e.controlplane import processes
from tocsin.ingest.seal import Sealer, load_or_create_key
from tocsin.ingest.spool import Post, SpoolReader
from tocsin.model.ports import HealthFinding, StoredAlert
from tocsin.normalize.decode import decode
from tocsin.runtime.detector import READER as DETECTOR
from tocsin.store.sqlite import SqliteStore, read_store

EXECUTABLE: Final = Path(sys.executable).with_name("tocsin")
HOST: Final = "127.0.0.1"
CLUSTER: Final = "e2e"
NODE: Final = "cp-1"
GRACE_SECONDS: Final = 2.0

# Audit-ID and stage: which event of which request.
Pair = tuple[str, str | None]

# A rule of the user's own. Whoever asks for such a ConfigMap learns from the alert that all
# requests before it are evaluated.
MARKER: Final = "marker-"
MARKER_RULE: Final = {
    "title": "Marker",
    "id": "b0c7fd31-9f39-4f0a-8a43-2f4d1c3f5f57",
    "status": "test",
    "logsource": {"product": "kubernetes", "service": "audit"},
    "detection": {
        "selection": {
            "verb": "get",
            "objectRef.resource": "configmaps",
            "objectRef.name|startswith": MARKER,
        },
        "condition": "selection",
    },
    "level": "informational",
}


def flags(bundle: Path) -> list[str]:
    """Return the audit flags that `tocsin setup` wrote for the API server."""
    return (bundle / "apiserver-flags.txt").read_text().splitlines()


def audit_log(flags: Sequence[str]) -> Path:
    """Return the log that an API server with these flags writes."""
    (path,) = (flag.partition("=")[2] for flag in flags if flag.startswith("--audit-log-path="))
    return Path(path)


class Tocsin:
    """One installation, which runs for the length of a `with` block.

    Attributes:
        config: the configuration file.
        data: the data folder.
        address: host and port of the webhook.
        url: the same as API servers are told it.
        programs: a folder with programs that commands may run, such as kubectl.
    """

    def __init__(
        self, folder: Path, cache: Path, webhook: Mapping[str, object] | None = None, **more: object
    ) -> None:
        """Make the configuration; nothing is connected and nothing runs yet.

        Args:
            folder: where everything goes; it must not exist yet.
            cache: where compiled Python code is kept, which saves seconds at each start.
            webhook: further settings of the webhook.
            more: further parts of the configuration.
        """
        folder.mkdir(parents=True)
        self._folder = folder
        self._cache = cache
        self.data = folder / "data"
        self.config = folder / "tocsin.yaml"
        self._log = folder / "serve.log"
        self._server: processes.Server | None = None
        self.programs: Path | None = None
        port, self._health_port = processes.free_ports(2)
        self.address = f"{HOST}:{port}"
        self.url = f"https://{self.address}"
        rule = folder / "marker.yml"
        rule.write_text(yaml.safe_dump(MARKER_RULE, sort_keys=False))
        settings = {
            "data": str(self.data),
            "webhook": {"port": port, **(webhook or {})},
            "health": {"port": self._health_port},
            "web": {"port": 0},
            "rules": [str(rule)],
            **more,
        }
        self.config.write_text(yaml.safe_dump(settings))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def connect(
        self, cluster: str = CLUSTER, policy: str = "recommended", credential: str = "certificate"
    ) -> Path:
        """Make a cluster known and return the folder with the files for its nodes.

        The API server runs on this machine, so the files stay where they are made.
        """
        out = self.bundle(cluster)
        address = ("--advertise", self.address, "--credential", credential)
        names = ("--cluster", cluster, "--node", NODE, "--policy", policy)
        places = ("--data", str(self.data), "--out", str(out), "--remote-dir", str(out))
        log = ("--log-dir", str(self._folder / "audit"))
        (self._folder / "audit").mkdir(exist_ok=True)
        self.command("setup", *address, *names, *places, *log, "--yes")
        return out

    def configure(self, **more: object) -> None:
        """Change parts of the configuration, before it is started."""
        settings = yaml.safe_load(self.config.read_text())
        self.config.write_text(yaml.safe_dump({**settings, **more}))

    def bundle(self, cluster: str) -> Path:
        """Return the folder of the files for a cluster's nodes."""
        return self._folder / "setup" / cluster

    @property
    def last_words(self) -> str:
        """The end of its log, and where the rest is."""
        return f"{self._log} ends:\n{self._log.read_text()[-processes.LOG_TAIL :]}"

    def start(self) -> None:
        """Run `tocsin serve`, and wait until all of its processes do their work."""
        self._server = processes.start(
            self._log,
            [str(EXECUTABLE), "serve", "-c", str(self.config)],
            cwd=self._folder,
            env=self._environment(),
        )
        processes.wait_for(self._ready, "Tocsin", timeout=60)

    def stop(self) -> None:
        """Stop it as an operator does; it must end its own processes, in time and cleanly."""
        if self._server is None:
            return
        server, family = self._server, self._family()
        self._server = None
        processes.stop([server])
        left = _still_running(family, GRACE_SECONDS)
        _end(left)
        if server.process.returncode != 0 or left:
            message = f"status {server.process.returncode}, left {left}\n{self.last_words}"
            raise AssertionError(message)

    def kill(self) -> None:
        """End everything of it at once, as a power cut does."""
        assert self._server is not None
        _end(self._family())
        self._server.process.wait()
        self._server = None

    def kill_receiver(self) -> None:
        """End the process that takes events in, once it runs; the supervisor restarts it."""
        _end([processes.wait_for(self.receiver, "the receiver")])

    def receiver(self) -> psutil.Process | None:
        """Return the process that takes events in, if it runs: it holds the spool's lock."""
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                if any(file.path.endswith("spool/lock") for file in process.open_files()):
                    return process
        return None

    def alerts(self, after: int = 0) -> list[StoredAlert]:
        """Return the stored alerts after a row number, in the order of their arrival."""
        with self.store() as store:
            return store.follow(after, 1_000_000)

    def findings(self) -> list[HealthFinding]:
        """Return what it says is wrong with itself."""
        with self.store() as store:
            return store.health.findings()

    def received(self) -> set[Pair]:
        """Return Audit-ID and stage of all events that are in the spool and evaluated."""
        with self.store() as store:
            end = store.cursor(DETECTOR)
        evaluated = (post for post in self.posts() if post.seq <= end)
        events = (event for post in evaluated for event in decode(post.body()).events)
        return {(event.audit_id, event.stage) for event in events}

    def posts(self) -> Iterator[Post]:
        """Yield all that was acknowledged, in order."""
        key = load_or_create_key(self.data / "keys/spool.key")
        reader = SpoolReader(self.data / "spool", Sealer(key), "e2e")
        after = 0
        while posts := [post for post in reader.read(after) if isinstance(post, Post)]:
            yield from posts
            after = posts[-1].seq

    def store(self) -> SqliteStore:
        """Open the store for reading."""
        return read_store(self.data / "tocsin.db")

    def show_alerts(self, *options: str) -> str:
        """Return what `tocsin alerts` prints."""
        return self.command("alerts", "-c", str(self.config), *options)

    def command(self, *args: str) -> str:
        """Run a command of Tocsin's, which must succeed, and return its output."""
        result = self.run(*args)
        if result.returncode != 0:
            message = f"tocsin {' '.join(args)}: {result.returncode}\n{result.stderr}"
            raise AssertionError(message)
        return result.stdout

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Tocsin's and return its status and output."""
        return subprocess.run(
            [EXECUTABLE, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            env=self._environment(),
            timeout=60,
        )

    def readiness(self) -> dict[str, Any]:
        """Return what `/readyz` says of each process."""
        answer = httpx2.get(f"http://{HOST}:{self._health_port}/readyz", trust_env=False)
        processes: dict[str, Any] = answer.json()["processes"]
        return processes

    def _ready(self) -> bool:
        assert self._server is not None
        self._server.check()
        try:
            answer = httpx2.get(f"http://{HOST}:{self._health_port}/readyz", trust_env=False)
        except httpx2.TransportError:
            return False
        return answer.status_code == httpx2.codes.OK

    def _family(self) -> list[psutil.Process]:
        """Return the supervisor and all that it started."""
        assert self._server is not None
        self._server.check()
        supervisor = psutil.Process(self._server.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def _environment(self) -> dict[str, str]:
        """Keep the caller's settings of Tocsin and of Python's cache out."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        if self.programs is not None:
            kept["PATH"] = f"{self.programs}{os.pathsep}{kept['PATH']}"
        return {**kept, "PYTHONPYCACHEPREFIX": str(self._cache)}


def _end(family: list[psutil.Process]) -> None:
    """End processes with SIGKILL."""
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _still_running(family, GRACE_SECONDS)


def _still_running(family: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Return those of the processes that have not ended after some time."""
    deadline = time.monotonic() + seconds
    while True:
        running = [process for process in family if _runs(process)]
        if not running or time.monotonic() >= deadline:
            return running
        time.sleep(0.02)


def _runs(process: psutil.Process) -> bool:
    """Return whether a process has not ended; who adopted it may not have noticed that it has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
