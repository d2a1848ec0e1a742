"""Tocsin as a user has it: connected by `tocsin setup`, run by `tocsin serve`, killed by a test."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2
import psutil
import yaml

from tests.e2e.controlplane import processes
from tocsin.model.ports import HealthFinding, StoredAlert
from tocsin.store.sqlite import SqliteStore, read_store

EXECUTABLE: Final = Path(sys.executable).with_name("tocsin")
HOST: Final = "127.0.0.1"
CLUSTER: Final = "e2e"
NODE: Final = "cp-1"
GRACE_SECONDS: Final = 2.0

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


class Tocsin:
    """One installation, which runs for the length of a `with` block.

    Attributes:
        url: where API servers post to.
        bundle: the files that `tocsin setup` made for the cluster `e2e`.
    """

    def __init__(self, folder: Path, policy: str, cache: Path) -> None:
        """Connect the cluster `e2e`; nothing runs yet.

        Args:
            folder: where everything goes; it must not exist yet.
            policy: the audit policy, as `tocsin setup` takes it.
            cache: where compiled Python code is kept, which saves seconds at each start.
        """
        folder.mkdir()
        self._folder = folder
        self._cache = cache
        self._data = folder / "data"
        self._config = folder / "tocsin.yaml"
        self._log = folder / "serve.log"
        self._server: processes.Server | None = None
        port, self._health_port = processes.free_ports(2)
        self._address = f"{HOST}:{port}"
        self.url = f"https://{self._address}"
        rule = folder / "marker.yml"
        rule.write_text(yaml.safe_dump(MARKER_RULE, sort_keys=False))
        settings = {
            "data": str(self._data),
            "webhook": {"port": port},
            "health": {"port": self._health_port},
            "rules": [str(rule)],
        }
        self._config.write_text(yaml.safe_dump(settings))
        self.bundle = self.connect(CLUSTER, policy)

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

    def connect(self, cluster: str, policy: str = "recommended") -> Path:
        """Make a cluster known and return the folder with the files for its nodes.

        The API server runs on this machine, so the files stay where they are made. There is
        no option for another folder of the audit log than the system's, hence none is kept.
        """
        out = self._folder / "setup" / cluster
        address = ("--advertise", self._address)
        names = ("--cluster", cluster, "--node", NODE, "--policy", policy)
        places = ("--data", str(self._data), "--out", str(out), "--remote-dir", str(out))
        self.command("setup", *address, *names, *places, "--no-log-file")
        return out

    @property
    def last_words(self) -> str:
        """The end of its log, and where the rest is."""
        return f"{self._log} ends:\n{self._log.read_text()[-processes.LOG_TAIL :]}"

    @property
    def flags(self) -> list[str]:
        """The audit flags for the API server."""
        return (self.bundle / "apiserver-flags.txt").read_text().splitlines()

    def start(self) -> None:
        """Run `tocsin serve`, and wait until all of its processes do their work."""
        self._server = processes.start(
            self._log,
            [str(EXECUTABLE), "serve", "-c", str(self._config)],
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

    def store(self) -> SqliteStore:
        """Open the store for reading."""
        return read_store(self._data / "tocsin.db")

    def show_alerts(self, *options: str) -> str:
        """Return what `tocsin alerts` prints."""
        return self.command("alerts", "-c", str(self._config), *options)

    def command(self, *args: str) -> str:
        """Run a command of Tocsin's, which must succeed, and return its output."""
        result = subprocess.run(
            [EXECUTABLE, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            env=self._environment(),
            timeout=60,
        )
        if result.returncode != 0:
            message = f"tocsin {' '.join(args)}: {result.returncode}\n{result.stderr}"
            raise AssertionError(message)
        return result.stdout

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
